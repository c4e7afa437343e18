//! Resolves a host's name to its addresses, repeatedly.

use super::{Failure, last_answers};
use crate::process::clock::nanos;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The name of the thread that resolves names.
const RESOLVING: &str = "tasktag-resolve";
/// How long an answer is valid while packets are accepted.
const INTERVAL: Duration = Duration::from_secs(60);
/// The minimum time between two look-ups, however many packets fail.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

type Answer = io::Result<Vec<SocketAddr>>;
type LookUp = fn(&str, u16) -> Answer;

/// The result of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// There is no answer yet, or none is due.
    None,
    /// The addresses and their order are the same as an [`INTERVAL`] ago.
    Same,
    /// The addresses or their order changed.
    Other,
}

/// Resolves a host's name without holding up the worker.
///
/// The system's resolver may take any time and can't be interrupted. Each look-up therefore has a thread of its own,
/// one at a time, that ends with the answer. An IP address needs no thread: it is its own answer, as often as one is
/// due.
#[derive(Debug)]
pub(super) struct Resolver {
    host: String,
    port: u16,
    is_name: bool,
    look_up: LookUp,
    known: Vec<SocketAddr>,
    under_way: Option<Receiver<Answer>>,
    asked: Option<Instant>,
    doubted: bool,
    error: Option<io::Error>,
}

impl Resolver {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self::with(host, port, |host, port| (host, port).to_socket_addrs().map(Iterator::collect))
    }

    pub(super) fn with(host: String, port: u16, look_up: LookUp) -> Self {
        let ip = host.parse::<IpAddr>().ok();
        let known =
            ip.map_or_else(|| last_answers::inherited(&host, port), |ip| vec![SocketAddr::new(ip, port)]);
        Self {
            host,
            port,
            is_name: ip.is_none(),
            look_up,
            known,
            under_way: None,
            asked: ip.is_some().then(Instant::now),
            doubted: false,
            error: None,
        }
    }

    /// Notes that sends reached nobody: the answer may be out of date.
    pub(super) fn doubt(&mut self) {
        self.doubted = true;
    }

    /// Allows another look-up at once if nothing is known yet.
    pub(super) fn hurry(&mut self) {
        if self.known.is_empty() {
            self.asked = None;
        }
    }

    /// Updates the addresses. Waits only for the very first answer, for at most `wait budget`.
    pub(super) fn refresh(&mut self, wait_budget: Duration) -> News {
        if !self.is_name {
            return if self.take_turn() { News::Same } else { News::None };
        }
        self.ask();
        let Some(receiver) = &self.under_way else { return News::None };
        let wait_budget = if self.known.is_empty() { wait_budget } else { Duration::ZERO };
        let answer = match receiver.recv_timeout(wait_budget) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => return News::None,
            Err(RecvTimeoutError::Disconnected) => Err(ErrorKind::BrokenPipe.into()),
        };
        self.under_way = None;
        let nothing = || io::Error::new(ErrorKind::NotFound, "the name has no address");
        match answer.and_then(|known| if known.is_empty() { Err(nothing()) } else { Ok(known) }) {
            Ok(addresses) => {
                last_answers::note(&self.host, self.port, &addresses);
                self.doubted = false;
                self.error = None;
                let before = std::mem::replace(&mut self.known, addresses);
                if self.known == before { News::Same } else { News::Other }
            }
            // The last good answer is the best available.
            Err(error) => {
                self.doubted = true;
                self.error = Some(error);
                News::None
            }
        }
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.known
    }

    /// Why there is no address, if that is new.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        let is_late = self.known.is_empty() && self.under_way.is_some();
        let late = is_late.then_some(Failure::Late("its name was not resolved in time"));
        self.error.take().map(Failure::Refused).or(late)
    }

    /// Starts a look-up if one is due.
    pub(super) fn ask(&mut self) {
        if self.is_name {
            self.look_up_and(|_| ());
        }
    }

    /// The same for any host. The addresses are passed to an action in the same thread, or in a thread with the given
    /// name if some are known. Returns whether that will happen.
    pub(super) fn ask_and(
        &mut self,
        thread: &'static str,
        act: impl FnOnce(&[SocketAddr]) + Send + 'static,
    ) -> bool {
        if self.known.is_empty() {
            return self.look_up_and(act);
        }
        self.ask();
        let known = self.known.clone();
        crate::process::thread::spawn(thread, move || act(&known)).is_ok()
    }

    fn look_up_and(&mut self, act: impl FnOnce(&[SocketAddr]) + Send + 'static) -> bool {
        if !self.take_turn() {
            return false;
        }
        let (sender, receiver) = bounded(1);
        let (host, port, look_up) = (self.host.clone(), self.port, self.look_up);
        let started = crate::process::thread::spawn(RESOLVING, move || {
            let answer = look_up(&host, port);
            let addresses = answer.as_ref().ok().cloned();
            // Nobody receives the answer if the worker ended meanwhile.
            let _ = sender.send(answer);
            if let Some(addresses) = addresses.filter(|addresses| !addresses.is_empty()) {
                act(&addresses);
            }
        });
        self.under_way = started.is_ok().then_some(receiver);
        self.under_way.is_some()
    }

    /// Makes the last answer as old as answers get.
    #[cfg(test)]
    pub(super) fn grow_old(&mut self) {
        self.asked = Instant::now().checked_sub(INTERVAL);
    }

    fn take_turn(&mut self) -> bool {
        let interval =
            if self.is_name && (self.doubted || self.known.is_empty()) { RETRY_INTERVAL } else { INTERVAL };
        let is_due = self.under_way.is_none()
            && self.asked.is_none_or(|asked| nanos(asked.elapsed()) >= nanos(interval));
        if is_due {
            self.asked = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU16, Ordering};
    use std::thread;

    const BUDGET: Duration = Duration::from_secs(10);

    #[test]
    fn an_ip_address_is_its_own_answer() {
        let mut resolver = Resolver::new("::1".to_owned(), 8125);
        assert_eq!(resolver.refresh(BUDGET), News::None);
        assert_eq!(resolver.addresses(), ["[::1]:8125".parse().unwrap()]);
        resolver.doubt();
        assert_eq!(resolver.refresh(BUDGET), News::None);
        resolver.asked = Instant::now().checked_sub(INTERVAL);
        assert_eq!(resolver.refresh(BUDGET), News::Same);
        assert_eq!(resolver.refresh(BUDGET), News::None);
    }

    #[test]
    fn a_name_is_asked_again_when_it_is_doubted() {
        static ANSWERS: AtomicU16 = AtomicU16::new(0);
        let mut resolver = Resolver::with("agent".to_owned(), 1, |_, _| {
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 100 + ANSWERS.fetch_add(1, Ordering::SeqCst)))])
        });
        assert_eq!(resolver.refresh(BUDGET), News::Other);
        assert_eq!(resolver.addresses(), ["127.0.0.1:100".parse().unwrap()]);
        assert_eq!(resolver.refresh(BUDGET), News::None, "a good answer is kept");
        resolver.doubt();
        assert_eq!(resolver.refresh(BUDGET), News::None, "not twice within the retry interval");
        resolver.asked = Instant::now().checked_sub(RETRY_INTERVAL);
        while resolver.refresh(BUDGET) != News::Other {
            thread::yield_now();
        }
        assert_eq!(resolver.addresses(), ["127.0.0.1:101".parse().unwrap()]);
        resolver.asked = Instant::now().checked_sub(INTERVAL);
        while resolver.refresh(BUDGET) != News::Other {
            thread::yield_now();
        }
        assert_eq!(resolver.addresses(), ["127.0.0.1:102".parse().unwrap()]);
    }

    #[test]
    fn a_failed_answer_keeps_the_last_good_one() {
        static GOOD: AtomicU16 = AtomicU16::new(1);
        let mut resolver =
            Resolver::with("agent".to_owned(), 1, |_, _| match GOOD.swap(0, Ordering::SeqCst) {
                0 => Err(io::ErrorKind::NotFound.into()),
                _ => Ok(vec![SocketAddr::from(([127, 0, 0, 1], 7))]),
            });
        assert_eq!(resolver.refresh(BUDGET), News::Other);
        resolver.doubt();
        resolver.asked = Instant::now().checked_sub(RETRY_INTERVAL);
        assert_eq!(resolver.refresh(BUDGET), News::None);
        assert_eq!(resolver.addresses(), ["127.0.0.1:7".parse().unwrap()]);
    }

    #[test]
    fn a_name_that_was_never_found_may_be_asked_for_again_at_once_and_says_why() {
        let mut resolver = Resolver::with("agent".to_owned(), 1, |_, _| Err(ErrorKind::NotFound.into()));
        for _ in 0..3 {
            resolver.hurry();
            assert_eq!(resolver.refresh(BUDGET), News::None);
            assert_eq!(resolver.failure().unwrap().to_string(), "entity not found");
            assert!(resolver.failure().is_none(), "nothing is under way");
        }
    }

    #[test]
    fn a_resolver_that_hangs_holds_nobody() {
        let mut resolver = Resolver::with("agent".to_owned(), 1, |_, _| {
            loop {
                thread::park();
            }
        });
        assert_eq!(resolver.refresh(Duration::from_millis(1)), News::None);
        assert!(resolver.addresses().is_empty());
    }
}
