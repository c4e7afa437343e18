//! The last answers of the system's resolver, with which a forked child begins.
//!
//! The child can send at once. It may even have no other answer: a thread of its parent that was resolving a name at the
//! fork may have left the resolver of the C library locked (seen with glibc 2.36).

use crate::process::fork;
use std::net::SocketAddr;
use std::sync::Mutex;

/// The number of names that are remembered. A program has one or two.
const MOST: usize = 16;

struct Answer {
    host: String,
    port: u16,
    addresses: Vec<SocketAddr>,
}

impl Answer {
    fn is_for(&self, host: &str, port: u16) -> bool {
        self.host == host && self.port == port
    }
}

/// It is never waited for, because a thread of the parent may have held it at the fork. The child then does without.
static LAST: Mutex<Vec<Answer>> = Mutex::new(Vec::new());

/// Remembers an answer in place of the one before, or of the oldest of too many.
pub(super) fn note(host: &str, port: u16, addresses: &[SocketAddr]) {
    let Ok(mut last) = LAST.try_lock() else { return };
    if let Some(known) = last.iter_mut().find(|answer| answer.is_for(host, port)) {
        addresses.clone_into(&mut known.addresses);
        return;
    }
    if last.len() == MOST {
        last.remove(0);
    }
    last.push(Answer { host: host.to_owned(), port, addresses: addresses.to_vec() });
}

/// Returns what a forked child knows of a name from its parent. It is empty in any other process, which asks.
pub(super) fn inherited(host: &str, port: u16) -> Vec<SocketAddr> {
    if fork::is_child() { find(host, port) } else { Vec::new() }
}

fn find(host: &str, port: u16) -> Vec<SocketAddr> {
    let Ok(last) = LAST.try_lock() else { return Vec::new() };
    let known = last.iter().find(|answer| answer.is_for(host, port));
    known.map(|answer| answer.addresses.clone()).unwrap_or_default()
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_answers_of_a_few_names_are_known() {
        let address = |n: u16| SocketAddr::from(([127, 0, 0, 1], n));
        let newest = u16::try_from(MOST + 1).unwrap();
        for n in 1..=newest {
            note("last-answers", n, &[address(7)]);
            note("last-answers", n, &[address(n), address(8)]);
        }
        // Other tests resolve names too.
        let known = |n| find("last-answers", n);
        assert_eq!(known(newest), [address(newest), address(8)]);
        assert_eq!(known(1), []);
        assert_eq!(find("last-answer", 2), []);
        assert_eq!(inherited("last-answers", newest), [], "this is no child");
    }
}
