//! The layer and its settings.

use super::metrics::Metrics;
use super::request_head::RequestHead;
use super::route::{RouteFn, WrittenRoute, unmatched};
use super::route_name::RouteName;
use super::service::HttpService;
use super::settings::Settings;
use super::start_header::StartHeader;
use crate::Client;
use crate::process::fork::make_whole;
use crate::vocabulary::tag_value::TagValue;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tower_layer::Layer;

/// How many routes are reported separately by default.
pub const DEFAULT_ROUTES: usize = 50;

/// Reports the requests to a service. The [module](super) lists the metrics.
///
/// All services made by a layer and its clones report to the same metrics and share one limit of routes. Settings apply
/// to the services made after them.
#[must_use = "nothing is measured until a service has the layer"]
pub struct HttpLayer<R = RouteFn> {
    client: Client,
    settings: Settings,
    route: Arc<R>,
    // Made with the first service, and shared with clones.
    metrics: Arc<OnceLock<Arc<Metrics>>>,
}

impl HttpLayer {
    /// Makes a layer that tells requests apart by their methods, and by their routes once [`route`](HttpLayer::route)
    /// or [`write_route`](HttpLayer::write_route) is called. Until then each route is `unmatched`.
    pub fn new(client: &Client) -> Self {
        let settings = Settings {
            prefix: "http".to_owned(),
            tags: Vec::new(),
            capacity: 0,
            routes: DEFAULT_ROUTES,
            critical: Vec::new(),
            objectives: Vec::new(),
            methods: true,
            distributions: false,
            wait: true,
            ignored: Vec::new(),
        };
        Self { client: client.clone(), settings, route: Arc::new(unmatched), metrics: Arc::default() }
    }
}

impl<R> HttpLayer<R> {
    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        self.metrics = Arc::default();
        self
    }

    /// Sets the prefix of the metrics' names. Defaults to `http`.
    pub fn prefix(self, prefix: &str) -> Self {
        self.set(|settings| prefix.trim_end_matches('.').clone_into(&mut settings.prefix))
    }

    /// Adds a tag to every metric. [`TagValue`] says what its value can be.
    pub fn tag<'v>(self, key: &str, value: impl TagValue<'v>) -> Self {
        self.set(|settings| settings.tags.push((key.to_owned(), value.into_text().to_owned())))
    }

    /// Sets how many requests the service can process at once, for example the value of a concurrency limit.
    /// `in_flight.utilization` is relative to it. Defaults to 0, which reports no utilization.
    pub fn capacity(self, capacity: u32) -> Self {
        self.set(|settings| settings.capacity = capacity)
    }

    /// Sets the maximum number of routes reported separately, up to 10,000. The first routes to appear are kept; all
    /// others are reported as `other`. Defaults to [`DEFAULT_ROUTES`].
    pub fn routes(self, limit: usize) -> Self {
        self.set(|settings| settings.routes = limit.min(crate::api::dimension::bounded::MAX_LIMIT))
    }

    /// Names routes that are never folded into `other`, for example those that an alert watches. They count towards the
    /// [limit](HttpLayer::routes). If there are more of them than the limit, all of them are kept and no others. A
    /// second call adds to the first.
    ///
    /// Their metrics are registered with the first service, so that a client at its context limit does not fold them
    /// either: 7 contexts of each of the two metrics, for the usual endings of requests, with each of the methods
    /// `get`, `post` and `other`. That is 42 contexts a route, or 14 without [`methods`](HttpLayer::methods). The first
    /// request with any other method registers 14 more, or counts as `other` if the client is full.
    pub fn critical(self, routes: &[&str]) -> Self {
        self.set(|settings| {
            settings.critical.extend(routes.iter().map(|&route| route.to_owned()));
            settings.critical.truncate(crate::api::dimension::bounded::MAX_LIMIT);
        })
    }

    /// Makes an [objective](crate::Objective) of a route: its requests are counted in `slo.total`, and those that
    /// succeed within this time in `slo.good`, with the tag `objective:<route>`. By default no route has one. A second
    /// call adds another route, and the first time of a route stays.
    ///
    /// A request is good if its `outcome` is `ok` and it was fast enough, so a `4xx` is good and a `5xx` is bad. A
    /// request that is cancelled is not counted if that happens within this time, and is bad if it happens later. The
    /// route is also a [critical](HttpLayer::critical) one. A time of zero counts as a nanosecond. At most 10,000
    /// routes have an objective, and further calls are ignored.
    ///
    /// A client's objective of the same name and tags has the same counters. With it the burn rates are reported too:
    ///
    /// ```
    /// use std::time::Duration;
    /// use tasktag::Target;
    /// use tasktag::integrations::tower::HttpLayer;
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let within = Duration::from_millis(250);
    /// let pay = client.objective("/pay", Target::within(within), 0.999).register()?;
    /// let layer = HttpLayer::new(client).objective("/pay", within);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn objective(self, route: &str, within: Duration) -> Self {
        self.set(|settings| {
            if settings.objectives.len() < crate::api::dimension::bounded::MAX_LIMIT {
                settings.objectives.push((route.to_owned(), within.max(Duration::from_nanos(1))));
            }
        })
    }

    /// Sets whether requests are told apart by their method: the tag `method` of `http.requests` and
    /// `http.request.duration`, whose values are `get`, `head`, `post`, `put`, `patch`, `delete`, `options`, `connect`,
    /// `trace` and `other`. Defaults to `true`.
    ///
    /// A request that is answered with status 405 or 501 has `method:other`, because the route does not have its
    /// method: otherwise whoever tries all methods would multiply the contexts.
    pub fn methods(self, on: bool) -> Self {
        self.set(|settings| settings.methods = on)
    }

    /// Sets whether durations and waits are reported as distributions, whose quantiles the backend computes over all
    /// tasks, rather than as timings. Both are in milliseconds. Defaults to `false`.
    pub fn distributions(self, on: bool) -> Self {
        self.set(|settings| settings.distributions = on)
    }

    /// Sets whether the time that a request waited before it arrived is read from its headers. Defaults to `true`. Turn
    /// it off if clients can reach the service without a proxy that writes those headers: they could send any value.
    pub fn wait(self, wait: bool) -> Self {
        self.set(|settings| settings.wait = wait)
    }

    /// Ignores a header that gives a time which is not that of the request. A second call adds to the first.
    ///
    /// A proxy may write when the connection was accepted, as `HAProxy` does with `%Ts%ms`: on a connection that is
    /// kept alive, the time between two requests would then be a wait. The page [`proxies`](crate::guide::proxies) says
    /// which recipes do this.
    ///
    /// ```
    /// use tasktag::integrations::tower::{HttpLayer, StartHeader};
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let layer = HttpLayer::new(client).ignore_start(StartHeader::QueueStart);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn ignore_start(self, header: StartHeader) -> Self {
        self.set(|settings| settings.ignored.push(header))
    }

    /// Sets the closure that returns a request's route. `None` is reported as `unmatched`. A router's pattern is best;
    /// a raw path is safe, because the number of routes is limited.
    ///
    /// The closure is called once a request, in the caller's thread. It must neither wait nor panic. For a route that
    /// has to be put together, use [`write_route`](HttpLayer::write_route). By default every request is `unmatched`.
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
        self.with_source(route)
    }

    /// Sets a closure that writes a request's route piece by piece, into a buffer that needs no allocation. A route
    /// that stays empty, or an error, is reported as `unmatched`.
    ///
    /// What applies to the closure of [`route`](HttpLayer::route) applies to this one. The later of the two counts.
    ///
    /// ```
    /// use std::fmt::Write;
    /// use tasktag::integrations::tower::HttpLayer;
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let layer = HttpLayer::new(client).write_route(|request, route| {
    ///     let host = request.uri().host().unwrap_or("none");
    ///     write!(route, "{host}{}", request.uri().path())
    /// });
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn write_route<F>(self, write: F) -> HttpLayer<WrittenRoute<F>>
    where
        F: Fn(RequestHead<'_>, &mut RouteName) -> fmt::Result,
    {
        self.with_source(WrittenRoute(write))
    }

    fn with_source<T>(self, route: T) -> HttpLayer<T> {
        let Self { client, settings, .. } = self;
        HttpLayer { client, settings, route: Arc::new(route), metrics: Arc::default() }
    }
}

impl<R> HttpLayer<R> {
    #[cold]
    fn make_metrics(&self) -> &Arc<Metrics> {
        // Two threads may each make them, for the same contexts. Neither waits for the other, because a forked child
        // would wait forever.
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
