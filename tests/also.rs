//! Several agents at once: each gets everything in its own dialect, each has its own books, and none costs another a
//! value.

#![cfg(unix)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};
use support::{Agent as Socket, PATIENCE, TempDir, assert_conserved, wait_until};
use tasktag::testing::{Capture, Parsed, parse};
use tasktag::{Agent, Client, ClientBuilder, Dialect, DropReason, Guard, Stats, Status, Weights};

/// Values that [`use_everything`] reports.
const VALUES: u64 = 14;

/// One of each kind, some of which not every dialect has.
fn use_everything(client: &Client) {
    client.gauge("level").set(-2.5);
    client.gauge("level").set_at(1.0, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    client.counter("jobs").tag("queue", "mail").increment(3);
    (0..4).for_each(|_| client.timing("run").record(12.5));
    (0..2).for_each(|_| client.distribution("size").record(-1.0));
    client.set("users").insert("a:b");
    client.set("users").insert("c");
    client.event("live", "v42");
    client.service_check("db", Status::Ok);
    client.event("", "an event without a title");
}

const DOGSTATSD: &str = "_e{4,3}:live|v42|#task_id:0042\n\
    _sc|db|0|#task_id:0042\n\
    shop.level:1|g|#task_id:0042|T1700000000\n\
    shop.level:-2.5|g|#task_id:0042\n\
    shop.jobs:3|c|#queue:mail,task_id:0042\n\
    shop.run:12.5|ms|@0.25|#task_id:0042\n\
    shop.size:-1|d|@0.5|#task_id:0042\n\
    shop.users:a:b|s|#task_id:0042\n\
    shop.users:c|s|#task_id:0042\n";
const STATSD: &str = "shop.task_0042.level:0|g\nshop.task_0042.level:-2.5|g\nshop.task_0042.jobs:3|c\n\
    shop.task_0042.run:12.5|ms\nshop.task_0042.run:12.5|ms\nshop.task_0042.run:12.5|ms\nshop.task_0042.run:12.5|ms\n\
    shop.task_0042.users:a68d6305fb8b5822836dbc7978355818|s\nshop.task_0042.users:c|s\n";
const GRAPHITE: &str = "shop.level;task_id=0042:0|g\nshop.level;task_id=0042:-2.5|g\n\
    shop.jobs;queue=mail;task_id=0042:3|c\n\
    shop.run.count;task_id=0042:4|c\n\
    shop.run.min;task_id=0042:12.5|g\nshop.run.max;task_id=0042:12.5|g\nshop.run.avg;task_id=0042:12.5|g\n\
    shop.run.p50;task_id=0042:12.5|g\nshop.run.p95;task_id=0042:12.5|g\nshop.run.p99;task_id=0042:12.5|g\n\
    shop.size.count;task_id=0042:2|c\n\
    shop.size.min;task_id=0042:0|g\nshop.size.min;task_id=0042:-1|g\n\
    shop.size.max;task_id=0042:0|g\nshop.size.max;task_id=0042:-1|g\n\
    shop.size.avg;task_id=0042:0|g\nshop.size.avg;task_id=0042:-1|g\n\
    shop.size.p50;task_id=0042:0|g\nshop.size.p50;task_id=0042:-1|g\n\
    shop.size.p95;task_id=0042:0|g\nshop.size.p95;task_id=0042:-1|g\n\
    shop.size.p99;task_id=0042:0|g\nshop.size.p99;task_id=0042:-1|g\n\
    shop.users;task_id=0042:a68d6305fb8b5822836dbc7978355818|s\nshop.users;task_id=0042:c|s\n";
const INFLUX: &str = "shop.level,task_id=0042:0|g\nshop.level,task_id=0042:-2.5|g\n\
    shop.jobs,queue=mail,task_id=0042:3|c\n\
    shop.run,task_id=0042:12.5|ms|@0.25\n\
    shop.size,task_id=0042:-1|ms|@0.5\n\
    shop.users,task_id=0042:a68d6305fb8b5822836dbc7978355818|s\nshop.users,task_id=0042:c|s\n";

fn books(client: &Client, agent: usize) -> Stats {
    let stats = client.stats_of(agent).expect("there is such an agent");
    assert_conserved(&stats);
    stats
}

fn losses(stats: &Stats) -> BTreeMap<&'static str, u64> {
    stats.losses().map(|(reason, tally)| (reason.as_str(), tally.values)).collect()
}

#[test]
fn four_agents_of_four_dialects_get_everything_each_in_its_own_words() {
    let directory = TempDir::new();
    let sockets = [Socket::udp(), Socket::udp(), Socket::unix(&directory.join("agent"))];
    let capture = Capture::new();
    let statsd = Agent::at(sockets[0].address()).dialect(Dialect::Statsd).task_id_in_names(true);
    let graphite = Agent::at(sockets[1].address()).dialect(Dialect::Graphite).weights(Weights::Summaries);
    let influx = Agent::at(sockets[2].address()).dialect(Dialect::Influx);
    let builder = support::builder().prefix("shop").capture(&capture);
    let guard = builder.also(statsd).also(graphite).also(influx).build().unwrap();
    for turn in 1..=3 {
        use_everything(guard.client());
        guard.client().flush(PATIENCE).unwrap();
        assert_eq!(String::from_utf8(capture.take_packets().concat()).unwrap(), DOGSTATSD);
        for (socket, expected) in sockets.iter().zip([STATSD, GRAPHITE, INFLUX]) {
            let lines: Vec<&str> = expected.lines().collect();
            assert_eq!(socket.lines(lines.len()), lines);
        }
        let counted = |of: [(&'static str, u64); 2]| {
            of.into_iter().map(|(reason, n)| (reason, n * turn)).filter(|(_, n)| *n > 0).collect()
        };
        for (agent, (lines, lost)) in [
            (9, [("invalid", 1), ("unsupported", 0)]),
            // The negative values, and what StatsD has no words for.
            (9, [("invalid", 2), ("unsupported", 4)]),
            (25, [("invalid", 0), ("unsupported", 4)]),
            (7, [("invalid", 0), ("unsupported", 4)]),
        ]
        .into_iter()
        .enumerate()
        {
            let stats = books(guard.client(), agent);
            assert_eq!(stats.accepted.values, VALUES * turn, "agent {agent}");
            assert_eq!(stats.sent.lines, lines * turn, "agent {agent}");
            assert_eq!(losses(&stats), counted(lost), "agent {agent}");
        }
    }
    assert_eq!(guard.client().stats_of(0), Some(guard.client().stats()));
    assert_eq!(guard.client().stats_of(4), None);
}

#[test]
fn one_that_is_away_costs_the_others_nothing() {
    let directory = TempDir::new();
    let path = directory.join("nobody");
    let other = Socket::udp();
    let capture = Capture::new();
    let guard = support::builder()
        .capture(&capture)
        .also(Agent::at(support::unix_address(&path)))
        .also(Agent::at(other.address()))
        .build()
        .unwrap();
    let client = guard.client();
    let jobs = client.counter("jobs").register();
    let line = |n: u64| vec![format!("jobs:{n}|c|#task_id:0042")];
    for n in 1..=3 {
        jobs.increment(n);
        client.flush(PATIENCE).unwrap();
        assert_eq!((capture.take_lines(), other.lines(1)), (line(n), line(n)));
    }
    let away = books(client, 1);
    assert_eq!((away.accepted, away.dropped(DropReason::Transport)), (away.dropped_total(), away.accepted));
    assert_eq!((away.accepted.values, away.accepted.packets), (3, 3));
    // It comes, and gets what is sent from then on; and the main one goes, and nobody else notices.
    let came = Socket::unix(&path);
    capture.set_away(true);
    jobs.increment(4);
    client.flush(PATIENCE).unwrap();
    assert_eq!((came.lines(1), other.lines(1)), (line(4), line(4)));
    let [main, late, steady] = [0, 1, 2].map(|agent| books(client, agent));
    assert_eq!((main.sent.values, losses(&main)), (3, BTreeMap::from([("transport", 1)])));
    assert_eq!((late.sent.values, losses(&late)), (1, BTreeMap::from([("transport", 3)])));
    assert_eq!((steady.sent.values, losses(&steady)), (4, BTreeMap::new()));
}

#[test]
fn packets_are_as_large_as_each_agent_takes_them() {
    let socket = Socket::udp();
    let capture = Capture::new();
    let small = Agent::at(socket.address()).max_packet_size(64);
    let guard = support::builder().capture(&capture).max_packet_size(8192).also(small).build().unwrap();
    let size = guard.client().distribution("size").register();
    for power in 0..40 {
        size.record(f64::from(power).exp2());
    }
    guard.client().counter(&"x".repeat(100)).increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(capture.take_packets().len(), 1);
    let small = books(guard.client(), 1);
    let packets = socket.packets_until(|lines| lines.len() as u64 >= small.sent.lines);
    assert!(packets.len() > 5 && packets.iter().all(|packet| packet.len() <= 64));
    assert_eq!((small.sent.values, losses(&small)), (40, BTreeMap::from([("too_large", 1)])));
    let main = books(guard.client(), 0);
    assert_eq!((main.sent.values, main.sent.lines, main.sent.packets), (41, 2, 1));
}

#[test]
fn each_agent_hears_of_its_own_losses_alone() {
    let socket = Socket::udp();
    let capture = Capture::new();
    let statsd = Agent::at(socket.address()).dialect(Dialect::Statsd);
    let guard = support::builder().telemetry(true).capture(&capture).also(statsd).build().unwrap();
    guard.client().event("live", "");
    guard.client().counter("jobs").increment(1);
    guard.shutdown(PATIENCE).unwrap();
    let main: String = capture.take_lines().join("\n");
    assert!(main.contains("datadog.dogstatsd.client.metrics:2|c|#client:rust,"), "{main}");
    assert!(!main.contains("values_dropped"), "{main}");
    let other = socket.lines_until(|lines| lines.iter().any(|line| line.contains("lines_sent"))).join("\n");
    assert!(other.contains("tasktag.client.metrics:2|c"), "{other}");
    assert!(other.contains("tasktag.client.values_dropped:1|c"), "{other}");
}

/// What counters of this name sum up to.
fn counted(packets: &[Vec<u8>], name: &str) -> u64 {
    let lines = packets.iter().flat_map(|packet| parse(packet).unwrap());
    let values = lines.map(|line| match line {
        Parsed::Metric(metric) if metric.name == name => metric.value.number().unwrap_or_default(),
        _ => 0.0,
    });
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let sum = values.sum::<f64>() as u64;
    sum
}

/// A client with a main agent that can be made to panic, and one on a real socket.
fn two_agents(capture: &Capture, set_up: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Guard, Socket) {
    let socket = Socket::udp();
    let builder = support::builder().capture(capture).also(Agent::at(socket.address()));
    (set_up(builder).build().unwrap(), socket)
}

#[test]
fn a_worker_that_dies_of_one_agent_loses_nothing_uncounted_at_the_other() {
    // Small packets, so that the worker dies in the middle of a flush.
    let capture = Capture::new();
    let (guard, socket) = two_agents(&capture, |builder| builder.max_packet_size(64));
    let client = guard.client();
    let counters: Vec<_> =
        (0..10).map(|n| client.counter("jobs").tag("n", &n.to_string()).register()).collect();
    for turn in 1..=5_u64 {
        for counter in &counters {
            counter.increment(1);
        }
        client.timing("run").register().record_many(12.5, 7);
        client.set("users").insert("a");
        client.event("live", "");
        capture.panic_once();
        client.flush(PATIENCE).unwrap();
        assert_eq!(client.stats().worker_restarts, turn);
        for agent in [0, 1] {
            let stats = books(client, agent);
            // Ten counters, seven values, a member and an event.
            assert_eq!(stats.accepted.values, 19 * turn, "agent {agent}: {stats:?}");
            assert_eq!(stats.dropped_total(), stats.dropped(DropReason::WorkerPanic), "agent {agent}");
        }
    }
    let (main, other) = (books(client, 0), books(client, 1));
    assert!(main.dropped_total().values > 0);
    // What was on its way to both when the worker died; what had a line already is sent.
    assert!(other.dropped_total().values > 0 && other.dropped_total().values <= main.dropped_total().values);
    assert_eq!(other.dropped_total().packets, 0);
    let packets = socket.packets_until(|lines| lines.len() as u64 >= other.sent.lines);
    let sent = counted(&packets, "jobs");
    assert!(sent <= 50 && sent + other.dropped_total().values >= 50, "{sent} of 50");
}

#[test]
fn an_event_that_the_worker_dies_of_is_counted_for_every_agent() {
    let capture = Capture::new();
    let (guard, socket) = two_agents(&capture, |builder| builder.max_packet_size(64));
    // Two fill a packet; the third has it sent, before any agent but the main one has seen it.
    for title in ["first", "second", "third", "fourth"] {
        guard.client().event(title, "");
    }
    capture.panic_once();
    guard.client().flush(PATIENCE).unwrap();
    let lost = BTreeMap::from([("worker_panic", 1)]);
    let (main, other) = (books(guard.client(), 0), books(guard.client(), 1));
    assert_eq!((main.accepted.values, other.accepted.values), (4, 4));
    // The main one lost the packet under way as well.
    assert_eq!((losses(&main), losses(&other)), (BTreeMap::from([("worker_panic", 3)]), lost));
    let titles = socket.lines(3).into_iter().map(|line| line.split([':', '|']).nth(1).unwrap().to_owned());
    assert_eq!(titles.collect::<Vec<_>>(), ["first", "second", "fourth"]);
}

#[test]
fn what_was_counted_is_not_lost_when_the_worker_dies_of_what_was_counted_at_a_time() {
    let capture = Capture::new();
    let (guard, socket) = two_agents(&capture, |builder| builder.max_packet_size(64));
    let client = guard.client();
    let jobs = client.counter("jobs").register();
    jobs.increment(7);
    // Two lines with a time fill more than a packet.
    for second in 1..=4 {
        jobs.increment_at(1, UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second));
    }
    capture.panic_once();
    client.flush(PATIENCE).unwrap();
    assert_eq!(client.stats().worker_restarts, 1);
    let timed = |line: &&String| line.contains("|T");
    let main = capture.take_lines();
    assert_eq!(main.iter().filter(|line| !timed(line)).collect::<Vec<_>>(), ["jobs:7|c|#task_id:0042"]);
    for agent in [0, 1] {
        // Four with a time, and the count.
        assert_eq!(books(client, agent).accepted.values, 5, "agent {agent}");
    }
    let other = socket.lines_until(|lines| lines.iter().any(|line| !timed(&line)));
    assert_eq!(other.iter().filter(|line| !timed(line)).collect::<Vec<_>>(), ["jobs:7|c|#task_id:0042"]);
}

#[test]
fn books_balance_for_every_agent_while_threads_write_and_the_worker_dies() {
    let directory = TempDir::new();
    let (capture, path) = (Capture::new(), directory.join("agent"));
    let socket = Socket::unix(&path);
    let guard = support::builder()
        .capture(&capture)
        .max_packet_size(200)
        .also(Agent::at(socket.address()).dialect(Dialect::Influx))
        .also(Agent::at(support::unix_address(&directory.join("nobody"))).dialect(Dialect::Statsd))
        .build()
        .unwrap();
    let client = guard.client();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer: u32| {
            let (client, stop) = (client.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                let mut turns = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    client.counter("jobs").increment(1);
                    client.timing("run").record(f64::from(writer) + 0.5);
                    client.set("users").insert("a");
                    client.event("live", "");
                    turns += 1;
                    thread::yield_now();
                }
                turns
            })
        })
        .collect();
    let mut received = 0;
    for turn in 0..40 {
        if turn % 4 == 0 {
            capture.panic_once();
        }
        client.flush(PATIENCE).unwrap();
        // Else its queue might fill, and what it takes no more is lost in time.
        received += socket.drain().len() as u64;
    }
    stop.store(true, Ordering::Relaxed);
    let turns: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    client.flush(PATIENCE).unwrap();
    // What never got as far as any agent is in the main one's books alone.
    let unrouted = client.stats().dropped(DropReason::ChannelFull).values;
    let accepted = [0, 1, 2].map(|agent| books(client, agent).accepted.values);
    assert_eq!(accepted, [accepted[0], accepted[0] - unrouted, accepted[0] - unrouted]);
    // Of a counter a flush is one value, so only the others can be counted here.
    assert!(accepted[0] >= 3 * turns && accepted[0] <= 3 * turns + 60, "{accepted:?} of {turns} turns");
    let other = books(client, 1);
    assert!(
        losses(&other).keys().all(|reason| ["worker_panic", "unsupported"].contains(reason)),
        "{other:?}"
    );
    let nowhere = books(client, 2);
    assert_eq!((nowhere.sent.values, nowhere.sent.bytes), (0, 0));
    wait_until(|| {
        received += socket.drain().len() as u64;
        received >= other.sent.lines
    });
    assert_eq!(received, other.sent.lines);
}
