//! The metrics of one route.

use super::ending::Ending;
use crate::api::handle::Pattern;
use crate::process::fork::make_whole;
use crate::{Client, ClosedTag, Counter, Distribution, StatusClass};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const ROUTE: &str = "route";
const ENDS: usize = Ending::ALL.len() * StatusClass::ALL.len();
/// The usual endings of requests. A critical route has these from the start.
const USUAL: [(Ending, StatusClass); 7] = [
    (Ending::Ok, StatusClass::Success),
    (Ending::Ok, StatusClass::Redirection),
    (Ending::Ok, StatusClass::ClientError),
    (Ending::Error, StatusClass::ServerError),
    (Ending::Error, StatusClass::Other),
    (Ending::Cancelled, StatusClass::Other),
    (Ending::Cancelled, StatusClass::Success),
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
        Self { name: name.into(), patterns: Arc::clone(patterns), ends }
    }

    pub(super) fn critical(name: &str, patterns: &Arc<Patterns>) -> Arc<Self> {
        let route = Self::new(name, patterns);
        for (ending, class) in USUAL {
            if let Some(end) = route.ends.get(place(ending, class)) {
                route.make(end, ending, class);
            }
        }
        Arc::new(route)
    }

    /// Records the end of a request that arrived at `since`.
    pub(super) fn record(&self, ending: Ending, class: StatusClass, since: u64) {
        let now = self.patterns.client.shared().clock.now();
        let duration = Duration::from_nanos(now.saturating_sub(since));
        let end = self.ends.get(place(ending, class));
        if let Some(end) = end.and_then(|end| end.get().or_else(|| self.make(end, ending, class))) {
            end.requests.increment(1);
            end.duration.record_duration(duration);
        }
    }

    #[cold]
    #[inline(never)]
    fn make<'a>(&self, end: &'a OnceLock<End>, ending: Ending, class: StatusClass) -> Option<&'a End> {
        // Keeps a fork from happening while the cell is being set: the child would wait for it forever.
        let _making = make_whole();
        if end.get().is_none() {
            let tags =
                [(ROUTE, &*self.name), (Ending::KEY, ending.value()), (StatusClass::KEY, class.value())];
            let requests = self.patterns.requests.register(&tags);
            let duration = self.patterns.duration.register(&tags);
            // The cell was empty, under the lock.
            let _ = end.set(End { requests, duration });
        }
        end.get()
    }
}

fn place(ending: Ending, class: StatusClass) -> usize {
    ending.index() * StatusClass::ALL.len() + class.index()
}
