//! The response body, which ends the request when it ends or is dropped.

use super::in_flight::InFlight;
use bytes::Buf;
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// The response body of an [`HttpService`](super::HttpService).
    ///
    /// The request is over when this body has ended or is dropped. If it is dropped before its end, the request counts
    /// as cancelled. The default value belongs to no request.
    #[derive(Debug, Default)]
    pub struct HttpBody<B> {
        #[pin]
        inner: B,
        // `None` once the request is over.
        in_flight: Option<InFlight>,
        // The bytes still to come, if known: a server that has sent all of them does not poll for the end.
        left: Option<u64>,
    }
}

impl<B: Body> HttpBody<B> {
    pub(super) fn wrap(response: Response<B>, in_flight: Option<InFlight>) -> Response<Self> {
        let (in_flight, left) = match in_flight {
            Some(mut in_flight) => {
                in_flight.answer(&response);
                if in_flight.has_no_body(response.status()) || response.body().is_end_stream() {
                    in_flight.finish();
                    (None, None)
                } else {
                    let left = length(&response);
                    if left == Some(0) {
                        in_flight.complete();
                    }
                    (Some(in_flight), left)
                }
            }
            None => (None, None),
        };
        response.map(|inner| Self { inner, in_flight, left })
    }
}

/// The length of a response's body, from its head or from the body itself.
fn length<B: Body>(response: &Response<B>) -> Option<u64> {
    let declared =
        response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    declared.or_else(|| response.body().size_hint().exact())
}

impl<B: Body> Body for HttpBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let mut inner = this.inner.as_mut();
        let frame = ready!(InFlight::during(this.in_flight, || inner.as_mut().poll_frame(context)));
        match &frame {
            None => finish(this.in_flight),
            Some(Err(_)) => {
                if let Some(in_flight) = this.in_flight.take() {
                    in_flight.fail();
                }
            }
            Some(Ok(frame)) => {
                if let Some(in_flight) = &mut *this.in_flight {
                    in_flight.pass(frame, this.left);
                }
                if frame.is_trailers() || inner.is_end_stream() {
                    finish(this.in_flight);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let is_end = self.inner.is_end_stream();
        if let Some(in_flight) = self.in_flight.as_ref().filter(|_| is_end) {
            in_flight.tell_of_end();
        }
        is_end
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl InFlight {
    /// Takes a frame of the body into account.
    fn pass<D: Buf>(&mut self, frame: &Frame<D>, left: &mut Option<u64>) {
        if let Some(data) = frame.data_ref() {
            *left = left.map(|left| left.saturating_sub(data.remaining() as u64));
            if *left == Some(0) {
                self.complete();
            }
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trail(trailers);
        }
    }
}

fn finish(in_flight: &mut Option<InFlight>) {
    if let Some(in_flight) = in_flight.take() {
        in_flight.finish();
    }
}
