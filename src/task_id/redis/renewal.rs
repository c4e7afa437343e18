//! A lease in Redis, renewed by a thread of its own for as long as its owner wants.

use super::server::{Place, Server, Wish};
use crate::process::fork;
use crate::task_id::{TaskIdPool, Term};
use rand::TryRng;
use rand::rngs::SysRng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The thread's name, as shown in `/proc/self/task/*/comm`.
const THREAD_NAME: &str = "tasktag-lease";
/// The longest that a start waits for its lease, whatever hangs: a name look-up has no timeout of its own.
const START_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest that a shutdown waits until its lease is given back. A lease that is not given back in time expires.
const END_TIMEOUT: Duration = Duration::from_millis(250);
/// The number of renewals within the time of a lease.
const RENEWALS: u32 = 6;
/// The number of attempts within the time of a lease while the server does not answer.
const TRIES: u32 = 30;

/// A lease in Redis. Dropping it gives it back.
#[derive(Debug)]
pub(in crate::task_id) struct RedisLease {
    term: Arc<Term>,
    progress: Arc<Progress>,
    holder: u32,
}

/// The state shared by the thread and the owner of the lease.
#[derive(Debug)]
struct Progress {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The server has not answered yet.
    Starting,
    /// The thread renews the lease, or tries to.
    Running,
    /// The thread must give the lease back.
    Leaving,
    /// The thread must end and leave the lease as it is.
    Abandoned,
    /// The thread has ended without ever having a lease, for this reason.
    Failed(String),
    /// The thread has ended and gave its lease back.
    Ended,
}

impl RedisLease {
    /// Takes a lease, or shares a bucket if the pool is full. With `keeps_asking`, it takes a lease when one is free.
    /// `Err` holds why the server can't be used.
    ///
    /// A forked child that is starting over does not wait: it shares a bucket until it has a lease.
    pub(in crate::task_id) fn start(
        place: &Place,
        pool: TaskIdPool,
        keeps_asking: bool,
    ) -> Result<Self, String> {
        let start = pool.draw().map_err(|error| error.to_string())?;
        let term = Arc::new(Term::new(start, Instant::now()));
        let progress = Arc::new(Progress { stage: Mutex::new(Stage::Starting), changed: Condvar::new() });
        let waits = !fork::is_newborn();
        let renewal = Renewal {
            server: Server::new(place, pool)?,
            term: Arc::clone(&term),
            progress: Arc::clone(&progress),
            lease: place.lease,
            wish: Wish::Number(None),
            keeps_asking,
        };
        // The state reports the thread's end: a forked child has no handle of any thread.
        crate::process::thread::spawn(THREAD_NAME, move || renewal.live(waits))
            .map_err(|error| error.to_string())?;
        let lease = Self { term, progress, holder: std::process::id() };
        if waits {
            lease.progress.wait_for_start()?;
        }
        Ok(lease)
    }

    pub(in crate::task_id) fn term(&self) -> &Arc<Term> {
        &self.term
    }

    /// Leaves the lease alone in a process restored from a snapshot: it belongs to the original.
    pub(in crate::task_id) fn abandon(&self) {
        self.progress.abandon();
        self.term.give_back();
    }

    /// Gives the lease back. A forked child has nothing to give back.
    pub(in crate::task_id) fn give_back(&self) {
        if self.holder == std::process::id() {
            self.progress.leave();
        }
    }
}

impl Drop for RedisLease {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Progress {
    /// Nothing panics while holding the lock, so a poisoned lock is usable too.
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while `unfinished`, but not for longer than `timeout`.
    fn wait(&self, timeout: Duration, unfinished: impl Fn(&Stage) -> bool) -> MutexGuard<'_, Stage> {
        let waited = self.changed.wait_timeout_while(self.stage(), timeout, |stage| unfinished(stage));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn wait_for_start(&self) -> Result<(), String> {
        let mut stage = self.wait(START_TIMEOUT, |stage| *stage == Stage::Starting);
        match &*stage {
            Stage::Starting => {
                *stage = Stage::Leaving;
                Err(format!("Redis did not answer within {START_TIMEOUT:?}"))
            }
            Stage::Failed(reason) => Err(reason.clone()),
            _ => Ok(()),
        }
    }

    /// Makes the thread give its lease back, and waits for it for a limited time.
    fn leave(&self) {
        {
            let mut stage = self.stage();
            if !matches!(*stage, Stage::Failed(_) | Stage::Ended | Stage::Abandoned) {
                *stage = Stage::Leaving;
                self.changed.notify_all();
            }
        }
        let _ended = self.wait(END_TIMEOUT, |stage| *stage == Stage::Leaving);
    }

    /// Makes the thread end, without waiting.
    fn abandon(&self) {
        let mut stage = self.stage();
        if !matches!(*stage, Stage::Failed(_) | Stage::Ended) {
            *stage = Stage::Abandoned;
            self.changed.notify_all();
        }
    }

    /// Moves to another stage, unless the thread must leave.
    fn reach(&self, reached: Stage) {
        let mut stage = self.stage();
        if !Self::is_over(&stage) || reached == Stage::Ended {
            *stage = reached;
            self.changed.notify_all();
        }
    }

    /// Whether the thread must end.
    fn is_over(stage: &Stage) -> bool {
        matches!(stage, Stage::Leaving | Stage::Abandoned)
    }
}

/// The state that the thread owns.
struct Renewal {
    server: Server,
    term: Arc<Term>,
    progress: Arc<Progress>,
    lease: Duration,
    wish: Wish,
    keeps_asking: bool,
}

impl Renewal {
    /// Renews until it must leave. With `must_start`, it ends if the first attempt fails.
    fn live(mut self, must_start: bool) {
        let mut tried = self.try_once();
        if let (Err(reason), true) = (&tried, must_start) {
            self.progress.reach(Stage::Failed(reason.clone()));
            return;
        }
        self.progress.reach(Stage::Running);
        let is_abandoned;
        loop {
            let pause = self.lease / if tried.is_ok() { RENEWALS } else { TRIES };
            let stage = self.progress.wait(jittered(pause), |stage| !Progress::is_over(stage)).clone();
            if Progress::is_over(&stage) {
                is_abandoned = stage == Stage::Abandoned;
                break;
            }
            tried = self.try_once();
        }
        // The id must change before the lease is free for others.
        self.term.give_back();
        if is_abandoned {
            self.progress.reach(Stage::Ended);
            return;
        }
        if let Wish::Number(Some(number)) = self.wish {
            let _ = catch_unwind(AssertUnwindSafe(|| self.server.give_back(number)));
        }
        self.progress.reach(Stage::Ended);
    }

    fn try_once(&mut self) -> Result<(), String> {
        let tried = catch_unwind(AssertUnwindSafe(|| self.ask()));
        let tried = tried.unwrap_or_else(|_| Err("the Redis client panicked".to_owned()));
        if tried.is_err() {
            self.term.note_live(None);
        }
        tried
    }

    fn ask(&mut self) -> Result<(), String> {
        let asked = Instant::now();
        let answer = self.server.ask(self.wish)?;
        self.term.note_live(Some(answer.live));
        match (self.wish, answer.number) {
            (Wish::Number(_), Some(number)) => {
                self.wish = Wish::Number(Some(number));
                self.term.hold(number, asked, self.lease);
            }
            // For an id, one attempt at a full pool is enough.
            (Wish::Number(_), None) => {
                self.wish = if self.keeps_asking { Wish::Number(None) } else { Wish::Count };
                self.term.lose();
            }
            (Wish::Count, _) => {}
        }
        Ok(())
    }
}

/// The pause, up to a quarter shorter, so that tasks that lost their leases together don't come back together.
fn jittered(pause: Duration) -> Duration {
    let drawn = SysRng.try_next_u32().unwrap_or(0);
    pause * (4000 - drawn % 1000) / 4000
}
