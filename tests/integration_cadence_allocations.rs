//! A line of a known metric is recorded without an allocation; what cadence formats it in is cadence's own.
#![cfg(feature = "cadence")]
#![allow(unsafe_code, reason = "an allocator that counts is one")]

use cadence::MetricSink;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tasktag::Client;
use tasktag::integrations::cadence::{CadenceSink, TransportSink};
use tasktag::testing::{Capture, ManualClock};

/// The system's allocator, which counts what each thread asks of it.
struct Counting;

thread_local! {
    // Without an initializer or a destructor, so that counting itself allocates nothing.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is handed to the system's allocator as it came, under the contract that it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `realloc`'s contract, and `block` came from the system's allocator.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and `block` came from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread allocated while it acted.
fn allocations(act: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    act();
    ALLOCATIONS.get() - before
}

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
