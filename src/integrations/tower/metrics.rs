//! What is reported of a layer's requests.

use super::in_flight::{Ending, InFlight};
use super::layer::Settings;
use super::request_start::{self, Refusal};
use super::route::RequestHead;
use crate::api::dimension::bounded::OTHER;
use crate::api::dimension::places::Places;
use crate::api::handle::Pattern;
use crate::process::fork::make_whole;
use crate::{Client, ClosedTag, Counter, Distribution, Family, Occupancy, StatusClass};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

const ROUTE: &str = "route";
/// The route of a request that has none.
const UNMATCHED: &str = "unmatched";
const ENDS: usize = Ending::ALL.len() * StatusClass::ALL.len();
/// How requests usually end; a critical route has these from the start.
const USUAL: [(Ending, StatusClass); 7] = [
    (Ending::Ok, StatusClass::Success),
    (Ending::Ok, StatusClass::Redirection),
    (Ending::Ok, StatusClass::ClientError),
    (Ending::Error, StatusClass::ServerError),
    (Ending::Error, StatusClass::Other),
    (Ending::Cancelled, StatusClass::Other),
    (Ending::Cancelled, StatusClass::Success),
];

/// The metrics of a layer, shared by the services that it made.
#[derive(Debug)]
pub(super) struct Metrics {
    in_flight: Occupancy,
    wait: Option<Wait>,
    patterns: Arc<Patterns>,
    routes: Places<Arc<Route>>,
    other: Arc<Route>,
    unmatched: Arc<Route>,
}

/// The time before a request was here.
#[derive(Debug)]
struct Wait {
    waited: Distribution,
    refused: Family<Counter, Refusal>,
}

/// What the metrics of all routes have in common.
#[derive(Debug)]
struct Patterns {
    client: Client,
    requests: Pattern<Counter>,
    duration: Pattern<Distribution>,
}

impl Metrics {
    pub(super) fn new(client: &Client, settings: &Settings) -> Self {
        let name = |name: &str| match settings.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}.{name}"),
        };
        let tags: Vec<_> = settings.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let wait = settings.wait.then(|| Wait {
            waited: client.timing(&name("request.wait")).tags(&tags).register(),
            refused: client.counter(&name("request.wait.refused")).tags(&tags).register_family(),
        });
        let patterns = Arc::new(Patterns {
            client: client.clone(),
            requests: client.counter(&name("requests")).tags(&tags).pattern(),
            duration: client.timing(&name("request.duration")).tags(&tags).pattern(),
        });
        let route = |name: &str| Arc::new(Route::new(name, &patterns));
        let other = route(OTHER);
        let routes = Places::new(settings.routes, settings.critical.len());
        routes.fill(OTHER, Arc::clone(&other));
        for name in &settings.critical {
            let keep = |name: &str| Ok::<_, std::convert::Infallible>(Route::critical(name, &patterns));
            match routes.keep(name, keep) {
                Ok(()) => {}
                Err(never) => match never {},
            }
        }
        let in_flight = client.occupancy(&name("in_flight"), settings.capacity).tags(&tags).register();
        let unmatched = route(UNMATCHED);
        Self { in_flight, wait, patterns, routes, other, unmatched }
    }

    /// Takes in a request.
    pub(super) fn begin(&self, request: RequestHead<'_>, route: Option<&str>) -> InFlight {
        let unit = self.in_flight.acquire_owned();
        let since = self.patterns.client.shared().clock.now();
        if let Some(wait) = &self.wait {
            self.read_start(request, wait);
        }
        let route = match route {
            None => &self.unmatched,
            Some(route) => {
                let make = |name: &str| Some(Arc::new(Route::new(name, &self.patterns)));
                self.routes.at(route, make).unwrap_or_else(|| self.fold())
            }
        };
        InFlight::new(route, since, unit, request.method())
    }

    fn read_start(&self, request: RequestHead<'_>, wait: &Wait) {
        let reading = request_start::read(request.headers(), || {
            let now = self.patterns.client.shared().clock.time_of_day();
            now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, crate::process::clock::nanos)
        });
        if let Some(waited) = reading.waited {
            wait.waited.record_duration(waited);
        }
        if let Some(refusal) = reading.refused {
            wait.refused.at(refusal).increment(1);
        }
    }

    #[inline(never)]
    fn fold(&self) -> &Arc<Route> {
        self.patterns.client.shared().ledger.folded_values.add(1);
        &self.other
    }
}

/// A route, and the ways in which its requests ended so far.
#[derive(Debug)]
pub(super) struct Route {
    name: Box<str>,
    patterns: Arc<Patterns>,
    ends: [OnceLock<End>; ENDS],
}

#[derive(Debug)]
struct End {
    requests: Counter,
    duration: Distribution,
}

impl Route {
    fn new(name: &str, patterns: &Arc<Patterns>) -> Self {
        let ends = std::array::from_fn(|_| OnceLock::new());
        Self { name: name.into(), patterns: Arc::clone(patterns), ends }
    }

    fn critical(name: &str, patterns: &Arc<Patterns>) -> Arc<Self> {
        let route = Self::new(name, patterns);
        for (ending, class) in USUAL {
            if let Some(end) = route.ends.get(place(ending, class)) {
                route.make(end, ending, class);
            }
        }
        Arc::new(route)
    }

    /// Records the end of a request that is there since then.
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
        // Nobody waits for a value that a thread was about to set when another one forked.
        let _making = make_whole();
        if end.get().is_none() {
            let tags =
                [(ROUTE, &*self.name), (Ending::KEY, ending.value()), (StatusClass::KEY, class.value())];
            let requests = self.patterns.requests.register(&tags);
            let duration = self.patterns.duration.register(&tags);
            // It was empty, under the lock.
            let _ = end.set(End { requests, duration });
        }
        end.get()
    }
}

fn place(ending: Ending, class: StatusClass) -> usize {
    ending.index() * StatusClass::ALL.len() + class.index()
}
