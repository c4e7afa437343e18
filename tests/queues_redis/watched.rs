//! A server, and a queue in it that is asked about.

use crate::server::Redis;
use crate::support::{PATIENCE, in_time};
use std::thread;
use std::time::{Duration, Instant};
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;

/// Times in ms are cut, and the clocks of processes are read one after the other.
const TOLERANCE: Duration = Duration::from_millis(5);
/// So far apart are jobs of which one is to be older.
const APART: Duration = Duration::from_millis(50);

pub(crate) struct Watched {
    pub(crate) redis: Redis,
    pub(crate) queue: RedisQueue,
}

/// The times between which something was done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    before: Instant,
    after: Instant,
}

impl Span {
    pub(crate) fn of(act: impl FnOnce()) -> Self {
        let before = Instant::now();
        act();
        let after = Instant::now();
        thread::sleep(APART);
        Self { before, after }
    }

    /// The time at which what was to be done after a delay became due.
    pub(crate) fn later(self, delay: Duration) -> Self {
        Self { before: self.before + delay, after: self.after + delay }
    }

    /// For a system that cuts its times to `unit`.
    pub(crate) fn cut_to(self, unit: Duration) -> Self {
        Self { before: self.before.checked_sub(unit).unwrap(), ..self }
    }
}

/// An answer of a server. A busy machine may be too late for one, and gets the next; before each, something is done.
#[allow(dead_code, reason = "each package of tests uses a part")]
pub(crate) fn answer(queue: &RedisQueue, url: &str, mut before: impl FnMut()) -> QueueStatus {
    in_time(|| {
        before();
        queue.ask(url).ok()
    })
}

impl Watched {
    /// `None` where there is no server.
    pub(crate) fn new(queue: impl Into<RedisQueue>) -> Option<Self> {
        Some(Self { redis: Redis::start()?, queue: queue.into() })
    }

    pub(crate) fn url(&self) -> String {
        self.redis.port_url()
    }

    pub(crate) fn status(&self) -> QueueStatus {
        self.ask().1
    }

    /// An answer, and when it was asked for.
    fn ask(&self) -> (Instant, QueueStatus) {
        let mut asked = Instant::now();
        let status = answer(&self.queue, &self.url(), || asked = Instant::now());
        (asked, status)
    }

    /// Waits until all but the age is what is expected.
    #[track_caller]
    pub(crate) fn expect(&self, expected: QueueStatus) {
        let start = Instant::now();
        loop {
            let found = self.status().oldest_age(None);
            if found == expected.oldest_age(None) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{found:?} and not {expected:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Checks that the oldest job could start from when something was done.
    #[track_caller]
    pub(crate) fn expect_oldest(&self, span: Span) {
        let (asked, status) = self.ask();
        let at_least = (asked - span.after).saturating_sub(TOLERANCE);
        let age = status.oldest_age.expect("there is an age");
        let at_most = span.before.elapsed() + TOLERANCE;
        assert!((at_least..=at_most).contains(&age), "{age:?} is not from {at_least:?} to {at_most:?}");
    }

    pub(crate) fn call<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        self.redis.call(words)
    }

    /// The server's clock, in seconds.
    pub(crate) fn now(&self) -> f64 {
        self.now_micros() as f64 / 1e6
    }

    pub(crate) fn now_micros(&self) -> u64 {
        let [seconds, micros]: [u64; 2] = self.call::<Vec<u64>>(&["TIME"]).try_into().unwrap();
        seconds * 1_000_000 + micros
    }
}
