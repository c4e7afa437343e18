//! From a host's name to its addresses, now and later.

use crate::clock::nanos;
use crossbeam_channel::{Receiver, bounded};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long an answer is good for while packets are taken.
const INTERVAL: Duration = Duration::from_secs(60);
/// The least time between two questions, however many packets fail.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

type Answer = io::Result<Vec<SocketAddr>>;
type LookUp = fn(&str, u16) -> Answer;

/// Finds a host's addresses without holding the worker.
///
/// The system's resolver takes as long as it likes, and nothing can hurry it. So a name is looked up on a thread of
/// its own, one at a time, that ends with its answer. An IP address needs none.
#[derive(Debug)]
pub(super) struct Resolver {
    host: String,
    port: u16,
    look_up: LookUp,
    known: Vec<SocketAddr>,
    under_way: Option<Receiver<Answer>>,
    asked: Option<Instant>,
    doubted: bool,
}

impl Resolver {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self::with(host, port, |host, port| (host, port).to_socket_addrs().map(Iterator::collect))
    }

    pub(super) fn with(host: String, port: u16, look_up: LookUp) -> Self {
        let known = host.parse::<IpAddr>().map(|ip| vec![SocketAddr::new(ip, port)]).unwrap_or_default();
        let mut resolver = Self { host, port, look_up, known, under_way: None, asked: None, doubted: false };
        resolver.ask();
        resolver
    }

    /// Sends reached nobody: the answer may be out of date.
    pub(super) fn doubt(&mut self) {
        self.doubted = true;
    }

    /// The addresses as known now; waits for the very first answer for at most `patience`. `true` when they changed.
    pub(super) fn refresh(&mut self, patience: Duration) -> bool {
        self.ask();
        let Some(receiver) = &self.under_way else { return false };
        let patience = if self.known.is_empty() { patience } else { Duration::ZERO };
        let Ok(answer) = receiver.recv_timeout(patience) else { return false };
        self.under_way = None;
        match answer {
            Ok(addresses) if !addresses.is_empty() => {
                self.doubted = false;
                let changed = addresses != self.known;
                self.known = addresses;
                changed
            }
            // The last good answer is the best there is.
            _ => {
                self.doubted = true;
                false
            }
        }
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.known
    }

    fn ask(&mut self) {
        let interval = if self.doubted || self.known.is_empty() { RETRY_INTERVAL } else { INTERVAL };
        let due = self.asked.is_none_or(|asked| nanos(asked.elapsed()) >= nanos(interval));
        if self.host.parse::<IpAddr>().is_ok() || self.under_way.is_some() || !due {
            return;
        }
        self.asked = Some(Instant::now());
        let (sender, receiver) = bounded(1);
        let (host, port, look_up) = (self.host.clone(), self.port, self.look_up);
        let started = crate::thread::spawn("tasktag-resolve", move || {
            // Nobody listens any more when the worker ended meanwhile.
            let _ = sender.send(look_up(&host, port));
        });
        self.under_way = started.is_ok().then_some(receiver);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU16, Ordering};
    use std::thread;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn an_ip_address_is_its_own_answer() {
        let mut resolver = Resolver::new("::1".to_owned(), 8125);
        assert!(!resolver.refresh(PATIENCE));
        assert_eq!(resolver.addresses(), ["[::1]:8125".parse().unwrap()]);
    }

    #[test]
    fn a_name_is_asked_again_when_it_is_doubted() {
        static ANSWERS: AtomicU16 = AtomicU16::new(0);
        let mut resolver = Resolver::with("agent".to_owned(), 1, |_, _| {
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 100 + ANSWERS.fetch_add(1, Ordering::SeqCst)))])
        });
        assert!(resolver.refresh(PATIENCE));
        assert_eq!(resolver.addresses(), ["127.0.0.1:100".parse().unwrap()]);
        assert!(!resolver.refresh(PATIENCE), "a good answer is kept");
        resolver.doubt();
        assert!(!resolver.refresh(PATIENCE), "not twice within the retry interval");
        resolver.asked = Instant::now().checked_sub(RETRY_INTERVAL);
        while !resolver.refresh(PATIENCE) {
            thread::yield_now();
        }
        assert_eq!(resolver.addresses(), ["127.0.0.1:101".parse().unwrap()]);
        resolver.asked = Instant::now().checked_sub(INTERVAL);
        while !resolver.refresh(PATIENCE) {
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
        assert!(resolver.refresh(PATIENCE));
        resolver.doubt();
        resolver.asked = Instant::now().checked_sub(RETRY_INTERVAL);
        assert!(!resolver.refresh(PATIENCE));
        assert_eq!(resolver.addresses(), ["127.0.0.1:7".parse().unwrap()]);
    }

    #[test]
    fn a_resolver_that_hangs_holds_nobody() {
        let mut resolver = Resolver::with("agent".to_owned(), 1, |_, _| {
            loop {
                thread::park();
            }
        });
        assert!(!resolver.refresh(Duration::from_millis(1)));
        assert!(resolver.addresses().is_empty());
    }
}
