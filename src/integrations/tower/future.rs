//! The future of a response.

use super::body::HttpBody;
use super::in_flight::InFlight;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// The response future of an [`HttpService`](super::HttpService). Dropping it before it resolves cancels the
    /// request.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct HttpFuture<F> {
        #[pin]
        inner: F,
        // `None` once there is a response, or once there will be none.
        in_flight: Option<InFlight>,
    }
}

impl<F> HttpFuture<F> {
    pub(super) fn new(inner: F, in_flight: Option<InFlight>) -> Self {
        Self { inner, in_flight }
    }
}

impl<F, B, E> Future for HttpFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<HttpBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner;
        let done = ready!(InFlight::during(this.in_flight, || inner.poll(context)));
        let in_flight = this.in_flight.take();
        Poll::Ready(match done {
            Ok(response) => Ok(HttpBody::wrap(response, in_flight)),
            Err(error) => {
                if let Some(in_flight) = in_flight {
                    in_flight.fail();
                }
                Err(error)
            }
        })
    }
}
