//! What names the route of a request.

use super::request_head::RequestHead;
use super::route_name::RouteName;
use std::fmt;

/// What names the route of a request: a closure for [`HttpLayer::route`](super::HttpLayer::route) or
/// [`HttpLayer::write_route`](super::HttpLayer::write_route). It is implemented for those alone.
pub trait RouteSource: sealed::Sealed {
    #[doc(hidden)]
    fn with_route<T>(&self, request: RequestHead<'_>, act: impl FnOnce(Option<&str>) -> T) -> T;
}

impl<F> RouteSource for F
where
    F: for<'a> Fn(RequestHead<'a>) -> Option<&'a str>,
{
    #[inline]
    fn with_route<T>(&self, request: RequestHead<'_>, act: impl FnOnce(Option<&str>) -> T) -> T {
        act(self(request))
    }
}

impl<F> RouteSource for WrittenRoute<F>
where
    F: Fn(RequestHead<'_>, &mut RouteName) -> fmt::Result,
{
    #[inline]
    fn with_route<T>(&self, request: RequestHead<'_>, act: impl FnOnce(Option<&str>) -> T) -> T {
        let mut name = RouteName::new();
        let written = (self.0)(request, &mut name);
        act(written.ok().map(|()| name.as_str()).filter(|name| !name.is_empty()))
    }
}

mod sealed {
    pub trait Sealed {}

    impl<F> Sealed for F where F: for<'a> Fn(super::RequestHead<'a>) -> Option<&'a str> {}
    impl<F> Sealed for super::WrittenRoute<F> {}
}

/// The type of the route closure of a layer that was given none.
pub type RouteFn = for<'a> fn(RequestHead<'a>) -> Option<&'a str>;

/// Names no request's route.
pub(super) fn unmatched(_: RequestHead<'_>) -> Option<&str> {
    None
}

/// A closure that writes the route of a request, for [`HttpLayer::write_route`](super::HttpLayer::write_route).
pub struct WrittenRoute<F>(pub(super) F);

impl<F> fmt::Debug for WrittenRoute<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrittenRoute").finish_non_exhaustive()
    }
}
