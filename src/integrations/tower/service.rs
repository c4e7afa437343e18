//! The service.

use super::body::HttpBody;
use super::future::HttpFuture;
use super::in_flight::InFlight;
use super::metrics::Metrics;
use super::request_head::RequestHead;
use super::route::RouteSource;
use http::{Request, Response};
use http_body::Body;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// A service whose requests are reported. [`HttpLayer`](super::HttpLayer) makes it.
///
/// `call` passes the request on to the same inner service that reported it was ready.
#[must_use = "a service does nothing until it is called"]
pub struct HttpService<S, R> {
    inner: S,
    metrics: Arc<Metrics>,
    route: Arc<R>,
}

impl<S, R> HttpService<S, R> {
    pub(super) fn new(inner: S, metrics: Arc<Metrics>, route: Arc<R>) -> Self {
        Self { inner, metrics, route }
    }
}

impl<S, R, A, B> Service<Request<A>> for HttpService<S, R>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body,
    R: RouteSource,
{
    type Response = Response<HttpBody<B>>;
    type Error = S::Error;
    type Future = HttpFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<A>) -> Self::Future {
        let head = RequestHead::of(&request);
        let mut in_flight = Some(self.route.with_route(head, |route| self.metrics.begin(head, route)));
        let inner = InFlight::during(&mut in_flight, || self.inner.call(request));
        HttpFuture::new(inner, in_flight)
    }
}

impl<S: Clone, R> Clone for HttpService<S, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), metrics: Arc::clone(&self.metrics), route: Arc::clone(&self.route) }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for HttpService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
