//! The last answers of the system's resolver, with which a forked child begins.
//!
//! The child can send at once. It may even have no other answer: a thread of its parent that was resolving a name at the
//! fork may have left the resolver of the C library locked (seen with glibc 2.36).

use crate::process::fork;
use std::net::SocketAddr;
use std::sync::Mutex;

/// The number of names that are remembered. A program has one or two.
const MOST: usize = 16;

/// It is never waited for, because a thread of the parent may have held it at the fork. Such a child does without.
static LAST: Mutex<Answers> = Mutex::new(Answers(Vec::new()));

/// Remembers an answer.
pub(super) fn note(host: &str, port: u16, addresses: &[SocketAddr]) {
    if let Ok(mut last) = LAST.try_lock() {
        last.note(host, port, addresses);
    }
}

/// Returns what a forked child knows of a name from its parent, however old that is. It is empty in any other process,
/// which asks.
pub(super) fn inherited(host: &str, port: u16) -> Vec<SocketAddr> {
    let last = fork::is_child().then(|| LAST.try_lock().ok()).flatten();
    last.map(|last| last.find(host, port)).unwrap_or_default()
}

/// The last answer for each name, the oldest first.
struct Answers(Vec<Answer>);

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

impl Answers {
    /// Puts an answer in place of the one before, or of the oldest of too many.
    fn note(&mut self, host: &str, port: u16, addresses: &[SocketAddr]) {
        self.0.retain(|answer| !answer.is_for(host, port));
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(Answer { host: host.to_owned(), port, addresses: addresses.to_vec() });
    }

    fn find(&self, host: &str, port: u16) -> Vec<SocketAddr> {
        let known = self.0.iter().find(|answer| answer.is_for(host, port));
        known.map(|answer| answer.addresses.clone()).unwrap_or_default()
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_of_each_of_a_few_names_is_known() {
        let address = |n: u16| SocketAddr::from(([127, 0, 0, 1], n));
        let newest = u16::try_from(MOST + 1).unwrap();
        let mut answers = Answers(Vec::new());
        for n in 1..newest {
            answers.note("agent", n, &[address(7)]);
        }
        // The first is no longer the oldest.
        answers.note("agent", 1, &[address(8), address(9)]);
        answers.note("agent", newest, &[address(7)]);
        assert_eq!(answers.find("agent", 1), [address(8), address(9)]);
        assert_eq!(answers.find("agent", newest), [address(7)]);
        assert_eq!((answers.find("agent", 2), answers.find("other", 3)), (vec![], vec![]));
        assert_eq!(answers.0.len(), MOST);
    }
}
