//! The layer for tower sheds requests of the classes that a gate does not admit, and no others.
#![cfg(feature = "tower")]

use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::routing::get;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tasktag::integrations::tower::{GateLayer, HttpLayer, RequestHead};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Admission, Client, Gate, Guard, Load};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_layer::Layer;
use tower_service::Service;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

const PATIENCE: Duration = Duration::from_secs(60);

fn client(capture: &Capture) -> Result<Guard> {
    let builder = Client::builder().capture(capture).clock(&ManualClock::new()).telemetry(false);
    Ok(builder.flush_interval(Duration::from_secs(3600)).build()?)
}

/// A gate that sheds all reports above a load of 0.8.
fn gate(client: &Client, retry_after: Duration) -> Result<Gate> {
    let gate = client.gate("orders").smoothing(Duration::ZERO).retry_after(retry_after);
    Ok(gate.class("reports", Admission::below(0.8).passing(0.0).when_unknown(0.0)).register()?)
}

/// Reports are of a class, and what the path `/typo` is of was not registered.
fn class(request: RequestHead<'_>) -> Option<&str> {
    let route = request.extensions().get::<MatchedPath>().map_or(request.uri().path(), MatchedPath::as_str);
    match route {
        "/reports/{id}" => Some("reports"),
        "/typo" => Some("nobody registered this"),
        _ => None,
    }
}

/// A service that counts its calls.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicU32>);

impl Service<Request<()>> for Counted {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<std::result::Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        self.0.fetch_add(1, Ordering::Relaxed);
        ready(Ok(Response::new(Body::from("done"))))
    }
}

/// Calls a service that answers at once.
fn call<S>(service: &mut S, path: &str) -> Result<(StatusCode, HeaderMap)>
where
    S: Service<Request<()>, Response = Response<Body>, Error = Infallible>,
{
    let future = service.call(Request::get(path).body(())?);
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => Ok((response.status(), response.headers().clone())),
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => Err("it waits".into()),
    }
}

#[test]
fn what_is_shed_never_reaches_the_service_and_is_told_when_to_retry() -> Result {
    let (capture, counted) = (Capture::new(), Counted::default());
    let guard = client(&capture)?;
    for (retry_after, header) in [(0, "1"), (1, "1"), (1_001, "2"), (30_000, "30")] {
        let gate = gate(guard.client(), Duration::from_millis(retry_after))?;
        let layer =
            GateLayer::new(&gate, |request| (request.uri().path() == "/reports").then_some("reports"));
        let mut service = layer.layer(counted.clone());
        gate.set_load(Load::of(2.0));
        let before = counted.0.load(Ordering::Relaxed);
        let (status, headers) = call(&mut service, "/reports")?;
        assert_eq!((status, headers["retry-after"].to_str()?), (StatusCode::SERVICE_UNAVAILABLE, header));
        assert_eq!(counted.0.load(Ordering::Relaxed), before);
        let (status, headers) = call(&mut service, "/pay")?;
        assert_eq!((status, headers.get("retry-after")), (StatusCode::OK, None));
        assert_eq!(counted.0.load(Ordering::Relaxed), before + 1);
    }
    Ok(())
}

/// The status and the whole answer to a request of its own connection.
async fn ask(address: std::net::SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    Ok((status, answer))
}

#[tokio::test]
async fn a_server_sheds_classes_of_routes_and_critical_routes_never() -> Result {
    let capture = Capture::new();
    let guard = client(&capture)?;
    let gate = gate(guard.client(), Duration::from_secs(7))?;
    let http = HttpLayer::new(guard.client())
        .route(|request| request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    let done = || async { "done" };
    let app =
        Router::new().route("/reports/{id}", get(done)).route("/pay", get(done)).route("/typo", get(done));
    let app = app.layer(GateLayer::new(&gate, class)).layer(http);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });

    for (load, reports) in [(Some(0.2), 200), (Some(0.9), 503), (None, 503), (Some(0.1), 200)] {
        gate.set_load(Load::of(load));
        let (status, answer) = ask(address, "/reports/7").await?;
        assert_eq!(status, reports, "{load:?}");
        assert_eq!(answer.contains("retry-after: 7\r\n"), reports == 503, "{answer}");
        assert_eq!(answer.ends_with("\r\n\r\ndone"), reports == 200, "{answer}");
        assert_eq!([ask(address, "/pay").await?.0, ask(address, "/typo").await?.0], [200, 200], "{load:?}");
    }

    guard.client().flush(PATIENCE)?;
    let mut counts = BTreeMap::new();
    for metric in capture.take_metrics()? {
        let tags = match metric.name.as_str() {
            "gate.decisions" => ["class", "decision", "state"],
            "http.requests" => ["route", "outcome", "status_class"],
            _ => continue,
        };
        let tags = tags.map(|key| metric.tag(key).unwrap_or("none").to_owned()).join(" ");
        counts.insert(tags, metric.value.number().unwrap());
    }
    let expected = [
        ("/pay ok 2xx", 4.0),
        ("/reports/_id_ error 5xx", 2.0),
        ("/reports/_id_ ok 2xx", 2.0),
        ("/typo ok 2xx", 4.0),
        ("other admitted open", 3.0),
        ("other admitted unknown", 1.0),
        ("reports admitted open", 2.0),
        ("reports shed shedding", 1.0),
        ("reports shed unknown", 1.0),
    ];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
    Ok(())
}
