//! The head of a request.

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

/// The head of a request: what the closures of [`HttpLayer`](super::HttpLayer) and [`GateLayer`](super::GateLayer) can
/// read.
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

    /// The target, as the outer services left it.
    #[must_use]
    pub fn uri(self) -> &'a Uri {
        self.uri
    }

    /// The HTTP version.
    #[must_use]
    pub fn version(self) -> Version {
        self.version
    }

    /// The headers.
    #[must_use]
    pub fn headers(self) -> &'a HeaderMap {
        self.headers
    }

    /// The extensions that outer services added, for example axum's `MatchedPath`.
    #[must_use]
    pub fn extensions(self) -> &'a Extensions {
        self.extensions
    }
}
