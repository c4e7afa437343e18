//! The headers in which proxies write when a request arrived.

use http::header::HeaderName;

static REQUEST_START: HeaderName = HeaderName::from_static("x-request-start");
static QUEUE_START: HeaderName = HeaderName::from_static("x-queue-start");
static TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// A header in which a proxy writes when a request arrived. The page [`proxies`](crate::guide::proxies) says what each
/// proxy means by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartHeader {
    /// `X-Request-Start`.
    RequestStart,
    /// `X-Queue-Start`.
    QueueStart,
    /// `X-Amzn-Trace-Id`, which is read if no other header has a plausible timestamp.
    AmznTraceId,
}

impl StartHeader {
    pub(super) fn name(self) -> &'static HeaderName {
        match self {
            Self::RequestStart => &REQUEST_START,
            Self::QueueStart => &QUEUE_START,
            Self::AmznTraceId => &TRACE_ID,
        }
    }
}
