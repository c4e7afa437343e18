//! The system's resolver, which finds the agent's name late or not at all.

#![allow(unsafe_code, reason = "the system's resolver is replaced")]

use crate::support::resolver;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

pub(crate) const AGENT: &str = "agent.example";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Answer {
    Ipv4,
    Ipv6,
    /// That it can't be told at the moment.
    TryAgain,
    /// None, until there is another.
    Silence,
}

/// No lock: a forked child would wait for it, for ever.
static ANSWER: AtomicU8 = AtomicU8::new(Answer::Ipv4 as u8);

pub(crate) fn set(answer: Answer) {
    ANSWER.store(answer as u8, Ordering::SeqCst);
}

/// # Safety
///
/// As of the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getaddrinfo(
    _: *const libc::c_char,
    service: *const libc::c_char,
    hints: *const libc::addrinfo,
    found: *mut *mut libc::addrinfo,
) -> libc::c_int {
    let is = |answer: Answer| ANSWER.load(Ordering::SeqCst) == answer as u8;
    while is(Answer::Silence) {
        thread::sleep(Duration::from_millis(1));
    }
    if is(Answer::TryAgain) {
        return libc::EAI_AGAIN;
    }
    let host = if is(Answer::Ipv6) { c"::1" } else { c"127.0.0.1" };
    // SAFETY: the pointers are the caller's, passed on.
    unsafe { resolver::hidden()(host.as_ptr(), service, hints, found) }
}
