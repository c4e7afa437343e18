//! [tower](https://docs.rs/tower): a layer that measures HTTP services, of axum, tonic, hyper or one's own. It is one of
//! tower-layer 0.3 and tower-service 0.3, with the types of http 1 and http-body 1.
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
//! | metric | kind | tags | what |
//! |---|---|---|---|
//! | `http.in_flight.in_use` | gauge | | requests at work, at the flush |
//! | `http.in_flight.in_use.max` | gauge | | the most at once since the last flush |
//! | `http.in_flight.utilization` | gauge | | the share of the [capacity](HttpLayer::capacity) in use over time, where there is one |
//! | `http.requests` | counter | `route`, `outcome`, `status_class` | requests that are over |
//! | `http.request.duration` | timing, ms | `route`, `outcome`, `status_class` | from the call of the service to the end of the response |
//! | `http.request.wait` | timing, ms | | from the edge to the call of the service, where a header tells |
//! | `http.request.wait.refused` | counter | `reason` | stamps that are not to be believed, at most one a request |
//!
//! [`prefix`](HttpLayer::prefix) puts another word in the place of `http`, and [`tag`](HttpLayer::tag) adds a tag to all.
//!
//! A request is in flight until its response's body is at its end, or dropped; a service's future that is dropped, that
//! fails or that panics gives its place back at once. It is counted when it is over, once:
//!
//! | `outcome` | |
//! |---|---|
//! | `ok` | the response is out, with a status below 500 |
//! | `error` | a status of 500 or more, whoever read its body, an error of the service or of the body, a panic |
//! | `cancelled` | nobody waited: dropped before there was a response (`status_class:other`) or within its body (any other) |
//!
//! A stream that ends when the client goes away is `cancelled`, and its duration is how long it was watched. An upgraded
//! connection, as a WebSocket, is over with its `101`.
//!
//! # Routes
//!
//! [`HttpLayer::route`] says which route a request is for, of which [50](DEFAULT_ROUTES) are told apart unless
//! [`routes`](HttpLayer::routes) says otherwise: who comes first keeps a place, the others are `other`, and counted in
//! [`Stats::folded_values`](crate::Stats::folded_values). [`critical`](HttpLayer::critical) ones are never folded.
//! A router's patterns are best. Raw paths do no harm but that scanners take the places: that is what the limit is for.
//!
//! axum knows a `MatchedPath` where the layer is given to [`Router::layer`] or [`Router::route_layer`], which puts it
//! between the router and each of its routes. Wrapped around the whole router it sees none, and reports `unmatched`, as it
//! does what no route matched. What a tag can't hold is `_` on the wire: `route:/carts/_id_`.
//!
//! # Waiting
//!
//! A proxy in front says when it took a request in, and what passed since then is the time that it waited for a free
//! worker: the first sign of too few tasks. `X-Request-Start` and `X-Queue-Start` are read as seconds, milliseconds,
//! microseconds or nanoseconds since 1970, told apart by their magnitude, with or without a fraction and `t=`, in lists
//! and repeated headers up to 8 of them.
//!
//! - The earliest that is to be believed counts, as each proxy on the way sees only what came after it.
//! - `X-Amzn-Trace-Id` is read where no other stamp is to be believed: `Self` before `Root`, which may be of another request
//!   that this one is a part of.
//! - A stamp in whole seconds counts from the end of its second, so that no wait is reported that may not have been.
//! - A stamp up to 1 s ahead counts as now, as clocks differ. One that is further ahead is refused as `future`, one that is
//!   older than an hour as `too_old`, and what is no number as `malformed`; a wait of more than 5 minutes counts as 5.
//!
//! Refusals are counted in the metric alone, and not in [`Client::stats`](crate::Client::stats): whoever can send a
//! request could write into the books otherwise. The same goes for the waits: only where the edge overwrites these headers
//! are they true, and [`wait(false)`](HttpLayer::wait) leaves them alone. The time of day is the
//! system's, so that a host whose clock is off reports waits that are off.
//!
//! # tonic
//!
//! tonic's server takes any layer. The route is the path, `/package.Service/Method`, as a server has only so many; what
//! clients make up beyond them is folded.
//!
//! ```text
//! let layer = HttpLayer::new(&client).route(|request| Some(request.uri().path()));
//! Server::builder().layer(layer).add_service(GreeterServer::new(greeter)).serve(address).await?;
//! ```
//!
//! HTTP's status is 200 whatever becomes of a call. Where the response's headers or trailers have a `grpc-status`, its class
//! is that of the HTTP status which stands for it: `4xx` for what the caller did (and for codes like "not found"), `5xx`
//! and thus `outcome:error` for unknown, deadline exceeded, unimplemented, internal, unavailable and data loss.
//!
//! # What it costs
//!
//! A request on a route that has a place takes no lock and allocates nothing. A route's first request that ends in a new
//! way registers two metrics, the timing with 64 KiB. A request that is folded takes no lock either.
//!
//! # Where the fit is imperfect
//!
//! - What a service spends in `poll_ready`, as behind a limit of concurrency, is before the call: it is part of the wait
//!   and not of the duration. The layer belongs outside of those that queue in `call`.
//! - A body that a layer outside drops unread, as for a cached response, looks like a client that went away.
//! - Two layers with the same prefix and tags add up, but each has a limit of routes of its own.
//!
//! Extra dependencies: `http`, `http-body`, `bytes`, `pin-project-lite`, `tower-layer` and `tower-service`, all of which
//! axum, tonic and hyper's users have anyway.
//!
//! [`Router::layer`]: https://docs.rs/axum/0.8/axum/struct.Router.html#method.layer
//! [`Router::route_layer`]: https://docs.rs/axum/0.8/axum/struct.Router.html#method.route_layer

mod body;
mod future;
mod grpc;
mod in_flight;
mod layer;
mod metrics;
mod request_start;
mod route;
mod route_metrics;
mod service;
mod settings;
mod tags;

pub use self::body::HttpBody;
pub use self::future::HttpFuture;
pub use self::layer::{DEFAULT_ROUTES, HttpLayer};
pub use self::route::{RequestHead, RouteFn};
pub use self::service::HttpService;
