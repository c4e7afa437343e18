//! What the second thread has to do next, and what became of the calls that did not return.

use super::{Levels, Watched};
use crate::callback::notice::Notices;
use crate::ledger::Ledger;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How long a call of a user's closure may take before others go on without it.
pub(super) const LATE_AFTER: Duration = Duration::from_secs(1);
/// Threads that are left behind with calls that don't return. With one more such call nothing is asked any more until one
/// of them returns.
const MAX_LEFT_BEHIND: usize = 4;
/// What the closure of [`on_loss`](crate::ClientBuilder::on_loss) is called among probes.
const ON_LOSS: &str = "on_loss";

/// What the thread does without the lock.
#[derive(Debug)]
pub(super) enum Job {
    /// Nothing, until something is due or somebody says so.
    Wait(Option<u64>),
    Ask(Box<Watched>),
    Look(Box<Notices>, Look),
    Tell(Box<Notices>, String),
    LetGo(Vec<Watched>, Option<Box<Notices>>),
}

/// What is left of a job.
#[derive(Debug)]
pub(super) enum Done {
    Asked(Option<Box<Watched>>),
    Told(Option<Box<Notices>>),
    LetGo,
}

/// A reason to look for losses: the time of a flush that is over, or of the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Flush(u64),
    End(u64),
}

impl Job {
    /// Runs it, whatever the user's part of it does: panics end there.
    pub(super) fn run(self, ledgers: &[Arc<Ledger>]) -> Done {
        match self {
            Self::Wait(_) => Done::LetGo,
            Self::Ask(mut probe) => {
                let goes_on = ledgers.first().is_some_and(|ledger| probe.collect(ledger));
                // Dropped here, without the lock.
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
    // Those that were asked in this round, or are to be asked in the next.
    resting: Vec<Watched>,
    // Those that are still to be asked in this round.
    queue: VecDeque<Watched>,
    requested: u64,
    completed: u64,
    // Which request the round under way answers.
    round: Option<u64>,
    interval: u64,
    due: u64,
    notices: Option<Box<Notices>>,
    look: Option<Look>,
    // Names of probes that somebody is still to be told of.
    untold: VecDeque<String>,
    // Which thread is in charge. One with an earlier number was left behind.
    turn: u64,
    has_thread: bool,
    call: Option<Call>,
    left_behind: Vec<(u64, String)>,
    threads: Vec<ThreadId>,
    closed: bool,
}

/// A call of a user's closure that is under way.
#[derive(Debug)]
struct Call {
    since: u64,
    name: String,
    levels: Option<Arc<dyn Levels>>,
    // It is the closure of `on_loss`.
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

    /// Which round will be the answer, or `None` if there is nothing to ask.
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
        // Whoever looks later sees the same and more. Without a closure nobody looks.
        if self.notices.is_some() || self.is_telling() {
            self.look = Some(look);
        }
    }

    pub(super) fn has_look(&self) -> bool {
        let waits = self.look.is_some() || !self.untold.is_empty();
        // Without a closure, or with one that was left behind, nobody tells anything.
        (waits && self.notices.is_some()) || self.is_telling()
    }

    fn is_telling(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.tells)
    }

    pub(super) fn close(&mut self, now: u64) {
        self.look(Look::End(now));
        self.closed = true;
    }

    /// Everything that a user handed in, to be dropped without the lock.
    pub(super) fn take_all(&mut self) -> (Vec<Watched>, Option<Box<Notices>>) {
        let mut probes = mem::take(&mut self.resting);
        probes.extend(self.queue.drain(..));
        self.completed = self.requested;
        self.round = None;
        self.look = None;
        self.untold.clear();
        (probes, self.notices.take())
    }

    /// The number of the thread that is to be started, if one is.
    pub(super) fn turn_without_thread(&self) -> Option<u64> {
        let has_work = !self.resting.is_empty() || !self.queue.is_empty() || self.notices.is_some();
        (has_work && !self.has_thread).then_some(self.turn)
    }

    pub(super) fn started(&mut self) {
        self.has_thread = true;
    }

    /// Whether a thread is in charge, or about to be.
    pub(super) fn has_thread(&self) -> bool {
        self.has_thread
    }

    pub(super) fn enter(&mut self) {
        self.threads.push(thread::current().id());
    }

    /// A thread ends. What came back too late for the shutdown is to be dropped by it.
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

    /// Whether the thread in charge is itself in a call that is late.
    pub(super) fn is_stuck(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.is_late)
    }

    pub(super) fn late(&self) -> Vec<String> {
        let stuck = self.call.iter().filter(|call| call.is_late).map(|call| call.name.clone());
        self.left_behind.iter().map(|(_, name)| name.clone()).chain(stuck).collect()
    }

    /// What a thread does next; `None` if it is to end.
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
            // Nobody's call: it may take its time, and nobody but the shutdown waits for it.
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
        // It may be left behind with another thread: what is to be told waits for it.
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

    /// A job is done: by the thread in charge, or by one that was left behind.
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
            // Nobody was in charge any more: it is this one now.
            let stuck = self.call.take().map(|call| (self.turn, call.name));
            self.left_behind.extend(stuck);
            self.turn = turn;
        }
    }

    /// Leaves a call behind that is late now, and says whose gauges are to be absent.
    pub(super) fn leave_behind(&mut self, now: u64) -> Option<Vec<Arc<dyn Levels>>> {
        let late_after = crate::process::clock::nanos(LATE_AFTER);
        let call = self.call.as_mut().filter(|call| !call.is_late)?;
        if now.saturating_sub(call.since) < late_after {
            return None;
        }
        call.is_late = true;
        let (name, mut absent) = (call.name.clone(), Vec::from_iter(call.levels.take()));
        if !call.tells && self.notices.is_some() {
            // At most one for each call that can be late at a time.
            self.untold.truncate(MAX_LEFT_BEHIND);
            self.untold.push_back(name.clone());
        }
        if self.left_behind.len() < MAX_LEFT_BEHIND {
            self.left_behind.push((self.turn, name));
            self.call = None;
            self.turn = self.next_turn();
            self.has_thread = false;
        } else {
            // Nobody asks the others either.
            absent.extend(self.queue.iter().chain(&self.resting).filter_map(Watched::levels));
        }
        Some(absent)
    }

    /// A number that no thread has: one that was left behind may be in charge again.
    fn next_turn(&self) -> u64 {
        self.left_behind.iter().map(|(turn, _)| *turn).chain([self.turn]).max().unwrap_or(0) + 1
    }
}
