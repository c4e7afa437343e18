//! A forked child sends to its parent's address of the agent, though the system's resolver has no answer in the child.
//!
//! The resolver of the C library is replaced, since a system's own stays locked in a child by chance alone.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std can't replace the resolver")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::fork::{assert_done, fork};
use support::stream_agent::StreamAgent;
use support::{Agent, PATIENCE, lines_of, resolver, wait_until};

/// Whether whoever asks waits forever.
static IS_LOCKED: AtomicBool = AtomicBool::new(false);

/// # Safety
///
/// As of the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getaddrinfo(
    _: *const libc::c_char,
    service: *const libc::c_char,
    hints: *const libc::addrinfo,
    found: *mut *mut libc::addrinfo,
) -> libc::c_int {
    while IS_LOCKED.load(Ordering::SeqCst) {
        thread::park();
    }
    // SAFETY: the pointers are the caller's, passed on.
    unsafe { resolver::hidden()(c"127.0.0.1".as_ptr(), service, hints, found) }
}

/// Has a parent and then its child send to `agent.test`, which only the parent can resolve.
fn send_from_a_child(scheme: &str, port: u16) {
    IS_LOCKED.store(false, Ordering::SeqCst);
    let guard = support::builder().agent(format!("{scheme}://agent.test:{port}")).build().unwrap();
    let send = |name: &str| {
        wait_until(|| {
            guard.client().counter(name).increment(1);
            guard.client().flush(PATIENCE).unwrap();
            guard.client().stats().sent.values > 0
        });
    };
    send("parent");
    IS_LOCKED.store(true, Ordering::SeqCst);
    assert_done(fork(|| {
        send("child");
        true
    }));
}

// One test: it locks the resolver.
#[test]
fn a_child_sends_to_the_address_that_its_parent_had_of_the_name() {
    let is_childs = |line: &String| line.starts_with("child:");
    let udp = Agent::udp();
    send_from_a_child("udp", udp.port());
    wait_until(|| udp.drain().iter().any(is_childs));
    let tcp = StreamAgent::tcp();
    send_from_a_child("tcp", tcp.socket_address().port());
    wait_until(|| lines_of(&tcp.received()).iter().any(is_childs));
}
