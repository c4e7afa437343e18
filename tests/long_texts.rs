//! An event and a service check are one packet of up to 8 KiB on every way: what is longer is cut and counted, and no
//! more than that waits in memory.

#![cfg(unix)]

mod support;

use support::{Agent, PATIENCE, TempDir, assert_conserved};
use tasktag::testing::{Parsed, parse};
use tasktag::{Client, DropReason, Event, ServiceCheck, Stats, Status};

/// Bytes of a packet of one event or check.
const LARGEST: usize = 8192;

/// The packets that reach an agent for what `act` does.
fn received(agent: &Agent, size: Option<usize>, act: impl FnOnce(&Client)) -> (Vec<String>, Stats) {
    let builder = support::builder().agent(agent.address());
    let builder = size.into_iter().fold(builder, tasktag::ClientBuilder::max_packet_size);
    let guard = builder.build().unwrap();
    act(guard.client());
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    assert_conserved(&stats);
    let mut packets = agent.packets_until(|lines| lines.len() as u64 >= stats.sent.lines);
    packets.append(&mut agent.drain_packets());
    (packets.into_iter().map(|packet| String::from_utf8(packet).unwrap()).collect(), stats)
}

/// The event that a packet is, the lengths of its title and text as they are announced.
fn event(packet: &str) -> (String, String) {
    let [Parsed::Event(event)] = &parse(packet.as_bytes()).unwrap()[..] else { panic!("{packet:?}") };
    (event.title.clone(), event.text.clone())
}

#[test]
fn a_backtrace_arrives_whole_in_a_packet_of_its_own_and_metrics_in_theirs() {
    let directory = TempDir::new();
    for agent in [Agent::udp(), Agent::unix(&directory.join("agent"))] {
        for size in [64, 512, 1432] {
            let backtrace = "at shop::jobs::run (src/jobs.rs:42)\n".repeat(60);
            let (packets, stats) = received(&agent, Some(size), |client| {
                client.counter("before").increment(1);
                client.event("short", "s");
                client.send_event(Event::new("panic in worker", backtrace.clone()).tag("queue", "mail"));
                client
                    .send_service_check(ServiceCheck::new("db", Status::Critical).message(backtrace.clone()));
                client.event("short", "s");
            });
            let written = backtrace.replace('\n', "\\n");
            let short = "_e{5,1}:short|s|#task_id:0042\n".to_owned();
            let expected = [
                short.clone(),
                format!("_e{{15,{}}}:panic in worker|{written}|#queue:mail,task_id:0042\n", written.len()),
                format!("_sc|db|2|#task_id:0042|m:{written}\n"),
                short + "before:1|c|#task_id:0042\n",
            ];
            assert_eq!(packets, expected);
            assert_eq!((stats.dropped_total().values, stats.truncated_texts), (0, 0));
        }
    }
}

#[test]
fn an_event_fills_a_packet_to_its_last_byte_and_loses_the_end_of_its_text_beyond() {
    let frame = "_e{5,8149}:title||#task_id:0042\n".len();
    for (text, cut) in [(LARGEST - frame, 0), (LARGEST - frame + 1, 1), (20_000, 1), (1_000_000, 1)] {
        let (packets, stats) =
            received(&Agent::udp(), None, |client| client.event("title", &"x".repeat(text)));
        let kept = text.min(LARGEST - frame);
        assert_eq!(packets, [format!("_e{{5,{kept}}}:title|{}|#task_id:0042\n", "x".repeat(kept))], "{text}");
        assert_eq!((stats.truncated_texts, stats.sent.values, stats.dropped_total().values), (cut, 1, 0));
    }
}

#[test]
fn a_message_is_cut_so_that_its_check_fills_a_packet() {
    for length in [8000, LARGEST, 100_000] {
        let (packets, stats) = received(&Agent::udp(), None, |client| {
            client.send_service_check(ServiceCheck::new("db", Status::Ok).message("x".repeat(length)));
        });
        let kept = length.min(LARGEST - "_sc|db|0|#task_id:0042|m:\n".len());
        assert_eq!(packets, [format!("_sc|db|0|#task_id:0042|m:{}\n", "x".repeat(kept))]);
        assert_eq!(stats.truncated_texts, u64::from(kept < length));
    }
}

#[test]
fn a_text_is_cut_between_characters_and_never_within_a_line_break() {
    for unit in ["ü", "環", "\n", "🦀\n", "m:", "\r\n"] {
        for shift in 0..4 {
            let text = "x".repeat(shift) + &unit.repeat(LARGEST);
            let (packets, stats) = received(&Agent::udp(), None, |client| {
                client.event("title", &text);
                client.send_service_check(ServiceCheck::new("db", Status::Ok).message(&text));
            });
            let [told, check] = &packets[..] else { panic!("{} packets", packets.len()) };
            assert!((LARGEST - 8..=LARGEST).contains(&told.len()), "{}", told.len());
            assert!((LARGEST - 8..=LARGEST).contains(&check.len()), "{}", check.len());
            let clean = text.replace("\r\n", "\n");
            assert!(clean.starts_with(&event(told).1), "{unit:?}");
            let [Parsed::ServiceCheck(found)] = &parse(check.as_bytes()).unwrap()[..] else {
                panic!("{check}")
            };
            assert!(clean.starts_with(found.message.as_ref().unwrap()), "{unit:?}");
            assert_eq!((stats.truncated_texts, stats.dropped_total().values), (2, 0));
        }
    }
}

#[test]
fn a_title_that_is_too_long_is_cut_and_leaves_half_to_the_text() {
    let (packets, stats) = received(&Agent::udp(), None, |client| {
        client.event(&"t".repeat(50_000), &"x".repeat(50_000));
        client.event(&"t".repeat(50_000), "short");
    });
    let (title, text) = event(&packets[0]);
    assert!(packets[0].len() <= LARGEST && title.len() + text.len() > LARGEST - 40);
    assert!(title.len().abs_diff(text.len()) < 40, "{} {}", title.len(), text.len());
    let (title, text) = event(&packets[1]);
    assert_eq!((text.as_str(), packets[1].len()), ("short", LARGEST));
    assert_eq!(title.len(), LARGEST - "_e{8154,5}:|short|#task_id:0042\n".len());
    assert_eq!((stats.truncated_texts, stats.dropped_total().values), (2, 0));
}

#[test]
fn tags_that_have_no_room_are_left_out_and_counted_and_the_text_stays() {
    let (packets, stats) = received(&Agent::udp(), None, |client| {
        let event = (0..500).fold(Event::new("t", "x"), |event, n| event.tag(format!("key{n:03}"), "value"));
        client.send_event(event);
    });
    let tags = packets[0].matches(":value").count() as u64;
    assert!(packets[0].starts_with("_e{1,1}:t|x|#key000:value,") && tags > 50, "{tags}");
    assert_eq!((stats.refused_tags, stats.truncated_texts), (500 - tags, 0));
}

#[test]
fn an_event_that_global_tags_leave_no_room_is_dropped_as_too_large() {
    let agent = Agent::udp();
    let mut builder = support::builder().agent(agent.address());
    for n in 0..50 {
        builder = builder.tag(format!("key{n}"), "v".repeat(190));
    }
    builder = (0..50).fold(builder, |builder, n| builder.tag(format!("more{n}"), "v".repeat(100)));
    let guard = builder.build().unwrap();
    guard.client().event("title", "text");
    guard.client().service_check("db", Status::Ok);
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    assert_eq!((stats.dropped(DropReason::TooLarge).values, stats.truncated_texts), (2, 0));
    assert_conserved(&stats);
}

#[test]
fn a_server_of_larger_packets_gets_what_the_client_keeps() {
    let (packets, stats) =
        received(&Agent::udp(), Some(65_000), |client| client.event("title", &"\n".repeat(50_000)));
    let (_, text) = event(&packets[0]);
    assert_eq!(text, "\n".repeat(LARGEST - "title".len()));
    assert_eq!(stats.truncated_texts, 1);
}

#[test]
fn each_agent_counts_what_is_cut_for_it() {
    let (first, second) = (Agent::udp(), Agent::udp());
    let guard = support::builder()
        .agent(first.address())
        .also(tasktag::Agent::at(second.address()).max_packet_size(30_000))
        .build()
        .unwrap();
    // Longer on the wire than in the program.
    guard.client().event("title", &"\n".repeat(5000));
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(guard.client().stats().truncated_texts, 1);
    assert_eq!(guard.client().stats_of(1).unwrap().truncated_texts, 0);
    let packets = second.packets_until(|lines| !lines.is_empty());
    assert_eq!(event(&String::from_utf8(packets.concat()).unwrap()).1, "\n".repeat(5000));
}
