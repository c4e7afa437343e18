//! Our transports under cadence's clients: lines leave in packets, in time, and at the end; what is lost is counted.
#![cfg(all(feature = "cadence", unix))]

mod support;

use cadence::prelude::*;
use cadence::{MetricSink, QueuingMetricSink, StatsdClient};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};
use support::stream_agent::StreamAgent;
use support::{Agent, PATIENCE, TempDir, lines_of, unix_address, wait_until};
use tasktag::integrations::cadence::{Refused, TaskIdExt, TransportSink};
use tasktag::{DropReason, TaskId};

const NEVER: Duration = Duration::from_secs(3600);

fn sink(address: &str) -> TransportSink {
    TransportSink::builder(address).flush_interval(NEVER).build().unwrap()
}

fn reason(error: &std::io::Error) -> DropReason {
    error.get_ref().unwrap().downcast_ref::<Refused>().unwrap().reason()
}

#[cfg(target_os = "linux")]
fn timers() -> usize {
    let entries = std::fs::read_dir("/proc/self/task").unwrap();
    // One that ends meanwhile has no name any more.
    let names = entries.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "tasktag-sinks").count()
}

#[test]
fn lines_leave_as_they_are_in_packets_that_fit() {
    let agent = Agent::udp();
    let sink =
        TransportSink::builder(&agent.address()).max_packet_size(64).flush_interval(NEVER).build().unwrap();
    let statsd = StatsdClient::builder("shop", sink.clone()).with_task_id().build();
    for n in 0..100_u64 {
        statsd.gauge_with_tags("level", n).with_tag("a", "b").try_send().unwrap();
    }
    statsd.flush().unwrap();
    let packets = agent.packets_until(|lines| lines.len() >= 100);
    assert!(packets.iter().all(|packet| packet.len() <= 64));
    let tag = TaskId::current().tag().to_string();
    let expected: Vec<String> = (0..100).map(|n| format!("shop.level:{n}|g|#{tag},a:b")).collect();
    assert_eq!(lines_of(&packets), expected);
    let stats = sink.stats();
    let bytes: usize = packets.iter().map(Vec::len).sum();
    assert_eq!((stats.packets_sent, stats.bytes_sent), (packets.len() as u64, bytes as u64));
    assert_eq!((stats.packets_dropped, stats.bytes_dropped), (0, 0));
}

#[test]
fn full_packets_do_not_wait_for_the_timer() {
    let agent = Agent::udp();
    let sink =
        TransportSink::builder(&agent.address()).max_packet_size(64).flush_interval(NEVER).build().unwrap();
    for n in 0..1000 {
        sink.emit(&format!("jobs.{n}:1|c")).unwrap();
    }
    assert!(agent.packets_until(|lines| lines.len() >= 500).len() > 100);
}

#[test]
fn a_lone_gauge_is_sent_by_the_timer() {
    let agent = Agent::udp();
    let sink =
        TransportSink::builder(&agent.address()).flush_interval(Duration::from_millis(5)).build().unwrap();
    for n in 0..3 {
        sink.emit(&format!("level:{n}|g")).unwrap();
        assert_eq!(agent.lines_until(|lines| !lines.is_empty()), [format!("level:{n}|g")]);
    }
}

#[test]
fn the_last_clone_flushes_and_dropping_another_stops_nothing() {
    let agent = Agent::udp();
    let sink = sink(&agent.address());
    let clone = sink.clone();
    clone.emit("level:1|g").unwrap();
    drop(clone);
    assert!(agent.drain().is_empty());
    sink.emit("level:2|g").unwrap();
    drop(sink);
    assert_eq!(agent.lines(2), ["level:1|g", "level:2|g"]);
}

#[test]
fn a_queue_before_it_flushes_when_it_ends() {
    let agent = Agent::udp();
    let statsd = StatsdClient::from_sink("", QueuingMetricSink::with_capacity(sink(&agent.address()), 100));
    statsd.gauge("level", 7_u64).unwrap();
    drop(statsd);
    assert_eq!(agent.lines(1), ["level:7|g"]);
}

#[test]
fn an_agent_that_is_away_is_an_error_of_the_flush_and_in_the_stats_and_may_come() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let sink = sink(&unix_address(&path));
    sink.emit("level:1|g").unwrap();
    assert_eq!(reason(&sink.flush().unwrap_err()), DropReason::Transport);
    let stats = sink.stats();
    assert_eq!((stats.packets_dropped, stats.bytes_dropped, stats.packets_sent), (1, 10, 0));
    let agent = Agent::unix(&path);
    sink.emit("level:2|g").unwrap();
    sink.flush().unwrap();
    assert_eq!(agent.lines(1), ["level:2|g"]);
}

#[test]
fn an_agent_that_takes_nothing_holds_a_caller_for_a_moment_and_no_more() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let _stalled = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let address = unix_address(&path);
    let sink = TransportSink::builder(&address).max_packet_size(64).flush_interval(NEVER).build().unwrap();
    let start = Instant::now();
    for n in 0..50_000 {
        sink.emit(&format!("jobs.{n}:1|c")).unwrap();
    }
    assert!(sink.flush().is_err());
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    let stats = sink.stats();
    assert!(stats.packets_dropped > 1000 && stats.packets_sent > 0, "{stats:?}");
}

#[test]
fn an_agent_that_comes_is_found_without_a_flush() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let address = unix_address(&path);
    let sink = TransportSink::builder(&address).max_packet_size(64).flush_interval(NEVER).build().unwrap();
    let emit = || {
        for n in 0..1000 {
            sink.emit(&format!("jobs.{n}:1|c")).unwrap();
        }
    };
    emit();
    assert!(sink.stats().packets_dropped > 0);
    let agent = Agent::unix(&path);
    wait_until(|| {
        emit();
        !agent.drain().is_empty()
    });
}

#[test]
fn an_agent_that_takes_nothing_holds_callers_no_longer_where_flushes_are_frequent() {
    const BUSY: Duration = Duration::from_secs(4);
    let directory = TempDir::new();
    let path = directory.join("agent");
    let _stalled = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let often = Duration::from_millis(1);
    let sink = TransportSink::builder(&unix_address(&path)).flush_interval(often).build().unwrap();
    wait_until(|| {
        sink.emit("jobs:1|c").unwrap();
        sink.stats().packets_dropped > 0
    });
    let (start, mut held) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < BUSY {
        let call = Instant::now();
        sink.emit("jobs:1|c").unwrap();
        // What is shorter may be another thread's turn on the processor.
        held += Some(call.elapsed()).filter(|held| held.as_millis() >= 20).unwrap_or_default();
        std::thread::sleep(often);
    }
    assert!(held < BUSY / 3, "{held:?} of {BUSY:?}");
}

#[test]
fn streams_are_made_again_when_they_broke() {
    let directory = TempDir::new();
    for agent in [StreamAgent::tcp(), StreamAgent::unix(&directory.join("agent"))] {
        let sink = sink(&agent.address());
        for connections in 1..=2 {
            // TCP is connected to by another thread.
            wait_until(|| {
                sink.emit("level:1|g").unwrap();
                sink.flush().is_ok()
            });
            let received = || agent.received().get(connections - 1).map_or(0, Vec::len);
            wait_until(|| received() >= "level:1|g\n".len());
            agent.hang_up();
        }
    }
}

#[test]
fn tag_forging_makes_no_second_line() {
    let agent = Agent::udp();
    let sink = sink(&agent.address());
    let statsd = StatsdClient::from_sink("", sink.clone());
    assert!(statsd.gauge_with_tags("level", 1_u64).with_tag("a", "b,c|d\ne:1|c").try_send().is_err());
    assert_eq!(reason(&sink.emit("").unwrap_err()), DropReason::Invalid);
    statsd.gauge("level", 2_u64).unwrap();
    statsd.flush().unwrap();
    assert_eq!(agent.lines(1), ["level:2|g"]);
    assert_eq!(sink.stats().packets_dropped, 2);
}

#[test]
fn a_line_that_no_packet_holds_is_an_error_and_counted() {
    let agent = Agent::udp();
    let sink =
        TransportSink::builder(&agent.address()).max_packet_size(64).flush_interval(NEVER).build().unwrap();
    let error = sink.emit(&format!("{}:1|c", "x".repeat(60))).unwrap_err();
    assert_eq!(reason(&error), DropReason::TooLarge);
    sink.emit(&format!("{}:1|c", "y".repeat(59))).unwrap();
    sink.flush().unwrap();
    assert_eq!(agent.lines(1).len(), 1);
    assert_eq!((sink.stats().packets_dropped, sink.stats().bytes_dropped), (1, 65));
}

#[test]
fn settings_that_are_none_are_errors() {
    for address in ["", "udp://", "http://agent:80"] {
        assert!(TransportSink::to(address).is_err(), "{address:?}");
    }
    let sized = |bytes| TransportSink::builder("udp://127.0.0.1:8125").max_packet_size(bytes).build();
    assert!(sized(63).is_err() && sized(64).is_ok());
    let timed = |interval| TransportSink::builder("udp://127.0.0.1:8125").flush_interval(interval).build();
    assert!(timed(Duration::ZERO).is_err() && timed(NEVER + NEVER).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn all_sinks_share_a_thread_and_it_is_one() {
    let agent = Agent::udp();
    let sinks: Vec<TransportSink> = (0..20).map(|_| sink(&agent.address())).collect();
    wait_until(|| timers() == 1);
    drop(sinks);
}

#[test]
fn a_sink_may_cross_threads_and_panics() {
    fn crosses<T: Send + Sync + UnwindSafe + RefUnwindSafe + Clone + 'static>() {}
    crosses::<TransportSink>();
    let agent = Agent::udp();
    let statsd = StatsdClient::from_sink("", sink(&agent.address()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| statsd.count("jobs", 1).map(drop).unwrap()));
        }
    });
    statsd.flush().unwrap();
    assert_eq!(agent.lines(400).len(), 400);
}

#[test]
fn what_is_printed_of_a_sink_while_debugging_is_short() {
    let sink = sink("udp://127.0.0.1:9");
    sink.emit("jobs.done:1|c").unwrap();
    let text = format!("{sink:?}");
    assert!(text.len() < 400 && text.contains("127.0.0.1"), "{text:.1000}");
}
