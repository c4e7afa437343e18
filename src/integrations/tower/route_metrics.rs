//! The metrics of one route.

use crate::api::handle::Pattern;
use crate::api::objective::Events;
use crate::process::fork::make_whole;
use crate::{Client, ClosedTag, Counter, Distribution, HttpMethod, Outcome, StatusClass};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const ROUTE: &str = "route";
const ENDS: usize = Outcome::ALL.len() * StatusClass::ALL.len();
/// The usual endings of requests. A critical route has these of a method from the start.
const USUAL: [(Outcome, StatusClass); 7] = [
    (Outcome::Ok, StatusClass::Success),
    (Outcome::Ok, StatusClass::Redirection),
    (Outcome::Ok, StatusClass::ClientError),
    (Outcome::Error, StatusClass::ServerError),
    (Outcome::Error, StatusClass::Other),
    (Outcome::Cancelled, StatusClass::Other),
    (Outcome::Cancelled, StatusClass::Success),
];

/// The methods that a critical route has from the start. The last one is for those that come when there is no room.
const FROM_THE_START: [HttpMethod; 3] = [HttpMethod::Get, HttpMethod::Post, HttpMethod::Other];

/// The settings that all routes' metrics share.
#[derive(Debug)]
pub(super) struct Patterns {
    pub(super) client: Client,
    pub(super) methods: bool,
    pub(super) requests: Pattern<Counter>,
    pub(super) duration: Pattern<Distribution>,
}

/// A route, and the methods and endings seen so far.
#[derive(Debug)]
pub(super) struct RouteMetrics {
    name: Box<str>,
    patterns: Arc<Patterns>,
    critical: bool,
    objective: Option<Events>,
    // Where methods are not told apart, the first is all of them.
    methods: [OnceLock<Box<Ends>>; HttpMethod::ALL.len()],
}

type Ends = [OnceLock<End>; ENDS];

#[derive(Clone, Debug)]
struct End {
    requests: Counter,
    duration: Distribution,
}

impl RouteMetrics {
    pub(super) fn new(name: &str, patterns: &Arc<Patterns>) -> Self {
        let methods = std::array::from_fn(|_| OnceLock::new());
        Self { name: name.into(), patterns: Arc::clone(patterns), critical: false, objective: None, methods }
    }

    pub(super) fn critical(name: &str, patterns: &Arc<Patterns>, objective: Option<Events>) -> Arc<Self> {
        let route = Self { critical: true, objective, ..Self::new(name, patterns) };
        for method in FROM_THE_START {
            route.make(method, Outcome::Ok, StatusClass::Success);
        }
        Arc::new(route)
    }

    /// Records the end of a request that arrived at `since`.
    pub(super) fn record(&self, method: HttpMethod, outcome: Outcome, class: StatusClass, since: u64) {
        let now = self.patterns.client.shared().clock.now();
        let elapsed = now.saturating_sub(since);
        if let Some(objective) = &self.objective {
            objective.count_ended(elapsed, outcome);
        }
        let end = self.end(method, outcome, class).or_else(|| self.make(method, outcome, class));
        if let Some(end) = end {
            end.requests.increment(1);
            end.duration.record_duration(Duration::from_nanos(elapsed));
        }
    }

    #[inline]
    fn end(&self, method: HttpMethod, outcome: Outcome, class: StatusClass) -> Option<&End> {
        self.method(method)?.get()?.get(place(outcome, class))?.get()
    }

    #[inline]
    fn method(&self, method: HttpMethod) -> Option<&OnceLock<Box<Ends>>> {
        self.methods.get(if self.patterns.methods { method.index() } else { 0 })
    }

    #[cold]
    #[inline(never)]
    fn make(&self, method: HttpMethod, outcome: Outcome, class: StatusClass) -> Option<&End> {
        // Keeps a fork from happening while a cell is being set: the child would wait for it forever.
        let _making = make_whole();
        let cell = self.method(method)?;
        let is_new = cell.get().is_none();
        let ends = cell.get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
        if is_new && self.critical {
            for (outcome, class) in USUAL {
                self.register(ends, method, outcome, class);
            }
        }
        self.register(ends, method, outcome, class)
    }

    fn register<'a>(
        &self,
        ends: &'a Ends,
        method: HttpMethod,
        outcome: Outcome,
        class: StatusClass,
    ) -> Option<&'a End> {
        let end = ends.get(place(outcome, class))?;
        if end.get().is_none() {
            // The cell was empty, under the lock.
            let _ = end.set(self.new_end(method, outcome, class));
        }
        end.get()
    }

    fn new_end(&self, method: HttpMethod, outcome: Outcome, class: StatusClass) -> End {
        let tags = [
            (ROUTE, &*self.name),
            (Outcome::KEY, outcome.value()),
            (StatusClass::KEY, class.value()),
            (HttpMethod::KEY, method.value()),
        ];
        let tags = tags.get(..3 + usize::from(self.patterns.methods)).unwrap_or(&tags);
        let Patterns { requests, duration, .. } = &*self.patterns;
        // A critical route of a client that is full rather has no method of its own than no route of its own.
        let spare = self.end(HttpMethod::Other, outcome, class).filter(|_| self.critical);
        match (requests.try_register(tags), duration.try_register(tags), spare) {
            (Ok(requests), Ok(duration), _) => End { requests, duration },
            (_, _, Some(spare)) => spare.clone(),
            _ => End { requests: requests.register(tags), duration: duration.register(tags) },
        }
    }
}

fn place(outcome: Outcome, class: StatusClass) -> usize {
    outcome.index() * StatusClass::ALL.len() + class.index()
}
