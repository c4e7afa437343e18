//! Which route a request is for.

use crate::{ClosedTag, HttpMethod};
use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

/// What a request says of itself before its body: what [`HttpLayer::route`](super::HttpLayer::route) may look at.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    pub(super) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// The method.
    #[must_use]
    pub fn method(self) -> &'a Method {
        self.method
    }

    /// The target, as far as the services before left it as it was.
    #[must_use]
    pub fn uri(self) -> &'a Uri {
        self.uri
    }

    /// The version of HTTP.
    #[must_use]
    pub fn version(self) -> Version {
        self.version
    }

    /// The headers.
    #[must_use]
    pub fn headers(self) -> &'a HeaderMap {
        self.headers
    }

    /// What the services before added, as axum's `MatchedPath`.
    #[must_use]
    pub fn extensions(self) -> &'a Extensions {
        self.extensions
    }
}

/// What names a request's route where [`HttpLayer::route`](super::HttpLayer::route) was not called.
pub type RouteFn = for<'a> fn(RequestHead<'a>) -> Option<&'a str>;

/// The method, which is all that every request has and nobody can make many of.
#[allow(clippy::unnecessary_wraps, reason = "it is one of those that may say `None`")]
pub(super) fn by_method(request: RequestHead<'_>) -> Option<&str> {
    Some(HttpMethod::from(request.method()).value())
}
