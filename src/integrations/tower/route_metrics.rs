//! The metrics of one route.

use crate::api::handle::Pattern;
use crate::api::objective::Events;
use crate::process::fork::make_whole;
use crate::{Client, ClosedTag, Counter, Distribution, Outcome, StatusClass};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const ROUTE: &str = "route";
const ENDS: usize = Outcome::ALL.len() * StatusClass::ALL.len();
/// The usual endings of requests. A critical route has these from the start.
const USUAL: [(Outcome, StatusClass); 7] = [
    (Outcome::Ok, StatusClass::Success),
    (Outcome::Ok, StatusClass::Redirection),
    (Outcome::Ok, StatusClass::ClientError),
    (Outcome::Error, StatusClass::ServerError),
    (Outcome::Error, StatusClass::Other),
    (Outcome::Cancelled, StatusClass::Other),
    (Outcome::Cancelled, StatusClass::Success),
];

/// The settings that all routes' metrics share.
#[derive(Debug)]
pub(super) struct Patterns {
    pub(super) client: Client,
    pub(super) requests: Pattern<Counter>,
    pub(super) duration: Pattern<Distribution>,
}

/// A route, and the endings seen so far.
#[derive(Debug)]
pub(super) struct RouteMetrics {
    name: Box<str>,
    patterns: Arc<Patterns>,
    objective: Option<Events>,
    ends: [OnceLock<End>; ENDS],
}

#[derive(Debug)]
struct End {
    requests: Counter,
    duration: Distribution,
}

impl RouteMetrics {
    pub(super) fn new(name: &str, patterns: &Arc<Patterns>) -> Self {
        let ends = std::array::from_fn(|_| OnceLock::new());
        Self { name: name.into(), patterns: Arc::clone(patterns), objective: None, ends }
    }

    pub(super) fn critical(name: &str, patterns: &Arc<Patterns>, objective: Option<Events>) -> Arc<Self> {
        let route = Self { objective, ..Self::new(name, patterns) };
        for (outcome, class) in USUAL {
            if let Some(end) = route.ends.get(place(outcome, class)) {
                route.make(end, outcome, class);
            }
        }
        Arc::new(route)
    }

    /// Records the end of a request that arrived at `since`.
    pub(super) fn record(&self, outcome: Outcome, class: StatusClass, since: u64) {
        let now = self.patterns.client.shared().clock.now();
        let elapsed = now.saturating_sub(since);
        if let Some(objective) = &self.objective {
            objective.count_ended(elapsed, outcome);
        }
        let end = self.ends.get(place(outcome, class));
        if let Some(end) = end.and_then(|end| end.get().or_else(|| self.make(end, outcome, class))) {
            end.requests.increment(1);
            end.duration.record_duration(Duration::from_nanos(elapsed));
        }
    }

    #[cold]
    #[inline(never)]
    fn make<'a>(&self, end: &'a OnceLock<End>, outcome: Outcome, class: StatusClass) -> Option<&'a End> {
        // Keeps a fork from happening while the cell is being set: the child would wait for it forever.
        let _making = make_whole();
        if end.get().is_none() {
            let tags =
                [(ROUTE, &*self.name), (Outcome::KEY, outcome.value()), (StatusClass::KEY, class.value())];
            let requests = self.patterns.requests.register(&tags);
            let duration = self.patterns.duration.register(&tags);
            // The cell was empty, under the lock.
            let _ = end.set(End { requests, duration });
        }
        end.get()
    }
}

fn place(outcome: Outcome, class: StatusClass) -> usize {
    outcome.index() * StatusClass::ALL.len() + class.index()
}
