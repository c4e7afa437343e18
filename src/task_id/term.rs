//! The id of a process that leases one. It changes when a lease is lost or won.

use crate::process::sync::wide::AtomicU64;
use crate::task_id::{TaskId, TaskIdPool, TaskIdSourceKind};
#[cfg(feature = "redis")]
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
#[cfg(any(feature = "redis", test))]
use std::time::Duration;
use std::time::Instant;

/// Bits of a [`Standing`] that hold the bucket's number: enough for the largest pool.
const NUMBER_BITS: u32 = 20;
const _: () = assert!(TaskIdPool::MAX_SIZE < 1 << NUMBER_BITS);

/// The expiry of a lease that only ends by being lost, as one of a file does.
const UNTIL_LOST: u64 = u64::MAX >> NUMBER_BITS;

/// Stands for an unknown number of live tasks.
#[cfg(feature = "redis")]
const UNKNOWN: u32 = u32::MAX;

/// The part of a lease after which its id is given up, counted from before the request. The rest allows for clocks that
/// run at different speeds, and for packets on their way.
#[cfg(any(feature = "redis", test))]
fn usable(lease: Duration) -> Duration {
    lease * 2 / 3
}

/// Which id a process has, and until when.
///
/// Every reader of the id gives it up if its time is over. That takes no thread, no server and no lock, so nothing that
/// hangs can keep an id for too long, and a forked child can read it as well. The word is `Relaxed`, because it
/// publishes no other data. A reader that sees a loss counted also sees the id that replaced it.
#[derive(Debug)]
pub(crate) struct Term {
    pool: TaskIdPool,
    origin: Instant,
    standing: AtomicU64,
    #[cfg(feature = "redis")]
    live: AtomicU32,
    losses: AtomicU64,
}

/// The current bucket in one word: leased until so many milliseconds after the origin, or shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    number: u32,
    // 0 means that the bucket is shared. `UNTIL_LOST` has no end.
    until: u64,
}

impl Standing {
    fn shared(number: u32) -> Self {
        Self { number, until: 0 }
    }

    fn pack(self) -> u64 {
        self.until << NUMBER_BITS | u64::from(self.number)
    }

    fn unpack(word: u64) -> Self {
        let number = u32::try_from(word & ((1 << NUMBER_BITS) - 1)).unwrap_or(1);
        Self { number, until: word >> NUMBER_BITS }
    }
}

impl Term {
    /// Starts with a shared bucket.
    pub(super) fn new(start: TaskId, now: Instant) -> Self {
        Self {
            pool: start.pool(),
            origin: now,
            standing: AtomicU64::new(Standing::shared(start.number()).pack()),
            #[cfg(feature = "redis")]
            live: AtomicU32::new(UNKNOWN),
            losses: AtomicU64::new(0),
        }
    }

    /// The id at this moment.
    pub(super) fn task_id(&self) -> TaskId {
        self.task_id_at(Instant::now())
    }

    fn task_id_at(&self, now: Instant) -> TaskId {
        let standing = self.standing_at(now);
        let source = if standing.until == 0 { TaskIdSourceKind::Shared } else { TaskIdSourceKind::Leased };
        self.pool.id_at(u64::from(standing.number).saturating_sub(1), source)
    }

    /// The standing at this moment. A lease whose time is over is given up first.
    fn standing_at(&self, now: Instant) -> Standing {
        loop {
            let word = self.standing.load(Ordering::Relaxed);
            let standing = Standing::unpack(word);
            if [0, UNTIL_LOST].contains(&standing.until) || self.millis(now) < standing.until {
                return standing;
            }
            self.leave(word);
        }
    }

    /// Exchanges a lease for a shared bucket, unless the standing changed meanwhile.
    fn leave(&self, word: u64) {
        let lost = Standing::unpack(word).number;
        let drawn = self.pool.draw_or_hash().number();
        // The lost bucket goes to the next holder, so sharing it would collide more often than chance has it.
        let number = if drawn == lost { lost % self.pool.size() + 1 } else { drawn };
        let shared = Standing::shared(number).pack();
        if self.standing.compare_exchange(word, shared, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.losses.fetch_add(1, Ordering::Release);
        }
    }

    /// Starts a lease that needs no renewal.
    pub(super) fn hold_until_lost(&self, number: u32) {
        let held = Standing { number, until: UNTIL_LOST }.pack();
        self.count_loss_of(Standing::unpack(self.standing.swap(held, Ordering::Relaxed)), number);
    }

    /// Starts or renews a lease that was requested at `asked`. An answer that took too long has no effect.
    #[cfg(feature = "redis")]
    pub(super) fn hold(&self, number: u32, asked: Instant, lease: Duration) {
        self.hold_at(number, asked, lease, Instant::now());
    }

    #[cfg(any(feature = "redis", test))]
    fn hold_at(&self, number: u32, asked: Instant, lease: Duration, now: Instant) {
        // Gives up a lease whose time is over by now.
        let before = self.standing_at(now);
        let until = self.millis(asked + usable(lease));
        if self.millis(now) < until {
            let held = Standing { number, until }.pack();
            // In one step, so that the bucket is never shared in between.
            self.count_loss_of(Standing::unpack(self.standing.swap(held, Ordering::Relaxed)), number);
        } else if before.number != number {
            // Another process already has it.
            self.lose();
        }
    }

    /// Counts a loss if the previous standing was a lease of another bucket than the next.
    fn count_loss_of(&self, before: Standing, next: u32) {
        if before.until != 0 && before.number != next {
            self.losses.fetch_add(1, Ordering::Release);
        }
    }

    /// Notes that there is no lease and will be none.
    pub(super) fn lose(&self) {
        let word = self.standing.load(Ordering::Relaxed);
        if Standing::unpack(word).until != 0 {
            self.leave(word);
        }
    }

    /// Gives the lease back. It is not counted as lost, but other tasks may have the bucket from now on.
    pub(super) fn give_back(&self) {
        let number = Standing::unpack(self.standing.load(Ordering::Relaxed)).number;
        self.standing.store(Standing::shared(number).pack(), Ordering::Relaxed);
    }

    #[cfg(feature = "redis")]
    pub(super) fn note_live(&self, live: Option<u32>) {
        self.live.store(live.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// How many tasks held a lease at the last answer from Redis; `None` while it does not answer.
    #[cfg(feature = "redis")]
    pub(super) fn live(&self) -> Option<u32> {
        Some(self.live.load(Ordering::Relaxed)).filter(|live| *live != UNKNOWN)
    }

    /// How often a lease was lost.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    /// Whole milliseconds since the origin, plus one so that it is never 0.
    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1).min(UNTIL_LOST - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn term(size: u32) -> (Term, Instant) {
        let now = Instant::now();
        let start = TaskIdPool::new(size).unwrap().id(1).unwrap();
        (Term::new(start, now), now)
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn an_id_is_given_up_before_its_lease_can_expire_whoever_asks() {
        let (term, start) = term(1000);
        let at = |now| {
            let id = term.task_id_at(now);
            (id.source(), id.number())
        };
        assert_eq!(at(start), (TaskIdSourceKind::Shared, 1));
        // The time counts from the request, not from the answer.
        term.hold_at(42, start, LEASE, start + seconds(5));
        assert_eq!(at(start + Duration::from_millis(19_999)), (TaskIdSourceKind::Leased, 42));
        let (source, number) = at(start + seconds(20));
        assert_eq!((source, term.losses()), (TaskIdSourceKind::Shared, 1));
        assert_ne!(number, 42);
        // Once, however often it is read.
        assert_eq!(at(start + seconds(100)), (source, number));
        assert_eq!(term.losses(), 1);
    }

    #[test]
    fn a_renewed_lease_goes_on_and_a_late_answer_is_worth_nothing() {
        let (term, start) = term(1000);
        for round in 0..10 {
            let asked = start + seconds(19) * round;
            term.hold_at(42, asked, LEASE, asked);
            assert_eq!(term.task_id_at(asked + seconds(19)).source(), TaskIdSourceKind::Leased);
        }
        assert_eq!(term.losses(), 0);
        let asked = start + seconds(171);
        term.hold_at(42, asked, LEASE, asked + seconds(20));
        assert_eq!(term.task_id_at(asked + seconds(20)).source(), TaskIdSourceKind::Shared);
        assert_eq!(term.losses(), 1);
        // Won again.
        let asked = asked + seconds(60);
        term.hold_at(42, asked, LEASE, asked);
        assert_eq!((term.task_id_at(asked).number(), term.losses()), (42, 1));
    }

    #[test]
    fn a_lease_that_another_process_has_is_lost_at_once() {
        let (term, start) = term(1000);
        term.hold_at(42, start, LEASE, start);
        term.hold_at(7, start, LEASE, start);
        assert_eq!((term.task_id_at(start).number(), term.losses()), (7, 1));
        term.lose();
        let id = term.task_id_at(start);
        assert_eq!((id.source(), term.losses()), (TaskIdSourceKind::Shared, 2));
        assert_ne!(id.number(), 7);
        term.lose();
        assert_eq!(term.losses(), 2);
    }

    #[test]
    fn who_has_a_new_lease_for_one_that_was_lost_has_a_lease_at_every_moment() {
        const CHANGES: u64 = 20_000;
        let (term, start) = term(1000);
        term.hold_at(1, start, LEASE, start);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..CHANGES)
                    .for_each(|change| term.hold_at(2 - u32::from(change % 2 == 1), start, LEASE, start));
            });
            while term.losses() < CHANGES {
                let (losses, id) = (term.losses(), term.task_id_at(start));
                assert_eq!(id.source(), TaskIdSourceKind::Leased, "after {losses} losses");
            }
        });
        assert_eq!((term.task_id_at(start).number(), term.losses()), (1, CHANGES));
    }

    #[test]
    fn a_lease_that_was_given_back_is_shared_and_not_lost() {
        let (term, start) = term(1000);
        term.hold_at(42, start, LEASE, start);
        term.give_back();
        let id = term.task_id_at(start);
        assert_eq!((id.number(), id.source(), term.losses()), (42, TaskIdSourceKind::Shared, 0));
    }

    #[test]
    fn the_lost_bucket_is_not_the_shared_one_unless_there_is_no_other() {
        for (size, number) in [(2, 1), (2, 2), (1, 1)] {
            for _ in 0..50 {
                let (term, start) = term(size);
                term.hold_at(number, start, LEASE, start);
                let shared = term.task_id_at(start + LEASE).number();
                assert_eq!(shared == number, size == 1);
                assert!((1..=size).contains(&shared));
            }
        }
    }

    #[test]
    fn every_number_and_time_fits_the_word() {
        let latest = UNTIL_LOST;
        for number in [1, 999, TaskIdPool::MAX_SIZE] {
            for until in [0, 1, 1 << 40, latest] {
                let standing = Standing { number, until };
                assert_eq!(Standing::unpack(standing.pack()), standing);
            }
        }
    }
}
