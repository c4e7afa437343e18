//! A layer that sheds requests while the load is too high for their class.

use super::request_head::RequestHead;
use crate::Gate;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// Sheds requests whose class a [`Gate`] does not admit: they are answered at once with status 503, an empty body and
/// `Retry-After`, and never reach the service.
///
/// The closure names the class of a request. Requests without a class are critical: they are never shed, and not
/// counted. A class that the gate does not know is not shed either, and is counted as `other`. The gate counts what was
/// shed, in `gate.decisions`.
///
/// ```no_run
/// use axum::{Router, extract::MatchedPath, routing::get};
/// use tasktag::integrations::tower::{GateLayer, HttpLayer};
/// use tasktag::{Admission, Client, Load};
///
/// # fn load_of_the_database() -> Load { Load::of(0.4) }
/// # fn app(client: &Client) -> Result<Router, tasktag::ConfigError> {
/// let gate = client
///     .gate("orders")
///     .class("reports", Admission::below(0.8))
///     .class("search", Admission::below(1.5))
///     .measure(load_of_the_database)?;
/// let shed = GateLayer::new(&gate, |request| match request.extensions().get::<MatchedPath>()?.as_str() {
///     "/reports/{id}" => Some("reports"),
///     "/search" => Some("search"),
///     _ => None, // never shed
/// });
/// let app = Router::new().route("/pay", get(|| async { "paid" })).layer(shed).layer(HttpLayer::new(client));
/// # Ok(app)
/// # }
/// ```
///
/// Put the [`HttpLayer`](super::HttpLayer) around this one, so that shed requests are in its metrics.
///
/// The service is asked whether it is ready before a request is known. One that gives out a permit then, such as a
/// concurrency limit, keeps it for the next request of the same clone: put this layer outside such a limit and load
/// shedding of tower's own.
///
/// The response of a shed request has the body's default value, which is empty for the bodies of axum, hyper and tonic.
#[derive(Clone)]
#[must_use = "nothing is shed until a service has the layer"]
pub struct GateLayer<C> {
    gate: Gate,
    class: Arc<C>,
}

impl<C> GateLayer<C>
where
    C: for<'a> Fn(RequestHead<'a>) -> Option<&'a str>,
{
    /// Makes a layer that sheds by the class that `class` names, or nothing if it returns `None`. The closure is called
    /// once a request, in the caller's thread. It must neither wait nor panic.
    pub fn new(gate: &Gate, class: C) -> Self {
        Self { gate: gate.clone(), class: Arc::new(class) }
    }
}

impl<C> fmt::Debug for GateLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateLayer").field("gate", &self.gate).finish_non_exhaustive()
    }
}

impl<S, C> Layer<S> for GateLayer<C> {
    type Service = GateService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        GateService { inner, gate: self.gate.clone(), class: Arc::clone(&self.class) }
    }
}

/// A service whose requests may be shed. [`GateLayer`] makes it.
#[must_use = "a service does nothing until it is called"]
pub struct GateService<S, C> {
    inner: S,
    gate: Gate,
    class: Arc<C>,
}

impl<S: Clone, C> Clone for GateService<S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), gate: self.gate.clone(), class: Arc::clone(&self.class) }
    }
}

impl<S: fmt::Debug, C> fmt::Debug for GateService<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, C, A, B> Service<Request<A>> for GateService<S, C>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Default,
    C: for<'a> Fn(RequestHead<'a>) -> Option<&'a str>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = GateFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<A>) -> Self::Future {
        let class = (self.class)(RequestHead::of(&request));
        if class.is_none_or(|class| self.gate.admits(class)) {
            GateFuture { inner: Some(self.inner.call(request)), retry_after: Duration::ZERO }
        } else {
            GateFuture { inner: None, retry_after: self.gate.retry_after() }
        }
    }
}

pin_project! {
    /// The response future of a [`GateService`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct GateFuture<F> {
        // `None` for a request that is shed.
        #[pin]
        inner: Option<F>,
        retry_after: Duration,
    }
}

impl<F, B, E> Future for GateFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(inner) => Poll::Ready(ready!(inner.poll(context))),
            None => Poll::Ready(Ok(shed(*this.retry_after))),
        }
    }
}

/// The answer to a request that is shed. `Retry-After` is in whole seconds, rounded up: 0 would ask to retry at once.
fn shed<B: Default>(retry_after: Duration) -> Response<B> {
    let seconds = retry_after.as_secs().saturating_add(u64::from(retry_after.subsec_nanos() > 0)).max(1);
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
