//! A request from its arrival to the end of its response.

use super::grpc;
use super::route_metrics::RouteMetrics;
use crate::process::fork;
use crate::{HttpMethod, Outcome, OwnedOccupied, StatusClass};
use http::{Response, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request that has not ended. Dropping it records how it ended.
#[derive(Debug)]
pub(super) struct InFlight {
    route: Arc<RouteMetrics>,
    since: u64,
    // The fork generation of the process that received the request.
    generation: u32,
    // The ending to report if the request is dropped now, outside other people's code.
    outcome: Outcome,
    at_rest: Outcome,
    class: StatusClass,
    // The body has reported its end to its reader, who will not poll again.
    told_of_end: AtomicBool,
    method: HttpMethod,
    // The service has said that it does not have the method.
    is_refused: bool,
    _unit: OwnedOccupied,
}

impl InFlight {
    pub(super) fn new(
        route: &Arc<RouteMetrics>,
        since: u64,
        unit: OwnedOccupied,
        method: HttpMethod,
    ) -> Self {
        Self {
            route: Arc::clone(route),
            since,
            generation: fork::generation(),
            outcome: Outcome::Cancelled,
            at_rest: Outcome::Cancelled,
            class: StatusClass::Other,
            told_of_end: AtomicBool::new(false),
            method,
            is_refused: false,
            _unit: unit,
        }
    }

    /// Runs other people's code for this request. If it panics, the request ends with an error.
    #[inline]
    pub(super) fn during<T>(in_flight: &mut Option<Self>, act: impl FnOnce() -> T) -> T {
        if let Some(in_flight) = in_flight {
            in_flight.outcome = Outcome::Error;
        }
        let done = act();
        if let Some(in_flight) = in_flight {
            in_flight.outcome = in_flight.at_rest;
        }
        done
    }

    /// Takes the head of the response into account.
    pub(super) fn answer<B>(&mut self, response: &Response<B>) {
        self.is_refused =
            matches!(response.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
        self.class = grpc::class(response.headers()).unwrap_or(response.status().into());
        // A failure counts even if nobody reads its body: an outer layer may send another one.
        if self.class == StatusClass::ServerError {
            self.at_rest = Outcome::Error;
            self.outcome = self.at_rest;
        }
    }

    /// Takes the trailers of the response into account.
    pub(super) fn trail(&mut self, trailers: &http::HeaderMap) {
        if let Some(class) = grpc::class(trailers) {
            self.class = class;
        }
    }

    /// Whether the server drops the body unread, because the response can't have one.
    pub(super) fn has_no_body(&self, status: StatusCode) -> bool {
        self.method == HttpMethod::Head
            || (self.method == HttpMethod::Connect && status.is_success())
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED
    }

    /// Marks the whole body as sent; trailers may follow.
    pub(super) fn complete(&mut self) {
        self.at_rest = if self.class == StatusClass::ServerError { Outcome::Error } else { Outcome::Ok };
        self.outcome = self.at_rest;
    }

    /// Notes that the body's reader has seen the end.
    pub(super) fn tell_of_end(&self) {
        self.told_of_end.store(true, Ordering::Relaxed);
    }

    /// Ends the request: the whole response was sent.
    pub(super) fn finish(mut self) {
        self.complete();
    }

    /// Ends the request: there is no response, or no more of it.
    pub(super) fn fail(mut self) {
        self.outcome = Outcome::Error;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if *self.told_of_end.get_mut() && matches!(self.outcome, Outcome::Cancelled) {
            self.complete();
        }
        // A forked child does not report its parent's requests.
        if self.generation == fork::generation() {
            let method = if self.is_refused { HttpMethod::Other } else { self.method };
            self.route.record(method, self.outcome, self.class, self.since);
        }
    }
}
