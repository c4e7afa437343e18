//! The state of the probe thread: its next job, and the calls that have not returned.

use super::{Levels, Watched};
use crate::callback::notice::Notices;
use crate::ledger::Ledger;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

/// The time after which a call of a user's closure is late, and the other closures continue without it.
pub(super) const LATE_AFTER: Duration = Duration::from_secs(1);
/// The number of threads that may be left behind in calls that don't return. With one more such call, nothing is polled
/// until one of them returns.
const MAX_LEFT_BEHIND: usize = 4;
/// The name of the [`on_loss`](crate::ClientBuilder::on_loss) closure among the late probes.
const ON_LOSS: &str = "on_loss";

/// What the thread does without holding the lock.
#[derive(Debug)]
pub(super) enum Job {
    /// Waits until the given time, or until it is notified.
    Wait(Option<u64>),
    Ask(Box<Watched>),
    Look(Box<Notices>, Look),
    Tell(Box<Notices>, String),
    LetGo(Vec<Watched>, Option<Box<Notices>>),
}

/// The outcome of a job.
#[derive(Debug)]
pub(super) enum Done {
    Asked(Option<Box<Watched>>),
    Told(Option<Box<Notices>>),
    LetGo,
}

/// A reason to look for losses: a flush at the given time, or the last flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Flush(u64),
    End(u64),
}

impl Job {
    /// Runs the job. Panics of user code are caught here.
    pub(super) fn run(self, ledgers: &[Arc<Ledger>]) -> Done {
        match self {
            Self::Wait(_) => Done::LetGo,
            Self::Ask(mut probe) => {
                let goes_on = ledgers.first().is_some_and(|ledger| probe.collect(ledger));
                // A removed probe is dropped here, without holding the lock.
                Done::Asked(goes_on.then_some(probe))
            }
            Self::Look(mut notices, Look::Flush(now)) => {
                notices.look(now, ledgers.iter());
                Done::Told(Some(notices))
            }
            Self::Look(notices, Look::End(now)) => {
                notices.end(now, ledgers.iter());
                Done::Told(None)
            }
            Self::Tell(notices, probe) => {
                if let Some(ledger) = ledgers.first() {
                    notices.tell_of_late(probe, LATE_AFTER, ledger);
                }
                Done::Told(Some(notices))
            }
            Self::LetGo(probes, notices) => {
                drop(probes);
                if let Some(notices) = notices {
                    notices.let_go();
                }
                Done::LetGo
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    // Probes that were polled in this round, or wait for the next.
    resting: Vec<Watched>,
    // Probes that are still due in this round.
    queue: VecDeque<Watched>,
    requested: u64,
    completed: u64,
    // The request that the current round answers.
    round: Option<u64>,
    interval: u64,
    due: u64,
    notices: Option<Box<Notices>>,
    look: Option<Look>,
    // The names of late probes that have not been reported yet.
    untold: VecDeque<String>,
    // The number of the thread in charge. A thread with an earlier number was left behind.
    turn: u64,
    has_thread: bool,
    call: Option<Call>,
    left_behind: Vec<(u64, String)>,
    threads: Vec<ThreadId>,
    closed: bool,
}

/// A running call of a user's closure.
#[derive(Debug)]
struct Call {
    since: u64,
    name: String,
    levels: Option<Arc<dyn Levels>>,
    // Whether this is the `on_loss` closure.
    tells: bool,
    is_late: bool,
}

impl State {
    pub(super) fn begin(&mut self, now: u64, interval: u64, notices: Option<Notices>) {
        self.interval = interval;
        self.due = now.saturating_add(interval);
        self.notices = notices.map(Box::new);
    }

    pub(super) fn take_on(&mut self, probe: Watched) -> Option<Watched> {
        if self.closed {
            return Some(probe);
        }
        self.resting.push(probe);
        None
    }

    /// Returns the round that will answer, or `None` if there is nothing to poll.
    pub(super) fn request_round(&mut self) -> Option<u64> {
        if self.resting.is_empty() && self.queue.is_empty() && self.round.is_none() {
            return None;
        }
        self.requested += 1;
        Some(self.requested)
    }

    pub(super) fn has_completed(&self, round: u64) -> bool {
        self.completed >= round
    }

    #[cfg(feature = "testing")]
    pub(super) fn is_due(&self, now: u64) -> bool {
        now >= self.due
    }

    pub(super) fn look(&mut self, look: Look) {
        // A later look finds the same losses and more. Without a closure, nothing looks for losses.
        if self.notices.is_some() || self.is_telling() {
            self.look = Some(look);
        }
    }

    pub(super) fn has_look(&self) -> bool {
        let waits = self.look.is_some() || !self.untold.is_empty();
        // Without a closure, or if it was left behind, there is no notice to wait for.
        (waits && self.notices.is_some()) || self.is_telling()
    }

    fn is_telling(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.tells)
    }

    pub(super) fn close(&mut self, now: u64) {
        self.look(Look::End(now));
        self.closed = true;
    }

    /// Takes everything that users handed in, so that it can be dropped without holding the lock.
    pub(super) fn take_all(&mut self) -> (Vec<Watched>, Option<Box<Notices>>) {
        let mut probes = mem::take(&mut self.resting);
        probes.extend(self.queue.drain(..));
        self.completed = self.requested;
        self.round = None;
        self.look = None;
        self.untold.clear();
        (probes, self.notices.take())
    }

    /// Returns the number of the thread that has to be started, if any.
    pub(super) fn turn_without_thread(&self) -> Option<u64> {
        let has_work = !self.resting.is_empty() || !self.queue.is_empty() || self.notices.is_some();
        (has_work && !self.has_thread).then_some(self.turn)
    }

    pub(super) fn started(&mut self) {
        self.has_thread = true;
    }

    /// Returns whether a thread is in charge, or about to be.
    pub(super) fn has_thread(&self) -> bool {
        self.has_thread
    }

    pub(super) fn enter(&mut self) {
        self.threads.push(thread::current().id());
    }

    /// A thread ends. It drops what came back too late for the shutdown.
    pub(super) fn leave(&mut self, turn: u64) -> Option<Job> {
        self.threads.retain(|id| *id != thread::current().id());
        if self.turn == turn {
            self.has_thread = false;
        }
        let is_nobodys = self.closed && !self.has_thread;
        is_nobodys.then(|| self.take_all()).map(|(probes, notices)| Job::LetGo(probes, notices))
    }

    pub(super) fn is_own_thread(&self) -> bool {
        self.threads.contains(&thread::current().id())
    }

    /// Returns whether no call is under way or to come before the next flush, so that none can be late.
    pub(super) fn is_quiet(&self) -> bool {
        let calls = self.call.is_some() || !self.left_behind.is_empty() || self.has_look();
        let polls = !self.resting.is_empty() || !self.queue.is_empty();
        !calls && !polls && self.turn_without_thread().is_none()
    }

    /// Returns whether the thread in charge is in a late call.
    pub(super) fn is_stuck(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.is_late)
    }

    pub(super) fn late(&self) -> Vec<String> {
        let stuck = self.call.iter().filter(|call| call.is_late).map(|call| call.name.clone());
        self.left_behind.iter().map(|(_, name)| name.clone()).chain(stuck).collect()
    }

    /// Returns the next job of a thread, or `None` if the thread has to end.
    pub(super) fn next(&mut self, turn: u64, now: u64) -> Option<Job> {
        if turn != self.turn {
            return None;
        }
        if let Some(job) = self.next_to_tell(now) {
            return Some(job);
        }
        if self.closed {
            let (probes, notices) = self.take_all();
            let has_any = !probes.is_empty() || notices.is_some();
            // This is not one of the timed calls. It may take any time, and only the shutdown waits for it.
            return has_any.then_some(Job::LetGo(probes, notices));
        }
        if let Some(probe) = self.next_to_ask(now) {
            let (name, levels) = (probe.name(), probe.levels());
            self.call = Some(Call { since: now, name, levels, tells: false, is_late: false });
            return Some(Job::Ask(Box::new(probe)));
        }
        Some(Job::Wait((!self.resting.is_empty()).then_some(self.due)))
    }

    fn next_to_tell(&mut self, now: u64) -> Option<Job> {
        if self.look.is_none() && self.untold.is_empty() {
            return None;
        }
        // The closure may still be left behind with another thread. Its notices wait until it returns.
        let notices = self.notices.take()?;
        self.call =
            Some(Call { since: now, name: ON_LOSS.to_owned(), levels: None, tells: true, is_late: false });
        match self.untold.pop_front() {
            Some(probe) => Some(Job::Tell(notices, probe)),
            None => self.look.take().map(|look| Job::Look(notices, look)),
        }
    }

    fn next_to_ask(&mut self, now: u64) -> Option<Watched> {
        if let Some(probe) = self.queue.pop_front() {
            return Some(probe);
        }
        if let Some(round) = self.round.take() {
            self.completed = round;
        }
        if self.requested == self.completed && now < self.due {
            return None;
        }
        self.due = now.saturating_add(self.interval);
        self.queue.extend(self.resting.drain(..));
        let first = self.queue.pop_front();
        if first.is_some() {
            self.round = Some(self.requested);
        } else {
            self.completed = self.requested;
        }
        first
    }

    /// Records a finished job, of the thread in charge or of one that was left behind.
    pub(super) fn returned(&mut self, turn: u64, done: Done) {
        match done {
            Done::Asked(probe) => self.resting.extend(probe.map(|probe| *probe)),
            Done::Told(notices) => self.notices = notices,
            Done::LetGo => {}
        }
        if turn == self.turn {
            self.call = None;
            return;
        }
        self.left_behind.retain(|(left, _)| *left != turn);
        if self.is_stuck() {
            // No thread was in charge, so this one takes over.
            let stuck = self.call.take().map(|call| (self.turn, call.name));
            self.left_behind.extend(stuck);
            self.turn = turn;
        }
    }

    /// Leaves a late call behind, and returns the gauges that have to become absent.
    pub(super) fn leave_behind(&mut self, now: u64) -> Option<Vec<Arc<dyn Levels>>> {
        let late_after = crate::process::clock::nanos(LATE_AFTER);
        let call = self.call.as_mut().filter(|call| !call.is_late)?;
        if now.saturating_sub(call.since) < late_after {
            return None;
        }
        call.is_late = true;
        let (name, mut absent) = (call.name.clone(), Vec::from_iter(call.levels.take()));
        if !call.tells && self.notices.is_some() {
            // There is at most one name per call that can be late at the same time.
            self.untold.truncate(MAX_LEFT_BEHIND);
            self.untold.push_back(name.clone());
        }
        if self.left_behind.len() < MAX_LEFT_BEHIND {
            self.left_behind.push((self.turn, name));
            self.call = None;
            self.turn = self.next_turn();
            self.has_thread = false;
        } else {
            // The other probes are not polled either.
            absent.extend(self.queue.iter().chain(&self.resting).filter_map(Watched::levels));
        }
        Some(absent)
    }

    /// Returns an unused number: a thread that was left behind may be in charge again.
    fn next_turn(&self) -> u64 {
        self.left_behind.iter().map(|(turn, _)| *turn).chain([self.turn]).max().unwrap_or(0) + 1
    }
}
