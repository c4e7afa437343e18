//! A name with an address of each family, of which the agent has the second: what the first refuses goes to the other
//! one in the same flush, so that a job which flushes once loses nothing.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "the system's resolver is replaced")]

mod support;

use std::net::UdpSocket;
use support::{Agent, PATIENCE, assert_conserved, resolver};

/// Resolves every name as hosts do whose `localhost` is in both families.
///
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
    let resolve = resolver::hidden();
    // SAFETY: the pointers are the caller's, passed on, and what was found is the C library's until it is freed.
    unsafe {
        let code = resolve(c"::1".as_ptr(), service, hints, found);
        let mut second = std::ptr::null_mut();
        if code == 0 && resolve(c"127.0.0.1".as_ptr(), service, hints, &raw mut second) == 0 {
            (**found).ai_next = second;
        }
        code
    }
}

/// Whether there is an IPv6 loopback, which refuses what nobody listens for.
fn has_ipv6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}

#[test]
fn a_job_that_flushes_once_loses_nothing() {
    if !has_ipv6() {
        return println!("skipped: this machine has no IPv6 loopback");
    }
    for _ in 0..20 {
        let agent = Agent::udp();
        let guard = support::builder().agent(format!("udp://localhost:{}", agent.port())).build().unwrap();
        let client = guard.client().clone();
        // More than a packet, of which each is sent once.
        for number in 0..200 {
            client.counter(&format!("jobs.{number}")).increment(1);
        }
        guard.shutdown(PATIENCE).unwrap();
        let stats = client.stats();
        assert_conserved(&stats);
        assert_eq!((stats.sent.values, stats.last_error), (200, None));
        let mut lines = agent.lines(200);
        lines.sort();
        let mut expected: Vec<_> =
            (0..200).map(|number| format!("jobs.{number}:1|c|#task_id:0042")).collect();
        expected.sort();
        assert_eq!(lines, expected);
    }
}

#[test]
fn an_agent_that_nobody_is_at_any_address_costs_what_was_sent_and_the_next_flush_looks_at_both_again() {
    if !has_ipv6() {
        return println!("skipped: this machine has no IPv6 loopback");
    }
    let agent = Agent::udp();
    let (port, address) = (agent.port(), format!("udp://localhost:{}", agent.port()));
    drop(agent);
    let guard = support::builder().agent(address).build().unwrap();
    let client = guard.client();
    for flush in 1..=3 {
        client.counter("jobs").increment(1);
        client.flush(PATIENCE).unwrap();
        assert_eq!(client.stats().dropped_total().values, flush);
    }
    let error = client.stats().last_error.unwrap();
    assert_eq!(*error, *format!("udp://localhost:{port}: Connection refused (os error 111)"));
    let Ok(agent) = Agent::udp_at(([127, 0, 0, 1], port).into()) else { return };
    client.counter("jobs").increment(1);
    client.flush(PATIENCE).unwrap();
    assert_eq!(agent.lines(1), ["jobs:1|c|#task_id:0042"]);
    assert_eq!((client.stats().sent.values, client.stats().last_error), (1, None));
}
