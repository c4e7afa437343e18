//! Packets on real sockets are as full as they can be, never too large, and never end within a line.

#![cfg(unix)]

mod support;

use arbtest::arbitrary::{self, Unstructured};
use support::{Agent, PATIENCE, TempDir, assert_conserved};
use tasktag::{Client, ClientBuilder, Dialect, DropReason, Event, Guard};

fn counter_line(name: &str) -> String {
    format!("{name}:1|c|#task_id:0042\n")
}

/// Names of lengths that differ from one to the next.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("n{number}{}", "x".repeat(number * 7 % 23))).collect()
}

/// How the lines fit: a packet takes the next ones unless that would be too much for it. An event that is too much for
/// any is alone.
fn packed(units: &[String], limit: usize) -> Vec<String> {
    let mut packets: Vec<String> = Vec::new();
    for unit in units {
        match packets.last_mut() {
            Some(packet) if packet.len() + unit.len() <= limit => packet.push_str(unit),
            _ => packets.push(unit.clone()),
        }
    }
    packets
}

/// Flushes, and holds what the agent got against what it ought to get.
#[track_caller]
fn assert_packed(guard: &Guard, agent: &Agent, units: &[String], limit: usize) {
    let before = guard.client().stats().sent;
    guard.client().flush(PATIENCE).unwrap();
    let text = units.concat();
    let mut packets = agent.packets_until(|lines| lines.len() >= text.lines().count());
    packets.append(&mut agent.drain_packets());
    for packet in &packets {
        let alone = packet.starts_with(b"_e{") && packet.split(|byte| *byte == b'\n').count() == 2;
        assert!(packet.len() <= limit || alone, "{} bytes in a packet of {limit}", packet.len());
        assert_eq!(packet.last(), Some(&b'\n'));
    }
    let packets: Vec<String> = packets.into_iter().map(|packet| String::from_utf8(packet).unwrap()).collect();
    assert_eq!(packets, packed(units, limit));
    let stats = guard.client().stats();
    assert_eq!(stats.sent.packets - before.packets, packets.len() as u64);
    assert_eq!(stats.sent.bytes - before.bytes, text.len() as u64);
    assert_eq!(stats.sent.lines - before.lines, text.lines().count() as u64);
    assert_conserved(&stats);
}

fn count(client: &Client, names: &[String]) {
    for name in names {
        client.counter(name).increment(1);
    }
}

fn lines(names: &[String]) -> Vec<String> {
    names.iter().map(|name| counter_line(name)).collect()
}

#[test]
fn packets_over_udp_hold_1432_bytes() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).build().unwrap();
    let names = names(500);
    for _ in 0..3 {
        count(guard.client(), &names);
        assert_packed(&guard, &agent, &lines(&names), 1432);
    }
}

#[test]
fn packets_over_a_unix_socket_hold_8192_bytes() {
    let directory = TempDir::new();
    let agent = Agent::unix(&directory.join("agent"));
    let guard = support::builder().agent(agent.address()).build().unwrap();
    let names = names(1500);
    for _ in 0..3 {
        count(guard.client(), &names);
        assert_packed(&guard, &agent, &lines(&names), 8192);
    }
}

#[test]
fn packets_hold_what_was_set() {
    let directory = TempDir::new();
    let names = names(1900);
    for limit in [64, 100, 512, 1433, 9000, 65_507] {
        let agent = Agent::unix(&directory.join(&limit.to_string()));
        // Few enough at a time for the socket's queue, however late its reader comes: ten packets.
        let longest = lines(&names).iter().map(String::len).max().unwrap();
        assert_packed_in(support::builder(), &agent, names.chunks(10 * (limit / longest)), limit);
        let few = names.len().min(limit / 2);
        assert_packed_in(support::builder(), &Agent::udp(), names.chunks(few).take(1), limit);
    }
}

fn assert_packed_in<'a>(
    builder: ClientBuilder,
    agent: &Agent,
    flushes: impl Iterator<Item = &'a [String]>,
    limit: usize,
) {
    let guard = builder.agent(agent.address()).max_packet_size(limit).build().unwrap();
    for names in flushes {
        count(guard.client(), names);
        assert_packed(&guard, agent, &lines(names), limit);
    }
}

#[test]
fn a_packet_is_filled_to_its_last_byte() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).max_packet_size(64).build().unwrap();
    // 32 bytes a line, and 64 in the last one.
    let names: Vec<String> = [13, 13, 13, 13, 45]
        .into_iter()
        .zip("abcde".chars())
        .map(|(len, c)| c.to_string().repeat(len))
        .collect();
    let lines = lines(&names);
    assert_eq!((lines[0].len(), lines[4].len()), (32, 64));
    count(guard.client(), &names);
    assert_packed(&guard, &agent, &lines, 64);
    assert_eq!(guard.client().stats().sent.packets, 3);
}

#[test]
fn a_line_that_fits_into_no_packet_is_dropped_and_the_rest_arrives() {
    let directory = TempDir::new();
    for agent in [Agent::udp(), Agent::unix(&directory.join("agent"))] {
        let guard = support::builder().agent(agent.address()).max_packet_size(64).build().unwrap();
        let client = guard.client();
        let too_long = "x".repeat(46);
        assert_eq!(counter_line(&too_long).len(), 65);
        count(client, &["before".to_owned(), too_long.clone(), "behind".to_owned()]);
        assert_packed(&guard, &agent, &[counter_line("before"), counter_line("behind")], 64);
        let too_large = client.stats().dropped(DropReason::TooLarge);
        assert_eq!((too_large.values, too_large.lines, too_large.packets), (1, 1, 0));
        assert_eq!(too_large.bytes, counter_line(&too_long).len() as u64);
        assert_eq!(client.stats().dropped_total(), too_large);
    }
}

#[test]
fn the_two_lines_of_a_negative_gauge_share_a_packet() {
    for dialect in [Dialect::TaggedStatsd, Dialect::Statsd] {
        // Its queue holds all of a flush, as that of a Unix socket would not.
        let agent = Agent::udp();
        let builder = support::builder().agent(agent.address()).dialect(dialect);
        let guard = builder.max_packet_size(150).build().unwrap();
        let tags = if dialect == Dialect::Statsd { "" } else { "|#task_id:0042" };
        let mut units = Vec::new();
        for (number, name) in names(200).iter().enumerate() {
            // Lines of one gauge between pairs of another, so that pairs begin everywhere in a packet.
            let value = if number % 3 == 0 { "1.5" } else { "-1.5" };
            guard.client().gauge(name).set(value.parse().unwrap());
            let line = |value| format!("{name}:{value}|g{tags}\n");
            units.push(if number % 3 == 0 { line(value) } else { line("0") + &line(value) });
        }
        assert_packed(&guard, &agent, &units, 150);
    }
}

#[test]
fn a_pair_of_lines_that_fits_into_no_packet_is_dropped_whole() {
    let agent = Agent::udp();
    let builder = support::builder().agent(agent.address()).dialect(Dialect::Statsd);
    let guard = builder.max_packet_size(64).build().unwrap();
    let name = "x".repeat(40);
    guard.client().gauge(&name).set(-1.0);
    guard.client().gauge("y").set(-1.0);
    assert_packed(&guard, &agent, &["y:0|g\ny:-1|g\n".to_owned()], 64);
    let too_large = guard.client().stats().dropped(DropReason::TooLarge);
    assert_eq!((too_large.values, too_large.lines, too_large.bytes), (1, 2, 91));
}

/// One thing to send, as the call and as the lines that must stay together.
enum Unit {
    Gauge(f64, usize),
    Event(usize),
}

fn unit(u: &mut Unstructured<'_>) -> arbitrary::Result<Unit> {
    let length = u.int_in_range(0..=120)?;
    Ok(if u.ratio(1, 3)? { Unit::Event(length) } else { Unit::Gauge(u.int_in_range(-9..=9)?.into(), length) })
}

#[test]
fn whatever_is_sent_packets_are_full_and_no_unit_is_split() {
    // Their queues hold all of a flush, as that of a Unix socket would not.
    let (to_dog, to_plain) = (Agent::udp(), Agent::udp());
    arbtest::arbtest(|u| {
        let limit = u.int_in_range(64..=400)?;
        let count = u.int_in_range(0..=40)?;
        let units: Vec<Unit> = (0..count).map(|_| unit(u)).collect::<Result<_, _>>()?;
        let build = |agent: &Agent, dialect| {
            let builder = support::builder().agent(agent.address()).max_packet_size(limit);
            builder.dialect(dialect).build().unwrap()
        };
        let (dog, plain) = (build(&to_dog, Dialect::DogStatsd), build(&to_plain, Dialect::Statsd));
        let (mut events, mut gauges, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for (number, unit) in units.iter().enumerate() {
            match unit {
                Unit::Event(length) => {
                    let text = "x".repeat(*length);
                    dog.client().event("t", &text);
                    events.push(format!("_e{{1,{length}}}:t|{text}|#task_id:0042\n"));
                }
                Unit::Gauge(value, length) => {
                    let name = format!("n{number}.{}", "x".repeat(*length));
                    dog.client().gauge(&name).set(*value);
                    plain.client().gauge(&name).set(*value);
                    let line = format!("{name}:{value}|g");
                    gauges.push(format!("{line}|#task_id:0042\n"));
                    let zero = if *value < 0.0 { format!("{name}:0|g\n") } else { String::new() };
                    pairs.push(format!("{zero}{line}\n"));
                }
            }
        }
        for (guard, agent, mut units) in
            [(dog, &to_dog, [events, gauges].concat()), (plain, &to_plain, pairs)]
        {
            let all = units.len();
            units.retain(|unit| unit.len() <= limit || unit.starts_with("_e{"));
            assert_packed(&guard, agent, &units, limit);
            let dropped = guard.client().stats().dropped(DropReason::TooLarge).values;
            assert_eq!(dropped, (all - units.len()) as u64);
            // Gauges are sent once more at the shutdown.
            drop(guard);
            drop(agent.drain_packets());
        }
        Ok(())
    })
    .budget_ms(2_000);
}

#[test]
fn an_event_crosses_in_one_piece_with_what_comes_behind_it() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).build().unwrap();
    guard.client().send_event(Event::new("deploy", "a\nb"));
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    let packets = agent.packets_until(|lines| !lines.is_empty());
    assert_eq!(packets, [b"_e{6,4}:deploy|a\\nb|#task_id:0042\njobs:1|c|#task_id:0042\n"]);
}
