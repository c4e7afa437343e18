//! A class of work.

use super::admission::Admission;
use super::later::Later;
use super::turns::Turns;
use super::verdict::{GateState, SharedVerdict, Verdict};
use crate::api::dimension::Family;
use crate::api::handle::Counter;
use std::sync::Arc;
use std::time::Duration;

crate::tags! {
    /// What a [`Gate`](crate::Gate) decided on a piece of work: `decision:admitted`, `decision:shed`.
    pub enum Decision: "decision" {
        /// It may start now.
        Admitted,
        /// It may not start now.
        Shed,
    }
}

crate::api::dimension::shown!(Decision);

/// A class of work at a [`Gate`](crate::Gate). [`Gate::class`](crate::Gate::class) returns it. Clones are the same
/// class.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::{Admission, GateState, Load};
///
/// let gate = client.gate("orders").class("nightly", Admission::below(0.8)).register()?;
/// let nightly = gate.class("nightly");
///
/// gate.set_load(Load::of(0.5));
/// assert!(nightly.admits());
/// gate.set_load(Load::unknown());
/// assert_eq!(nightly.state(), GateState::Unknown);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it decides when it is asked"]
pub struct GateClass {
    desk: Arc<Desk>,
}

/// What the clones of a class share.
#[derive(Debug)]
struct Desk {
    name: String,
    admission: Admission,
    verdict: SharedVerdict,
    decisions: Family<Counter, (Decision, GateState)>,
    turns: Arc<Turns>,
}

impl GateClass {
    pub(super) fn new(
        name: &str,
        admission: Admission,
        decisions: Family<Counter, (Decision, GateState)>,
        turns: &Arc<Turns>,
    ) -> Self {
        let verdict = SharedVerdict::new(Verdict::new(GateState::Unknown, admission.share_while_unknown()));
        let turns = Arc::clone(turns);
        Self { desk: Arc::new(Desk { name: name.to_owned(), admission, verdict, decisions, turns }) }
    }

    /// Returns whether work of this class may start now, and counts the answer.
    #[must_use = "the work is admitted or not"]
    #[inline]
    pub fn admits(&self) -> bool {
        let verdict = self.desk.verdict.load();
        let admitted = verdict.admits();
        self.count(admitted, verdict.state());
        admitted
    }

    #[inline]
    fn count(&self, admitted: bool, state: GateState) {
        let decision = if admitted { Decision::Admitted } else { Decision::Shed };
        self.desk.decisions.at((decision, state)).increment(1);
    }

    /// Waits until work of this class may start, for at most `patience`, and counts one decision. It is for the loop of
    /// a worker, before it takes a job:
    ///
    /// ```no_run
    /// # fn take_job() -> Option<String> { None }
    /// # fn work(nightly: &tasktag::GateClass) {
    /// use std::time::Duration;
    ///
    /// loop {
    ///     if let Err(later) = nightly.wait_or_later(Duration::from_secs(10)) {
    ///         // Another queue may have work meanwhile.
    ///         println!("nightly jobs wait: {later}");
    ///         continue;
    ///     }
    ///     let Some(job) = take_job() else { break };
    /// #   drop(job);
    /// }
    /// # }
    /// ```
    ///
    /// It **blocks the thread**, which sleeps and is woken by each sample of the load. Don't call it in a task of an
    /// asynchronous runtime, where it would hold up the others: ask [`admits`](Self::admits) there, and put the job
    /// back for [`Gate::retry_after`](crate::Gate::retry_after).
    ///
    /// Whoever waits is asked again at each sample, once a second by default. While 5 % are admitted, a waiting worker
    /// therefore gets through after 20 s on average.
    ///
    /// # Errors
    ///
    /// Fails if the class is still being shed then. The error says when to try again.
    pub fn wait_or_later(&self, patience: Duration) -> Result<(), Later> {
        let mut wait = self.desk.turns.wait(patience);
        loop {
            let verdict = self.desk.verdict.load();
            let admitted = verdict.admits();
            if admitted || !wait.for_next_turn() {
                self.count(admitted, verdict.state());
                return if admitted { Ok(()) } else { Err(Later::new(self.desk.turns.retry_after())) };
            }
        }
    }

    /// The state that it is in.
    #[must_use]
    pub fn state(&self) -> GateState {
        self.desk.verdict.load().state()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.desk.name
    }

    /// Takes a smoothed load, or that it is unknown. `was_shedding` is the state that it had when the load was known
    /// last, and the new one is returned.
    pub(super) fn decide(&self, load: Option<f64>, was_shedding: bool) -> bool {
        let admission = &self.desk.admission;
        let Some(load) = load else {
            self.set(GateState::Unknown, admission.share_while_unknown());
            return was_shedding;
        };
        let sheds =
            if was_shedding { load >= admission.reopens_below() } else { load > admission.shed_above() };
        if sheds {
            self.set(GateState::Shedding, admission.share_while_shedding());
        } else {
            self.set(GateState::Open, 1.0);
        }
        sheds
    }

    fn set(&self, state: GateState, share: f64) {
        self.desk.verdict.store(Verdict::new(state, share));
    }
}
