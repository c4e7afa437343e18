//! A line of a known metric is recorded without an allocation; what cadence formats it in is cadence's own.

#![cfg(feature = "cadence")]

#[path = "support/allocations.rs"]
mod allocations;

use allocations::allocations;
use cadence::MetricSink;
use tasktag::Client;
use tasktag::integrations::cadence::{CadenceSink, TransportSink};
use tasktag::testing::{Capture, ManualClock};

const LINES: [&str; 11] = [
    "jobs:1|c",
    "jobs:-3|c|@0.5|#queue:mail,urgent",
    "requests:7|m|c:in-42",
    "level:-0.5|g|#a:1,b:2,c:3,d:4,e:5,f:6,g:7,h:8,i:9",
    "level:1|g|#a:1,b:2,c:3,d:4,e:5,f:6,g:7,h:8,i:9,j:10,k:11,l:12,m:13,n:14,o:15,p:16",
    "tagged:1|g|#task_id:0007,a:b",
    "query:1:2:3:4.5|ms|@0.1",
    "size:12|h|#route:cart",
    "wait:0.25|d",
    "users:7|s",
    "level:3|g|T1700000000",
];

#[test]
fn a_known_line_allocates_nothing() {
    let guard = Client::builder().capture(&Capture::new()).clock(&ManualClock::new()).build().unwrap();
    let sink = CadenceSink::new(guard.client());
    for line in LINES {
        // The first makes the context, and the second is the first that finds it.
        for _ in 0..2 {
            sink.emit(line).unwrap();
        }
        for turn in 0..100 {
            assert_eq!(allocations(|| assert!(sink.emit(line).is_ok())), 0, "{line}, turn {turn}");
        }
    }
    assert_eq!(allocations(|| drop(sink.clone())), 0);
    assert_eq!(guard.client().stats().dropped_total().values, 0);
}

#[test]
fn a_transport_that_knows_its_agent_takes_lines_without_an_allocation() {
    let agent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", agent.local_addr().unwrap());
    let sink = TransportSink::to(&address).unwrap();
    let emit = || (0..10_000).for_each(|_| assert!(sink.emit("level:1|g|#route:cart").is_ok()));
    emit();
    assert_eq!(allocations(emit), 0);
}
