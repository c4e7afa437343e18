//! The layer, and how it is set.

use super::metrics::Metrics;
use super::route::{RequestHead, RouteFn, by_method};
use super::service::HttpService;
use super::settings::Settings;
use crate::Client;
use crate::process::fork::make_whole;
use std::fmt;
use std::sync::{Arc, OnceLock};
use tower_layer::Layer;

/// Routes that get a place of their own unless more or fewer are asked for.
pub const DEFAULT_ROUTES: usize = 50;

/// Reports what becomes of the requests to a service: see the [module](super) for what that is.
///
/// The services that a layer and its clones make report to the same metrics, with one limit of routes. Settings hold
/// for what is made after them.
#[must_use = "nothing is measured until a service has the layer"]
pub struct HttpLayer<R = RouteFn> {
    client: Client,
    settings: Settings,
    route: Arc<R>,
    // Made with the first service, and shared with clones.
    metrics: Arc<OnceLock<Arc<Metrics>>>,
}

impl HttpLayer {
    /// A layer that tells routes by the request's method alone, until it is told [how](HttpLayer::route).
    pub fn new(client: &Client) -> Self {
        let settings = Settings {
            prefix: "http".to_owned(),
            tags: Vec::new(),
            capacity: 0,
            routes: DEFAULT_ROUTES,
            critical: Vec::new(),
            wait: true,
        };
        Self { client: client.clone(), settings, route: Arc::new(by_method), metrics: Arc::default() }
    }
}

impl<R> HttpLayer<R> {
    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        self.metrics = Arc::default();
        self
    }

    /// What the metrics' names start with. Defaults to `http`.
    pub fn prefix(self, prefix: &str) -> Self {
        self.set(|settings| prefix.trim_end_matches('.').clone_into(&mut settings.prefix))
    }

    /// Adds a tag to every metric.
    pub fn tag(self, key: &str, value: &str) -> Self {
        self.set(|settings| settings.tags.push((key.to_owned(), value.to_owned())))
    }

    /// How many requests the service can work on at once, as a limit of concurrency allows: what `in_flight.utilization`
    /// is a share of. Defaults to 0, which is none, and reports no utilization.
    pub fn capacity(self, capacity: u32) -> Self {
        self.set(|settings| settings.capacity = capacity)
    }

    /// How many routes are told apart at most, up to 10,000; all others are `other`. Who comes first keeps a place.
    /// Defaults to [`DEFAULT_ROUTES`].
    pub fn routes(self, limit: usize) -> Self {
        self.set(|settings| settings.routes = limit.min(crate::api::dimension::bounded::MAX_LIMIT))
    }

    /// Routes that are never folded into `other`, whatever comes before them: those that an alert watches. They take
    /// their places out of the limit; where there are more of them than that, they are all that is kept. A second call
    /// adds to the first.
    ///
    /// What they report is registered with the first service, so that a client that has as many contexts as it may have
    /// does not fold them either: 7 of each of the two metrics, for the ways in which requests usually end, and 448 KiB,
    /// for each route.
    pub fn critical(self, routes: &[&str]) -> Self {
        self.set(|settings| {
            settings.critical.extend(routes.iter().map(|&route| route.to_owned()));
            settings.critical.truncate(crate::api::dimension::bounded::MAX_LIMIT);
        })
    }

    /// Whether the time that a request waited before it was here is read from its headers. Defaults to `true`. Whoever
    /// can be reached without a proxy that writes those headers reports what clients make up.
    pub fn wait(self, wait: bool) -> Self {
        self.set(|settings| settings.wait = wait)
    }

    /// How a request's route is told; `None` is reported as `unmatched`. A router's pattern is best. A raw path does:
    /// that is what the limit is for. Called once a request, in the caller's thread: it should neither wait nor panic.
    ///
    /// Defaults to the method.
    ///
    /// ```
    /// use tasktag::integrations::tower::HttpLayer;
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let layer = HttpLayer::new(client).route(|request| request.uri().path().split('/').nth(1)).routes(10);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn route<F>(self, route: F) -> HttpLayer<F>
    where
        F: for<'a> Fn(RequestHead<'a>) -> Option<&'a str>,
    {
        let Self { client, settings, .. } = self;
        HttpLayer { client, settings, route: Arc::new(route), metrics: Arc::default() }
    }
}

impl<R> HttpLayer<R> {
    #[cold]
    fn make_metrics(&self) -> &Arc<Metrics> {
        // Two threads may each make them, of the same contexts. Nobody waits for one that does, which a forked child
        // would do for ever.
        let made = Arc::new(Metrics::new(&self.client, &self.settings));
        let _making = make_whole();
        self.metrics.get_or_init(|| made)
    }
}

impl<S, R> Layer<S> for HttpLayer<R> {
    type Service = HttpService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        let metrics = self.metrics.get().unwrap_or_else(|| self.make_metrics());
        HttpService::new(inner, Arc::clone(metrics), Arc::clone(&self.route))
    }
}

impl<R> Clone for HttpLayer<R> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            settings: self.settings.clone(),
            route: Arc::clone(&self.route),
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl<R> fmt::Debug for HttpLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLayer").field("settings", &self.settings).finish_non_exhaustive()
    }
}
