//! The metrics of a layer.

use super::in_flight::InFlight;
use super::request_head::RequestHead;
use super::request_start::{self, Refusal};
use super::route_metrics::{Patterns, RouteMetrics};
use super::settings::Settings;
use super::start_header::StartHeader;
use crate::api::dimension::bounded::OTHER;
use crate::api::dimension::slots::Slots;
use crate::api::objective::Events;
use crate::{Client, Counter, Distribution, Family, MetricBuilder, Occupancy, Target};
use std::sync::Arc;
use std::time::SystemTime;

/// The route reported for a request without one.
const UNMATCHED: &str = "unmatched";

/// The metrics of a layer, shared by the services that it made.
#[derive(Debug)]
pub(super) struct Metrics {
    in_flight: Occupancy,
    wait: Option<Wait>,
    patterns: Arc<Patterns>,
    routes: Slots<Arc<RouteMetrics>>,
    other: Arc<RouteMetrics>,
    unmatched: Arc<RouteMetrics>,
}

/// The metrics of the time before a request arrived.
#[derive(Debug)]
struct Wait {
    waited: Distribution,
    refused: Family<Counter, Refusal>,
    ignored: Vec<StartHeader>,
}

impl Metrics {
    pub(super) fn new(client: &Client, settings: &Settings) -> Self {
        let name = |name: &str| match settings.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}.{name}"),
        };
        let tags: Vec<_> = settings.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let wait = settings.wait.then(|| Wait {
            waited: duration(client, settings, &name("request.wait")).tags(&tags).register(),
            refused: client.counter(&name("request.wait.refused")).tags(&tags).register_family(),
            ignored: settings.ignored.clone(),
        });
        let patterns = Arc::new(Patterns {
            client: client.clone(),
            methods: settings.methods,
            requests: client.counter(&name("requests")).tags(&tags).pattern(),
            duration: duration(client, settings, &name("request.duration")).tags(&tags).pattern(),
        });
        let route = |name: &str| Arc::new(RouteMetrics::new(name, &patterns));
        let promised = settings.objectives.iter().map(|(route, _)| route);
        let other = route(OTHER);
        let routes = Slots::new(settings.routes, settings.critical.len() + settings.objectives.len());
        routes.fill(OTHER, Arc::clone(&other));
        for name in settings.critical.iter().chain(promised) {
            let keep = |name: &str| {
                let objective = objective(client, settings, name);
                Ok::<_, std::convert::Infallible>(RouteMetrics::critical(name, &patterns, objective))
            };
            match routes.keep(name, keep) {
                Ok(()) => {}
                Err(never) => match never {},
            }
        }
        let in_flight = client.occupancy(&name("in_flight"), settings.capacity).tags(&tags).register();
        let unmatched = route(UNMATCHED);
        Self { in_flight, wait, patterns, routes, other, unmatched }
    }

    /// Starts a request.
    pub(super) fn begin(&self, request: RequestHead<'_>, route: Option<&str>) -> InFlight {
        let unit = self.in_flight.acquire_owned();
        let since = self.patterns.client.shared().clock.now();
        if let Some(wait) = &self.wait {
            self.read_start(request, wait);
        }
        let route = match route {
            None => &self.unmatched,
            Some(route) => {
                let make = |name: &str| Some(Arc::new(RouteMetrics::new(name, &self.patterns)));
                self.routes.at(route, make).unwrap_or_else(|| self.fold())
            }
        };
        InFlight::new(route, since, unit, request.method().into())
    }

    fn read_start(&self, request: RequestHead<'_>, wait: &Wait) {
        let reading = request_start::read(request.headers(), &wait.ignored, || {
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
    fn fold(&self) -> &Arc<RouteMetrics> {
        self.patterns.client.shared().ledger.folded_values.add(1);
        &self.other
    }
}

/// Returns a builder for durations.
fn duration<'a>(client: &'a Client, settings: &Settings, name: &'a str) -> MetricBuilder<'a, Distribution> {
    if settings.distributions { client.distribution(name) } else { client.timing(name) }
}

/// Returns the counters of a route's objective, if it has one.
fn objective(client: &Client, settings: &Settings, route: &str) -> Option<Events> {
    let (_, within) = settings.objectives.iter().find(|(promised, _)| promised == route)?;
    Some(Events::named(client, route, &settings.tags, Target::within(*within)))
}
