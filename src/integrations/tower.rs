//! [tower](https://docs.rs/tower): a layer that measures HTTP services, for axum, tonic, hyper and any other tower
//! stack. It implements tower-layer 0.3 and tower-service 0.3, with the types of http 1 and http-body 1.
//!
//! ```no_run
//! use axum::{Router, extract::MatchedPath, routing::get};
//! use tasktag::Client;
//! use tasktag::integrations::tower::HttpLayer;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let guard = Client::builder().prefix("shop").from_env().install()?;
//! let layer = HttpLayer::new(guard.client())
//!     .route(|request| request.extensions().get::<MatchedPath>().map(MatchedPath::as_str))
//!     .critical(&["/pay", "/login"]);
//! let app: Router = Router::new().route("/carts/{id}", get(|| async { "a cart" })).layer(layer);
//! axum::serve(tokio::net::TcpListener::bind("0.0.0.0:8080").await?, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is reported
//!
//! | metric | kind | tags | meaning |
//! |---|---|---|---|
//! | `http.in_flight.in_use` | gauge | | requests in flight at the flush |
//! | `http.in_flight.in_use.max` | gauge | | the most requests in flight at once since the last flush |
//! | `http.in_flight.utilization` | gauge | | the share of the [capacity](HttpLayer::capacity) in use, averaged over time; absent without a capacity |
//! | `http.requests` | counter | `route`, `method`, `outcome`, `status_class` | completed requests |
//! | `http.request.duration` | timing, ms | `route`, `method`, `outcome`, `status_class` | time from the call of the service to the end of the response |
//! | `slo.total`, `slo.good` | counter | `objective` | requests of a route with an [objective](HttpLayer::objective), and those that kept it |
//! | `http.request.wait` | timing, ms | | time from the edge to the call of the service, if a header gives it |
//! | `http.request.wait.refused` | counter | `reason` | rejected timestamps, at most one a request |
//!
//! [`prefix`](HttpLayer::prefix) replaces `http`, and [`tag`](HttpLayer::tag) adds a tag to every metric.
//! [`distributions`](HttpLayer::distributions) reports distributions rather than timings, and
//! [`methods(false)`](HttpLayer::methods) leaves the tag `method` out.
//!
//! A request is in flight until its response body has ended or is dropped. If the service's future is dropped, fails or
//! panics, the request ends at once. Each request is counted once, when it ends:
//!
//! | `outcome` | when |
//! |---|---|
//! | `ok` | the whole response was sent, with a status below 500 |
//! | `error` | the status was 500 or above (whether or not the body was read), the service or the body failed, or the code panicked |
//! | `cancelled` | the request was dropped before there was a response (`status_class:other`) or during its body (any other class) |
//!
//! A stream that ends because the client disconnects is `cancelled`, and its duration is how long it was read. An
//! upgraded connection, for example a WebSocket, ends with its `101` response.
//!
//! # Routes
//!
//! [`HttpLayer::route`] names the route of a request, and [`HttpLayer::write_route`] writes it. Without either, all
//! requests are `unmatched`. By default the first [50](DEFAULT_ROUTES) routes are reported
//! separately; [`routes`](HttpLayer::routes) changes the number. All later routes are reported as `other`, and counted
//! in [`Stats::folded_values`](crate::Stats::folded_values). [`critical`](HttpLayer::critical) routes are never folded.
//! A router's patterns make the best routes. Raw paths are safe, because the number of routes is limited, but scanners
//! can use the limit up.
//!
//! A route has up to 10 methods, and an ending that each of them had makes two contexts: 50 routes with two methods and
//! three endings each are 600. Those that clients make up count together: methods that are not known, and those that
//! the service refuses with status 405 or 501, are `other`. Where any method is answered, for example by raw paths,
//! [`methods(false)`](HttpLayer::methods) keeps clients from making contexts, of which a client has
//! [2,000](crate::DEFAULT_CONTEXT_LIMIT) by default.
//!
//! axum sets a `MatchedPath` if the layer is passed to [`Router::layer`] or [`Router::route_layer`], which puts the
//! layer between the router and each of its routes. A layer around the whole router sees no `MatchedPath` and reports
//! `unmatched`. A request that matches no route is reported as `unmatched` too. Characters that a tag can't hold become
//! `_` on the wire: `route:/carts/_id_`.
//!
//! # Waiting
//!
//! A proxy in front of the service can stamp each request with the time at which it arrived. The time since then is how
//! long the request waited for a free worker: the first sign of too few tasks. The layer reads `X-Request-Start` and
//! `X-Queue-Start`. A timestamp is in seconds, milliseconds, microseconds or nanoseconds since 1970; the layer tells
//! the units apart by magnitude. It may have a fraction and the prefix `t=`. Lists and repeated headers are read, up to
//! 8 timestamps a request.
//!
//! - The earliest plausible timestamp counts, because each proxy sees only the time after it.
//! - `X-Amzn-Trace-Id` is read if no other timestamp is plausible. `Self` takes precedence over `Root`, which may
//!   belong to another request that this one is part of.
//! - A timestamp in whole seconds counts from the end of its second, so that the reported wait is never too long.
//! - A timestamp up to 1 s ahead counts as now, because clocks differ. One further ahead is refused as `future`, one
//!   older than an hour as `too_old`, and one that is not a number as `malformed`.
//! - A wait of more than 5 minutes counts as 5 minutes.
//!
//! Refusals are counted in `http.request.wait.refused` alone, and not in [`Client::stats`](crate::Client::stats):
//! otherwise anybody who can send a request could change the statistics. The waits themselves are only trustworthy if
//! the edge overwrites these headers; otherwise turn them off with [`wait(false)`](HttpLayer::wait). The time of day
//! comes from the system clock, so a host whose clock is off reports waits that are off.
//!
//! The page [`proxies`](crate::guide::proxies) says what each proxy's timestamp means, with its configuration. If one
//! of the headers gives the time of the connection, [`ignore_start`](HttpLayer::ignore_start) leaves it out.
//!
//! # tonic
//!
//! tonic's server accepts any layer. Use the path, `/package.Service/Method`, as the route: a server has a fixed number
//! of them, and other paths that clients make up are folded.
//!
//! ```text
//! let layer = HttpLayer::new(&client).route(|request| Some(request.uri().path())).methods(false);
//! Server::builder().layer(layer).add_service(GreeterServer::new(greeter)).serve(address).await?;
//! ```
//!
//! A gRPC response has HTTP status 200 even if the call failed. If the response's headers or trailers have a
//! `grpc-status`, `status_class` is the class of the corresponding HTTP status. It is `4xx` for the caller's errors and
//! for codes like "not found". It is `5xx`, with `outcome:error`, for unknown, deadline exceeded, unimplemented,
//! internal, unavailable and data loss.
//!
//! # Cost
//!
//! A request on a known route takes no lock and allocates nothing. The first request of a route that ends in a new way,
//! or has a new method, registers metrics, and may allocate. A folded request takes no lock either.
//!
//! # Shedding
//!
//! [`GateLayer`] answers requests of some classes with status 503 while a [`Gate`](crate::Gate) does not admit them.
//! Critical routes are never shed.
//!
//! # Limitations
//!
//! - Time that a service spends in `poll_ready`, for example behind a concurrency limit, is before the call: it is part
//!   of the wait and not of the duration. Put this layer outside layers that queue in `call`.
//! - A body that an outer layer drops unread, for example for a cached response, looks like a client that disconnected.
//! - Two layers with the same prefix and tags add up, but each has its own limit of routes.
//!
//! Extra dependencies: `http`, `http-body`, `bytes`, `pin-project-lite`, `tower-layer` and `tower-service`, all of
//! which users of axum, tonic and hyper already have.
//!
//! [`Router::layer`]: https://docs.rs/axum/0.8/axum/struct.Router.html#method.layer
//! [`Router::route_layer`]: https://docs.rs/axum/0.8/axum/struct.Router.html#method.route_layer

mod body;
mod future;
mod gate;
mod grpc;
mod in_flight;
mod layer;
mod metrics;
mod request_head;
mod request_start;
mod route;
mod route_metrics;
mod route_name;
mod service;
mod settings;
mod start_header;
mod tags;

pub use self::body::HttpBody;
pub use self::future::HttpFuture;
pub use self::gate::{GateFuture, GateLayer, GateService};
pub use self::layer::{DEFAULT_ROUTES, HttpLayer};
pub use self::request_head::RequestHead;
pub use self::route::{RouteFn, RouteSource, WrittenRoute};
pub use self::route_name::RouteName;
pub use self::service::HttpService;
pub use self::start_header::StartHeader;
