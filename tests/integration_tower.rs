//! The layer for tower: what it reports of real requests to a real server, and of services that misbehave.
#![cfg(feature = "tower")]
#![allow(unsafe_code, reason = "std can't fork")]

#[path = "support/allocations.rs"]
mod allocations;

use allocations::allocations;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::MatchedPath;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use axum::routing::{any, get};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::Write;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};
use tasktag::integrations::tower::{DEFAULT_ROUTES, HttpLayer, RequestHead, StartHeader};
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{Client, ClientBuilder, Guard};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower_layer::Layer;
use tower_service::Service;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;
type BoxError = Box<dyn Error + Send + Sync>;

const PATIENCE: Duration = Duration::from_secs(60);
const MS: Duration = Duration::from_millis(1);

/// A client whose agent is in memory and whose time is moved by hand, and all that it reported.
struct Lab {
    guard: Guard,
    capture: Capture,
    clock: ManualClock,
    seen: Vec<ParsedMetric>,
}

/// `http.requests` of a route, an outcome and a class of status.
type Ends = BTreeMap<(String, String, String), u64>;

impl Lab {
    fn new() -> Result<Self> {
        Self::with(|builder| builder)
    }

    fn with(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Self> {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let builder = Client::builder().flush_interval(Duration::from_secs(3600)).telemetry(false);
        let guard = set(builder.capture(&capture).clock(&clock)).build()?;
        Ok(Self { guard, capture, clock, seen: Vec::new() })
    }

    fn layer(&self) -> HttpLayer {
        HttpLayer::new(self.guard.client())
    }

    /// A layer that takes the path as it is.
    fn by_path(&self) -> HttpLayer<impl for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + 'static> {
        self.layer().route(|request| Some(request.uri().path()))
    }

    fn flush(&mut self) -> Result {
        self.guard.client().flush(PATIENCE)?;
        self.seen.extend(self.capture.take_metrics()?);
        Ok(())
    }

    /// The last value of a gauge.
    fn gauge(&mut self, name: &str) -> Result<Option<f64>> {
        self.flush()?;
        Ok(self.seen.iter().rev().find(|metric| metric.name == name).and_then(|metric| metric.value.number()))
    }

    fn in_flight(&mut self) -> Result<f64> {
        Ok(self.gauge("http.in_flight.in_use")?.ok_or("no request was ever in flight")?)
    }

    /// Waits until as many requests are in flight.
    fn await_in_flight(&mut self, expected: f64) -> Result {
        let start = Instant::now();
        while self.in_flight()? != expected {
            assert!(start.elapsed() < PATIENCE, "{} are in flight, not {expected}", self.in_flight()?);
            std::thread::sleep(MS);
        }
        Ok(())
    }

    /// What became of all requests. Each was timed under the very tags that it was counted under.
    fn ends(&mut self) -> Result<Ends> {
        self.flush()?;
        let (mut counts, mut timings) = (Ends::new(), Ends::new());
        for metric in &self.seen {
            let of = |key| metric.tag(key).unwrap_or("none").to_owned();
            let tags = (of("route"), of("outcome"), of("status_class"));
            match metric.name.as_str() {
                "http.requests" => *counts.entry(tags).or_default() += whole(metric),
                "http.request.duration" => *timings.entry(tags).or_default() += metric.count(),
                _ => {}
            }
        }
        assert_eq!(counts, timings);
        Ok(counts)
    }

    /// All values of a timing in milliseconds, in their order on the wire.
    fn values(&mut self, name: &str) -> Result<Vec<f64>> {
        self.flush()?;
        let values = self.seen.iter().filter(|metric| metric.name == name).flat_map(|metric| {
            assert_eq!(metric.code, "ms");
            std::iter::repeat_n(metric.value.number(), usize::try_from(metric.count()).unwrap())
        });
        Ok(values.flatten().collect())
    }

    fn refused(&mut self) -> Result<BTreeMap<String, u64>> {
        self.flush()?;
        let mut refused = BTreeMap::new();
        for metric in self.seen.iter().filter(|metric| metric.name == "http.request.wait.refused") {
            let reason = metric.tag("reason").ok_or("no reason")?;
            *refused.entry(reason.to_owned()).or_default() += whole(metric);
        }
        Ok(refused)
    }

    fn nanos(&self) -> u128 {
        self.clock.time_of_day().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()
    }
}

fn whole(metric: &ParsedMetric) -> u64 {
    let number = metric.value.number().unwrap();
    assert_eq!(number.fract(), 0.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and whole")]
    let number = number as u64;
    number
}

fn ends<const N: usize>(expected: [(&str, &str, &str, u64); N]) -> Ends {
    let owned = |(route, outcome, class, count): (&str, &str, &str, u64)| {
        ((route.to_owned(), outcome.to_owned(), class.to_owned()), count)
    };
    expected.into_iter().map(owned).collect()
}

/// A body whose frames are sent to it.
struct Frames {
    frames: UnboundedReceiver<Result<Frame<Bytes>, BoxError>>,
}

type Sender = UnboundedSender<Result<Frame<Bytes>, BoxError>>;

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.frames.poll_recv(context)
    }
}

fn frames() -> (Sender, Frames) {
    let (sender, frames) = unbounded_channel();
    (sender, Frames { frames })
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

fn trailers(status: &'static str) -> Frame<Bytes> {
    let status = HeaderValue::from_static(status);
    Frame::trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), status)]))
}

async fn serve(app: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// Sends a request that is followed by no other.
async fn send(address: SocketAddr, method: &str, path: &str, headers: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n");
    stream.write_all(&[head.as_bytes(), headers, b"\r\n"].concat()).await?;
    Ok(stream)
}

async fn response(stream: &mut TcpStream) -> Result<String> {
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await?;
    Ok(String::from_utf8(response)?)
}

async fn fetch(address: SocketAddr, path: &str) -> Result<String> {
    response(&mut send(address, "GET", path, b"").await?).await
}

fn matched(request: RequestHead<'_>) -> Option<&str> {
    request.extensions().get::<MatchedPath>().map(MatchedPath::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_counted_under_its_route_and_how_it_ended() -> Result {
    let mut lab = Lab::new()?;
    let app = Router::new()
        .route("/cart/{id}", get(|| async { "a cart" }))
        .route("/moved", get(|| async { (StatusCode::FOUND, [("location", "/cart/1")]) }))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .layer(lab.layer().route(matched));
    let address = serve(app).await?;
    for (path, times, status) in [
        ("/cart/1", 3, "200 OK"),
        ("/cart/2", 4, "200 OK"),
        ("/moved", 2, "302 Found"),
        ("/broken", 5, "500 Internal Server Error"),
        ("/nowhere", 6, "404 Not Found"),
    ] {
        for _ in 0..times {
            assert!(fetch(address, path).await?.starts_with(&format!("HTTP/1.1 {status}")), "{path}");
        }
    }
    let post = response(&mut send(address, "POST", "/cart/1", b"content-length: 0\r\n").await?).await?;
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    let expected = ends([
        // Braces are none of the characters of a tag.
        ("/cart/_id_", "ok", "2xx", 7),
        ("/cart/_id_", "ok", "4xx", 1),
        ("/moved", "ok", "3xx", 2),
        ("/broken", "error", "5xx", 5),
        ("unmatched", "ok", "4xx", 6),
    ]);
    assert_eq!(lab.ends()?, expected);
    assert_eq!(lab.in_flight()?, 0.0);
    assert_eq!(lab.values("http.request.wait")?, [0.0; 0], "there was no stamp");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_response_is_what_it_would_be_without_the_layer() -> Result {
    let lab = Lab::new()?;
    let app = || {
        let chunked = || async {
            let (sender, body) = frames();
            sender.send(Ok(data("one "))).unwrap();
            sender.send(Ok(data("two"))).unwrap();
            Body::new(body)
        };
        Router::new().route("/whole", get(|| async { "text" })).route("/chunked", get(chunked))
    };
    let (plain, layered) = (serve(app()).await?, serve(app().layer(lab.by_path())).await?);
    for path in ["/whole", "/chunked", "/none"] {
        let (plain, layered) = (fetch(plain, path).await?, fetch(layered, path).await?);
        let undated = |response: &str| {
            response.lines().filter(|line| !line.starts_with("date")).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(undated(&plain), undated(&layered));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_is_in_flight_all_the_while() -> Result {
    let mut lab = Lab::new()?;
    let (started, mut starts) = unbounded_channel();
    let slow = move || {
        let (release, mut released) = unbounded_channel::<()>();
        started.send(release).unwrap();
        async move {
            released.recv().await;
            "at last"
        }
    };
    let app = Router::new().route("/slow", get(slow)).layer(lab.by_path().capacity(4));
    let address = serve(app).await?;
    let mut first = send(address, "GET", "/slow", b"").await?;
    let release_first = starts.recv().await.ok_or("started")?;
    lab.clock.advance(250 * MS);
    let mut second = send(address, "GET", "/slow", b"").await?;
    let release_second = starts.recv().await.ok_or("started")?;
    assert_eq!(lab.in_flight()?, 2.0);
    assert_eq!(lab.gauge("http.in_flight.utilization")?, Some(0.25));
    lab.clock.advance(500 * MS);
    assert_eq!(lab.gauge("http.in_flight.utilization")?, Some(0.5));
    drop(release_second);
    response(&mut second).await?;
    assert_eq!(lab.in_flight()?, 1.0);
    lab.clock.advance(MS);
    drop(release_first);
    response(&mut first).await?;
    assert_eq!(lab.in_flight()?, 0.0);
    assert_eq!(lab.gauge("http.in_flight.in_use.max")?, Some(0.0));
    assert_eq!(lab.values("http.request.duration")?, [500.0, 751.0]);
    assert_eq!(lab.ends()?, ends([("/slow", "ok", "2xx", 2)]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_before_the_answer_has_cancelled_its_request() -> Result {
    let mut lab = Lab::new()?;
    let (started, mut starts) = unbounded_channel();
    let never = move || {
        started.send(()).unwrap();
        std::future::pending::<&str>()
    };
    let app = Router::new().route("/never", get(never)).layer(lab.by_path());
    let address = serve(app).await?;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(send(address, "GET", "/never", b"").await?);
        starts.recv().await;
    }
    lab.await_in_flight(5.0)?;
    lab.clock.advance(30 * MS);
    clients.truncate(2);
    lab.await_in_flight(2.0)?;
    assert_eq!(lab.ends()?, ends([("/never", "cancelled", "other", 3)]));
    drop(clients);
    lab.await_in_flight(0.0)?;
    assert_eq!(lab.ends()?, ends([("/never", "cancelled", "other", 5)]));
    assert_eq!(lab.values("http.request.duration")?, [30.0; 5]);
    Ok(())
}

/// A server of one route, `/stream`, whose bodies' frames are sent to what comes out of the channel.
async fn streaming(
    lab: &Lab,
    head: &[(&'static str, &'static str)],
) -> Result<(SocketAddr, UnboundedReceiver<Sender>)> {
    let (started, starts) = unbounded_channel();
    let head: HeaderMap =
        head.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
    let stream = move || {
        let (sender, body) = frames();
        started.send(sender).unwrap();
        let head = head.clone();
        async move { (head, Body::new(body)) }
    };
    let app = Router::new().route("/stream", get(stream)).layer(lab.by_path());
    Ok((serve(app).await?, starts))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_in_flight_until_its_body_is_out() -> Result {
    let mut lab = Lab::new()?;
    let (address, mut starts) = streaming(&lab, &[]).await?;
    let mut client = send(address, "GET", "/stream", b"").await?;
    let body = starts.recv().await.ok_or("started")?;
    body.send(Ok(data("some")))?;
    let mut some = [0; 4096];
    let mut text = String::new();
    while !text.contains("some") {
        let len = client.read(&mut some).await?;
        text.push_str(std::str::from_utf8(&some[..len])?);
    }
    lab.clock.advance(20 * MS);
    assert_eq!((lab.in_flight()?, lab.ends()?), (1.0, ends([])));
    body.send(Ok(data("more")))?;
    lab.clock.advance(5 * MS);
    drop(body);
    assert!(response(&mut client).await?.ends_with("more\r\n0\r\n\r\n"));
    assert_eq!((lab.in_flight()?, lab.ends()?), (0.0, ends([("/stream", "ok", "2xx", 1)])));
    assert_eq!(lab.values("http.request.duration")?, [25.0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_within_the_body_has_cancelled_its_request() -> Result {
    let mut lab = Lab::new()?;
    let (address, mut starts) = streaming(&lab, &[]).await?;
    let client = send(address, "GET", "/stream", b"").await?;
    let body = starts.recv().await.ok_or("started")?;
    body.send(Ok(data("some")))?;
    lab.await_in_flight(1.0)?;
    drop(client);
    lab.await_in_flight(0.0)?;
    assert_eq!(lab.ends()?, ends([("/stream", "cancelled", "2xx", 1)]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_fails_is_an_error() -> Result {
    let mut lab = Lab::new()?;
    let (address, mut starts) = streaming(&lab, &[]).await?;
    let mut client = send(address, "GET", "/stream", b"").await?;
    let body = starts.recv().await.ok_or("started")?;
    body.send(Ok(data("some")))?;
    body.send(Err("the disk is gone".into()))?;
    assert!(!response(&mut client).await?.ends_with("0\r\n\r\n"));
    lab.await_in_flight(0.0)?;
    assert_eq!(lab.ends()?, ends([("/stream", "error", "2xx", 1)]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_as_long_as_it_said_is_whole_though_nobody_asks_for_its_end() -> Result {
    let mut lab = Lab::new()?;
    let (address, mut starts) = streaming(&lab, &[("content-length", "8")]).await?;
    let mut client = send(address, "GET", "/stream", b"").await?;
    let body = starts.recv().await.ok_or("started")?;
    body.send(Ok(data("some")))?;
    body.send(Ok(data("more")))?;
    assert!(response(&mut client).await?.ends_with("\r\n\r\nsomemore"));
    lab.await_in_flight(0.0)?;
    assert_eq!((lab.in_flight()?, lab.ends()?), (0.0, ends([("/stream", "ok", "2xx", 1)])));

    let client = send(address, "GET", "/stream", b"").await?;
    let body = starts.recv().await.ok_or("started")?;
    body.send(Ok(data("some")))?;
    lab.await_in_flight(1.0)?;
    drop(client);
    lab.await_in_flight(0.0)?;
    let expected = ends([("/stream", "ok", "2xx", 1), ("/stream", "cancelled", "2xx", 1)]);
    assert_eq!(lab.ends()?, expected, "half of it is not whole");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_without_a_place_for_a_body_is_whole() -> Result {
    let mut lab = Lab::new()?;
    let answer = |status: StatusCode| {
        let respond = move || async move {
            let (_sender, body) = frames();
            (status, Body::new(body))
        };
        any(respond)
    };
    let app = Router::new()
        .route("/head", answer(StatusCode::OK))
        .route("/empty", answer(StatusCode::NO_CONTENT))
        .route("/same", answer(StatusCode::NOT_MODIFIED))
        .route("/upgrade", answer(StatusCode::SWITCHING_PROTOCOLS));
    // Around the router, where no one takes the body away before the server does.
    let layer = lab.by_path();
    let address = serve(Router::new().fallback_service(layer.layer(app))).await?;
    for (method, path) in [("HEAD", "/head"), ("GET", "/empty"), ("GET", "/same")] {
        response(&mut send(address, method, path, b"").await?).await?;
    }
    let mut upgraded = TcpStream::connect(address).await?;
    upgraded
        .write_all(b"GET /upgrade HTTP/1.1\r\nhost: shop\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
        .await?;
    let mut some = [0; 12];
    upgraded.read_exact(&mut some).await?;
    assert_eq!(&some, b"HTTP/1.1 101");
    let expected = ends([
        ("/head", "ok", "2xx", 1),
        ("/empty", "ok", "2xx", 1),
        ("/same", "ok", "3xx", 1),
        ("/upgrade", "ok", "1xx", 1),
    ]);
    assert_eq!((lab.in_flight()?, lab.ends()?), (0.0, expected));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_is_an_error() -> Result {
    let mut lab = Lab::new()?;
    let panics = || async {
        assert!(std::hint::black_box(false), "a handler");
    };
    let app = Router::new().route("/panics", get(panics)).layer(lab.by_path());
    let address = serve(app).await?;
    let answer = fetch(address, "/panics").await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.is_empty()));
    lab.await_in_flight(0.0)?;
    assert_eq!(lab.ends()?, ends([("/panics", "error", "other", 1)]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_before_a_request_is_read_from_its_headers() -> Result {
    let mut lab = Lab::new()?;
    let app = Router::new().route("/", get(|| async {})).layer(lab.by_path());
    let address = serve(app).await?;
    lab.clock.advance(7 * Duration::from_secs(3600));
    let (nanos, secs) = (lab.nanos(), lab.nanos() / 1_000_000_000);
    let ms = |n: u128| nanos / 1_000_000 - n;
    let fraction = |n: u128| format!("{}.{:03}", ms(n) / 1000, ms(n) % 1000);
    let mut waits = Vec::new();
    for (header, wait) in [
        (format!("x-request-start: {}", ms(11)), 11.0),
        (format!("X-Request-Start: t={}", fraction(12)), 12.0),
        (format!("x-queue-start: t={}", ms(13) * 1000), 13.0),
        (format!("X-QUEUE-START: {}", ms(14) * 1_000_000), 14.0),
        (format!("x-request-start: t={}", secs - 16), 15_000.0),
        (format!("x-amzn-trace-id: Root=1-{:08x}-0123456789abcdef01234567", secs - 18), 17_000.0),
        (format!("x-request-start: {}, {}", ms(18), ms(19)), 19.0),
        (format!("x-request-start: {}\r\nx-queue-start: {}", ms(21), ms(20)), 21.0),
        (format!("x-request-start: {}", ms(0) + 900), 0.0),
        (format!("x-request-start: {}", ms(3_000_000)), 300_000.0),
    ] {
        response(&mut send(address, "GET", "/", format!("{header}\r\n").as_bytes()).await?).await?;
        let before = lab.values("http.request.wait")?;
        waits.push(wait);
        assert_eq!(before, waits, "{header}");
    }
    assert_eq!(lab.refused()?, BTreeMap::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_with_the_time_of_the_connection_can_be_ignored() -> Result {
    let mut lab = Lab::new()?;
    let layer = lab.by_path().ignore_start(StartHeader::QueueStart);
    let address = serve(Router::new().route("/", get(|| async {})).layer(layer)).await?;
    let ms = |n: u128| lab.nanos() / 1_000_000 - n;
    // A connection that was accepted, and then idle for 1.5 s.
    let header = format!("x-request-start: {}\r\nx-queue-start: {}\r\n", ms(20), ms(1_520));
    response(&mut send(address, "GET", "/", header.as_bytes()).await?).await?;
    assert_eq!(lab.values("http.request.wait")?, [20.0]);
    response(&mut send(address, "GET", "/", b"x-queue-start: junk\r\n").await?).await?;
    assert_eq!((lab.values("http.request.wait")?, lab.refused()?), (vec![20.0], BTreeMap::new()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_headers_are_counted_by_what_is_wrong_with_them() -> Result {
    let mut lab = Lab::new()?;
    let app = Router::new().route("/", get(|| async {})).layer(lab.by_path());
    let address = serve(app).await?;
    let ms = lab.nanos() / 1_000_000;
    let hostile: Vec<(Vec<u8>, &str)> = vec![
        (b"t=\xff\xfe\x80".to_vec(), "malformed"),
        (b"-1767225600000".to_vec(), "malformed"),
        (b"; DROP TABLE stamps".to_vec(), "malformed"),
        ([b"x,".repeat(2000), b"x".to_vec()].concat(), "malformed"),
        (b"9".repeat(300), "future"),
        (format!("{}", ms + 1001).into_bytes(), "future"),
        (b"t=12".to_vec(), "too_old"),
        (format!("{}", ms - 3_600_001).into_bytes(), "too_old"),
    ];
    for (value, _) in &hostile {
        for name in ["x-request-start: ", "x-queue-start: "] {
            let header = [name.as_bytes(), value, b"\r\n"].concat();
            let answer = response(&mut send(address, "GET", "/", &header).await?).await?;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
    for value in [&b""[..], b",,,,,,,,,,,,,,,,,,,,,,,,"] {
        let header = [b"x-request-start: ", value, b"\r\n"].concat();
        response(&mut send(address, "GET", "/", &header).await?).await?;
    }
    let expected = [("malformed", 8), ("future", 4), ("too_old", 4)];
    assert_eq!(lab.refused()?, expected.map(|(reason, count)| (reason.to_owned(), count)).into());
    assert_eq!(lab.values("http.request.wait")?, [0.0; 0]);
    assert_eq!(lab.ends()?, ends([("/", "ok", "2xx", 18)]));
    assert_eq!(lab.guard.client().stats().dropped_total().values, 0, "what others write is no loss of ours");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_paths_make_ten_routes_and_the_critical_one_is_among_them() -> Result {
    let mut lab = Lab::new()?;
    let handler = any(|| async {});
    let app = Router::new().fallback_service(handler).layer(lab.by_path().routes(10).critical(&["/pay"]));
    let address = serve(app).await?;
    let mut client = TcpStream::connect(address).await?;
    let mut answer = [0; 4096];
    for path in (0..1000).map(|n| format!("/{n}")).chain((0..7).map(|_| "/pay".to_owned())) {
        client.write_all(format!("GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n").as_bytes()).await?;
        let len = client.read(&mut answer).await?;
        assert!(answer[..len].starts_with(b"HTTP/1.1 200") && answer[..len].ends_with(b"\r\n\r\n"));
    }
    let routes: Vec<String> = (0..9).map(|n| format!("/{n}")).collect();
    let mut expected = ends([("/pay", "ok", "2xx", 7), ("other", "ok", "2xx", 991)]);
    expected.extend(routes.into_iter().map(|route| ((route, "ok".to_owned(), "2xx".to_owned()), 1)));
    assert_eq!(lab.ends()?, expected);
    assert_eq!(lab.guard.client().stats().folded_values, 991);
    assert_eq!(lab.in_flight()?, 0.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matched_path_is_there_for_a_layer_of_the_router_and_not_for_one_around_it() -> Result {
    async fn routes(wrap: impl FnOnce(Router, &Lab) -> Router) -> Result<Ends> {
        let mut lab = Lab::new()?;
        let inner = Router::new().route("/{id}", get(|| async {}));
        let app = Router::new().route("/users/{id}", get(|| async {})).nest("/carts", inner);
        let address = serve(wrap(app, &lab)).await?;
        for path in ["/users/1", "/users/2", "/carts/3", "/nowhere"] {
            fetch(address, path).await?;
        }
        lab.ends()
    }
    let of_router = routes(|app, lab| app.layer(lab.layer().route(matched))).await?;
    let known = [("/users/_id_", "ok", "2xx", 2), ("/carts/_id_", "ok", "2xx", 1)];
    let mut expected = ends(known);
    expected.extend(ends([("unmatched", "ok", "4xx", 1)]));
    assert_eq!(of_router, expected);
    let by_routes = routes(|app, lab| app.route_layer(lab.layer().route(matched))).await?;
    assert_eq!(by_routes, ends(known), "what is not routed is not seen");
    let around = |app, lab: &Lab| Router::new().fallback_service(lab.layer().route(matched).layer(app));
    let expected = ends([("unmatched", "ok", "2xx", 3), ("unmatched", "ok", "4xx", 1)]);
    assert_eq!(routes(around).await?, expected);
    Ok(())
}

// Without a server.

/// A body of one frame.
struct Text(Option<Bytes>);

impl HttpBody for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |text| text.len() as u64))
    }
}
fn text() -> Response<Text> {
    Response::new(Text(Some(Bytes::from_static(b"text"))))
}

fn request(path: &'static str) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = path.parse().unwrap();
    request
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A service made of what it answers.
#[derive(Clone)]
struct Answer<F>(F);

impl<F, A> Service<Request<()>> for Answer<F>
where
    F: FnMut(Request<()>) -> A,
    A: Future<Output = Result<Response<Text>, BoxError>>,
{
    type Response = Response<Text>;
    type Error = BoxError;
    type Future = A;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> A {
        (self.0)(request)
    }
}

/// Reads a body to its end.
fn read<B: HttpBody<Error: std::fmt::Debug>>(response: Response<B>) -> usize {
    let mut body = pin!(response.into_body());
    let mut frames = 0;
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
        frame.unwrap();
        frames += 1;
    }
    frames
}

/// Is ready for one call after it said so, and counts what it was asked.
struct Strict {
    ready: bool,
    asked: Arc<AtomicU64>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false, asked: Arc::clone(&self.asked) }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<Text>;
    type Error = BoxError;
    type Future = Ready<Result<Response<Text>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self.asked.fetch_add(1, Ordering::Relaxed) {
            0 => Poll::Pending,
            1 => {
                self.ready = true;
                Poll::Ready(Ok(()))
            }
            _ => Poll::Ready(Err("worn out".into())),
        }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "the service that is called is the one that was ready");
        ready(Ok(text()))
    }
}

#[test]
fn readiness_is_the_services_own_and_a_clone_has_none_of_it() -> Result {
    let mut lab = Lab::new()?;
    let asked = Arc::new(AtomicU64::new(0));
    let mut service = lab.by_path().layer(Strict { ready: false, asked: Arc::clone(&asked) });
    let context = &mut Context::from_waker(Waker::noop());
    assert!(service.poll_ready(context).is_pending());
    assert!(matches!(service.poll_ready(context), Poll::Ready(Ok(()))));
    // As whoever moves a service into a future does: the clone stays, the ready one goes.
    let clone = service.clone();
    let mut ready = std::mem::replace(&mut service, clone);
    let response = match poll(pin!(ready.call(request("/")))) {
        Poll::Ready(response) => response.map_err(|error| error.to_string())?,
        Poll::Pending => return Err("pending".into()),
    };
    assert_eq!(read(response), 1);
    let Poll::Ready(Err(error)) = service.poll_ready(context) else { return Err("ready".into()) };
    assert_eq!((error.to_string().as_str(), asked.load(Ordering::Relaxed)), ("worn out", 3));
    assert_eq!(lab.ends()?, ends([("/", "ok", "2xx", 1)]), "what was never called is no request");
    let called = catch_unwind(AssertUnwindSafe(|| drop(service.call(request("/")))));
    assert!(called.is_err());
    Ok(())
}

#[test]
fn an_error_of_the_service_is_handed_on_and_counted() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.by_path().layer(Answer(|_| ready(Err("no database".into()))));
    let Poll::Ready(Err(error)) = poll(pin!(service.call(request("/")))) else {
        return Err("an answer".into());
    };
    assert_eq!(error.to_string(), "no database");
    assert_eq!((lab.in_flight()?, lab.ends()?), (0.0, ends([("/", "error", "other", 1)])));
    Ok(())
}

#[test]
fn a_future_that_is_dropped_is_a_cancelled_request() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.by_path().layer(Answer(|_| std::future::pending()));
    drop(service.call(request("/unpolled")));
    {
        let mut future = Box::pin(service.call(request("/polled")));
        assert!(poll(future.as_mut()).is_pending());
        assert_eq!(lab.in_flight()?, 1.0);
    }
    let expected = ends([("/unpolled", "cancelled", "other", 1), ("/polled", "cancelled", "other", 1)]);
    assert_eq!((lab.in_flight()?, lab.ends()?), (0.0, expected));
    Ok(())
}

#[test]
fn a_service_that_panics_is_an_error_whoever_catches_it() -> Result {
    let mut lab = Lab::new()?;
    let in_call = Answer(|_| -> Ready<Result<Response<Text>, BoxError>> { panic!("in the call") });
    let mut service = lab.by_path().layer(in_call);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(service.call(request("/call"))))).is_err());
    let in_future = Answer(|_| std::future::poll_fn(|_| panic!("in the future")));
    let mut service = lab.by_path().layer(in_future);
    // Caught within, as a layer that catches panics does; dropped later, when nothing panics any more.
    let mut future = Box::pin(service.call(request("/future")));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()).is_ready())).is_err());
    drop(future);
    let expected = ends([("/call", "error", "other", 1), ("/future", "error", "other", 1)]);
    assert_eq!((lab.in_flight()?, lab.ends()?), (0.0, expected));
    Ok(())
}

#[test]
fn a_status_of_grpc_counts_in_headers_and_in_trailers() -> Result {
    #[derive(Clone)]
    struct Grpc(&'static str, Option<&'static str>);

    impl Service<Request<()>> for Grpc {
        type Response = Response<Frames>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Frames>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            let (sender, body) = frames();
            let mut response = Response::new(body);
            response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
            match self.1 {
                Some(status) => {
                    // That all of the message is out says nothing yet of the call.
                    response.headers_mut().insert("content-length", HeaderValue::from_static("7"));
                    sender.send(Ok(data("message"))).unwrap();
                    sender.send(Ok(trailers(status))).unwrap();
                }
                None => {
                    response.headers_mut().insert("grpc-status", HeaderValue::from_static(self.0));
                }
            }
            ready(Ok(response))
        }
    }

    let mut lab = Lab::new()?;
    let layer = lab.by_path();
    for (path, service) in [
        ("/ok.headers", Grpc("0", None)),
        ("/missing.headers", Grpc("5", None)),
        ("/down.headers", Grpc("14", None)),
        ("/ok.trailers", Grpc("", Some("0"))),
        ("/denied.trailers", Grpc("", Some("7"))),
        ("/lost.trailers", Grpc("", Some("15"))),
    ] {
        let mut service = layer.layer(service);
        let Poll::Ready(Ok(response)) = poll(pin!(service.call(request(path)))) else {
            return Err("none".into());
        };
        read(response);
    }
    let expected = ends([
        ("/ok.headers", "ok", "2xx", 1),
        ("/missing.headers", "ok", "4xx", 1),
        ("/down.headers", "error", "5xx", 1),
        ("/ok.trailers", "ok", "2xx", 1),
        ("/denied.trailers", "ok", "4xx", 1),
        ("/lost.trailers", "error", "5xx", 1),
    ]);
    assert_eq!((lab.in_flight()?, lab.ends()?), (0.0, expected));
    Ok(())
}

/// A service that answers at once, and a call of it that is read to its end.
fn call<S>(service: &mut S, path: &'static str)
where
    S: Service<
            Request<()>,
            Response = Response<tasktag::integrations::tower::HttpBody<Text>>,
            Error = BoxError,
        >,
{
    let Poll::Ready(Ok(response)) = poll(pin!(service.call(request(path)))) else { panic!("no answer") };
    assert_eq!(read(response), 1);
}

#[test]
fn nothing_is_allocated_for_a_request_whose_route_is_known() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.by_path().routes(1).layer(Answer(|_| ready(Ok(text()))));
    call(&mut service, "/known");
    call(&mut service, "/folded");
    let stamped = |path: &'static str| {
        let mut request = request(path);
        request.headers_mut().insert("x-request-start", HeaderValue::from_static("t=1767225599.900"));
        request
    };
    for path in ["/known", "/folded"] {
        let request = stamped(path);
        let allocated = allocations(|| {
            let mut future = pin!(service.call(request));
            let Poll::Ready(Ok(response)) = poll(future.as_mut()) else { panic!("no answer") };
            assert_eq!(read(response), 1);
        });
        assert_eq!(allocated, 0, "{path}");
    }
    assert_eq!(lab.values("http.request.wait")?, [100.0, 100.0]);
    let expected = ends([("/known", "ok", "2xx", 2), ("other", "ok", "2xx", 2)]);
    assert_eq!(lab.ends()?, expected);
    Ok(())
}

#[test]
fn a_body_that_nobody_is_to_read_is_whole_unread() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.by_path().layer(Answer(|_| ready(Ok(text()))));
    for (method, path) in [("HEAD", "/head"), ("CONNECT", "/tunnel"), ("GET", "/get")] {
        let mut request = request(path);
        *request.method_mut() = method.parse()?;
        let Poll::Ready(Ok(response)) = poll(pin!(service.call(request))) else { return Err("none".into()) };
        assert_eq!(lab.in_flight()?, if method == "GET" { 1.0 } else { 0.0 }, "{method}");
        drop(response);
    }
    let expected =
        ends([("/head", "ok", "2xx", 1), ("/tunnel", "ok", "2xx", 1), ("/get", "cancelled", "2xx", 1)]);
    assert_eq!((lab.in_flight()?, lab.ends()?), (0.0, expected));
    Ok(())
}

#[test]
fn a_failure_is_an_error_though_nobody_reads_its_body() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.by_path().layer(Answer(|request: Request<()>| {
        let mut response = text();
        match request.uri().path() {
            "/down" => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
            "/gone" => *response.status_mut() = StatusCode::GONE,
            _ => {
                response.headers_mut().insert("grpc-status", HeaderValue::from_static("14"));
            }
        }
        ready(Ok(response))
    }));
    for path in ["/down", "/gone", "/grpc"] {
        // As a layer outside that has a page of its own for each error.
        let Poll::Ready(Ok(response)) = poll(pin!(service.call(request(path)))) else {
            return Err("none".into());
        };
        drop(response);
    }
    let expected =
        ends([("/down", "error", "5xx", 1), ("/gone", "cancelled", "4xx", 1), ("/grpc", "error", "5xx", 1)]);
    assert_eq!((lab.in_flight()?, lab.ends()?), (0.0, expected));
    Ok(())
}

/// A body that is empty once it is told so, as one that comes from another server is, and a service whose body it is.
#[derive(Clone)]
struct Told(Arc<AtomicBool>);

impl HttpBody for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Service<Request<()>> for Told {
    type Response = Response<Told>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Told>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(self.clone())))
    }
}

#[test]
fn a_body_that_said_it_is_at_its_end_is_whole_though_nobody_asks_for_more() -> Result {
    let mut lab = Lab::new()?;
    let ended = Arc::new(AtomicBool::new(false));
    let mut service = lab.by_path().layer(Told(Arc::clone(&ended)));
    for (path, asks) in [("/asked", true), ("/unasked", false)] {
        ended.store(false, Ordering::Relaxed);
        let Poll::Ready(Ok(response)) = poll(pin!(service.call(request(path)))) else {
            return Err("none".into());
        };
        assert!(!response.body().is_end_stream());
        ended.store(true, Ordering::Relaxed);
        // What a server does that is told so: it drops the body.
        assert!(!asks || response.body().is_end_stream());
        drop(response);
    }
    let expected = ends([("/asked", "ok", "2xx", 1), ("/unasked", "cancelled", "2xx", 1)]);
    assert_eq!((lab.in_flight()?, lab.ends()?), (0.0, expected));
    Ok(())
}

#[test]
fn a_request_is_over_with_the_last_frame_of_its_body_whoever_keeps_that() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.by_path().layer(Answer(|_| ready(Ok(text()))));
    let Poll::Ready(Ok(response)) = poll(pin!(service.call(request("/")))) else { return Err("none".into()) };
    let mut body = pin!(response.into_body());
    assert_eq!((lab.in_flight()?, body.is_end_stream(), body.size_hint().exact()), (1.0, false, Some(4)));
    assert!(body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!((lab.in_flight()?, body.is_end_stream(), body.size_hint().exact()), (0.0, true, Some(0)));
    assert_eq!(lab.ends()?, ends([("/", "ok", "2xx", 1)]));
    Ok(())
}

#[test]
fn a_route_that_is_called_other_is_not_folded() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.layer().route(|_| Some("other")).routes(0).layer(Answer(|_| ready(Ok(text()))));
    call(&mut service, "/");
    assert_eq!(lab.ends()?, ends([("other", "ok", "2xx", 1)]));
    assert_eq!(lab.guard.client().stats().folded_values, 0);
    Ok(())
}

#[test]
fn a_setting_holds_for_the_services_that_are_made_after_it() -> Result {
    let mut lab = Lab::new()?;
    let layer = lab.by_path();
    let mut before = layer.layer(Answer(|_| ready(Ok(text()))));
    let mut after = layer.prefix("admin").layer(Answer(|_| ready(Ok(text()))));
    call(&mut before, "/");
    call(&mut after, "/");
    assert_eq!(lab.ends()?, ends([("/", "ok", "2xx", 1)]));
    assert!(lab.seen.iter().any(|metric| metric.name == "admin.requests"));
    Ok(())
}

/// Calls a service with the methods, one after the other.
fn call_by<S>(service: &mut S, methods: &[&str]) -> Result
where
    S: Service<
            Request<()>,
            Response = Response<tasktag::integrations::tower::HttpBody<Text>>,
            Error = BoxError,
        >,
{
    for method in methods {
        let mut request = request("/");
        *request.method_mut() = method.parse()?;
        let Poll::Ready(Ok(response)) = poll(pin!(service.call(request))) else { return Err("none".into()) };
        read(response);
    }
    Ok(())
}

/// How many requests were counted by route and method.
fn by_method(lab: &Lab) -> Vec<(&str, Option<&str>, u64)> {
    let requests = lab.seen.iter().filter(|metric| metric.name == "http.requests");
    let mut counts: Vec<_> = requests
        .map(|metric| (metric.tag("route").unwrap_or("none"), metric.tag("method"), whole(metric)))
        .collect();
    counts.sort_unstable();
    counts
}

#[test]
fn requests_are_told_apart_by_their_method() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.layer().layer(Answer(|_| ready(Ok(text()))));
    call_by(&mut service, &["GET", "POST", "POST", "BREW", "SPLINE", "get"])?;
    assert_eq!(lab.ends()?, ends([("unmatched", "ok", "2xx", 6)]), "no route was asked for");
    let expected =
        [("unmatched", Some("get"), 1), ("unmatched", Some("other"), 3), ("unmatched", Some("post"), 2)];
    assert_eq!(by_method(&lab), expected);
    assert_eq!(lab.guard.client().stats().folded_values, 0, "`other` has a place of its own");
    Ok(())
}

#[test]
fn a_layer_that_is_told_so_does_not_tell_methods_apart() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.by_path().methods(false).layer(Answer(|_| ready(Ok(text()))));
    call_by(&mut service, &["GET", "POST", "PUT"])?;
    lab.flush()?;
    assert_eq!(by_method(&lab), [("/", None, 3)]);
    Ok(())
}

#[test]
fn a_route_may_be_written_of_parts_without_an_allocation() -> Result {
    let mut lab = Lab::new()?;
    let layer = lab.layer().write_route(|request, route| {
        let path = request.uri().path().trim_start_matches('/');
        match path {
            "" => Ok(()),
            "refused" => write!(route, "half").and(Err(std::fmt::Error)),
            path => write!(route, "{}:{path}", request.headers().len()),
        }
    });
    let long: &'static str = format!("/{}", "ü".repeat(300)).leak();
    let mut service = layer.layer(Answer(|_| ready(Ok(text()))));
    let paths = ["/", "/refused", "/cart", long];
    for path in paths {
        call(&mut service, path);
        let request = request(path);
        let allocated = allocations(|| {
            let Poll::Ready(Ok(response)) = poll(pin!(service.call(request))) else { panic!("no answer") };
            assert_eq!(read(response), 1);
        });
        assert_eq!(allocated, 0, "{path}");
    }
    let cut = format!("0:{}", "ü".repeat(98));
    let expected = ends([("0:cart", "ok", "2xx", 2), (&cut, "ok", "2xx", 2), ("unmatched", "ok", "2xx", 4)]);
    assert_eq!(lab.ends()?, expected);
    Ok(())
}

#[test]
fn the_services_of_a_layer_and_its_clones_share_one_limit() -> Result {
    let mut lab = Lab::new()?;
    let layer = lab.by_path().routes(2);
    let mut first = layer.layer(Answer(|_| ready(Ok(text()))));
    let mut second = layer.clone().layer(Answer(|_| ready(Ok(text()))));
    let mut third = first.clone();
    call(&mut first, "/a");
    call(&mut second, "/b");
    call(&mut third, "/c");
    call(&mut third, "/a");
    let expected = ends([("/a", "ok", "2xx", 2), ("/b", "ok", "2xx", 1), ("other", "ok", "2xx", 1)]);
    assert_eq!(lab.ends()?, expected);
    Ok(())
}

#[test]
fn fifty_routes_have_a_place_unless_more_are_asked_for() -> Result {
    let mut lab = Lab::new()?;
    let paths: Vec<&'static str> = (0..=DEFAULT_ROUTES).map(|n| &*format!("/{n}").leak()).collect();
    let mut service = lab.by_path().layer(Answer(|_| ready(Ok(text()))));
    for path in &paths {
        call(&mut service, path);
    }
    let found = lab.ends()?;
    assert_eq!((DEFAULT_ROUTES, found.len()), (50, 51));
    assert_eq!(found[&("other".to_owned(), "ok".to_owned(), "2xx".to_owned())], 1);
    Ok(())
}

#[test]
fn names_and_tags_are_as_they_were_set() -> Result {
    let mut lab = Lab::new()?;
    let layer = lab.by_path().prefix("shop.front.").tag("listener", "public").capacity(2).wait(true);
    let mut service = layer.layer(Answer(|_| ready(Ok(text()))));
    let mut stamped = request("/");
    stamped.headers_mut().append("x-request-start", HeaderValue::from_static("t=1767225599.5,junk"));
    let Poll::Ready(Ok(response)) = poll(pin!(service.call(stamped))) else { return Err("none".into()) };
    read(response);
    lab.flush()?;
    let lines: Vec<String> = lab
        .seen
        .iter()
        .map(|metric| {
            let tags = metric.tags.iter().filter(|(key, _)| key != "task_id");
            let tags: Vec<_> = tags.map(|(key, value)| format!("{key}:{value}")).collect();
            format!("{}|{}|{}", metric.name, metric.code, tags.join(","))
        })
        .collect();
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.sort_unstable();
    let expected = [
        "shop.front.in_flight.in_use.max|g|listener:public",
        "shop.front.in_flight.in_use|g|listener:public",
        "shop.front.request.duration|ms|listener:public,method:get,outcome:ok,route:/,status_class:2xx",
        "shop.front.request.wait.refused|c|listener:public,reason:malformed",
        "shop.front.request.wait|ms|listener:public",
        "shop.front.requests|c|listener:public,method:get,outcome:ok,route:/,status_class:2xx",
    ];
    assert_eq!(lines, expected);
    let bare = lab.by_path().prefix("").wait(false);
    let mut service = bare.layer(Answer(|_| ready(Ok(text()))));
    call(&mut service, "/");
    lab.flush()?;
    assert!(lab.seen.iter().any(|metric| metric.name == "requests"));
    Ok(())
}

#[test]
fn a_layer_that_is_told_so_does_not_look_for_stamps() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.by_path().wait(false).layer(Answer(|_| ready(Ok(text()))));
    let mut stamped = request("/");
    stamped.headers_mut().append("x-request-start", HeaderValue::from_static("t=1767225599.5,junk"));
    let Poll::Ready(Ok(response)) = poll(pin!(service.call(stamped))) else { return Err("none".into()) };
    read(response);
    assert_eq!((lab.values("http.request.wait")?, lab.refused()?), (vec![], BTreeMap::new()));
    Ok(())
}

/// Uses up what a client has room for.
fn fill(lab: &Lab) {
    for n in 0..100 {
        lab.guard.client().counter("filler").tag("n", &n.to_string()).increment(1);
    }
}

#[test]
fn critical_routes_are_told_apart_though_the_client_is_full() -> Result {
    let mut lab = Lab::with(|builder| builder.context_limit(100))?;
    let layer = lab.by_path().critical(&["/pay", "/login", "/pay"]);
    let mut service = layer.layer(Answer(|_| ready(Ok(text()))));
    fill(&lab);
    for _ in 0..3 {
        call(&mut service, "/pay");
        call(&mut service, "/login");
        call(&mut service, "/cart");
    }
    let found = lab.ends()?;
    for route in ["/pay", "/login"] {
        assert_eq!(found.get(&(route.to_owned(), "ok".to_owned(), "2xx".to_owned())), Some(&3), "{found:?}");
    }
    assert_eq!(found.values().sum::<u64>(), 9, "{found:?}");
    // A method that comes too late has no room of its own, and the route still has.
    call_by(
        &mut lab.layer().route(|_| Some("/pay")).critical(&["/pay"]).layer(Answer(|_| ready(Ok(text())))),
        &["PUT"],
    )?;
    lab.flush()?;
    assert!(by_method(&lab).contains(&("/pay", Some("other"), 1)), "{:?}", by_method(&lab));
    Ok(())
}

#[test]
fn a_method_that_a_service_refuses_is_one_with_all_that_it_does_not_have() -> Result {
    let mut lab = Lab::new()?;
    let mut answers = [405, 501, 404].into_iter();
    let mut service = lab.by_path().layer(Answer(move |_: Request<()>| {
        let mut answer = text();
        *answer.status_mut() = StatusCode::from_u16(answers.next().unwrap()).unwrap();
        ready(Ok(answer))
    }));
    call_by(&mut service, &["PUT", "PATCH", "DELETE"])?;
    lab.flush()?;
    let expected = [("/", Some("delete"), 1), ("/", Some("other"), 1), ("/", Some("other"), 1)];
    assert_eq!(by_method(&lab), expected, "one of them ended as 4xx, and one as 5xx");
    Ok(())
}

#[test]
fn how_critical_requests_end_is_told_apart_after_the_first_one_of_a_method() -> Result {
    let mut lab = Lab::with(|builder| builder.context_limit(70))?;
    let mut answers = [200, 500].into_iter();
    let mut service = lab.by_path().critical(&["/"]).layer(Answer(move |_: Request<()>| {
        let mut answer = text();
        *answer.status_mut() = StatusCode::from_u16(answers.next().unwrap()).unwrap();
        ready(Ok(answer))
    }));
    call_by(&mut service, &["DELETE"])?;
    fill(&lab);
    call_by(&mut service, &["DELETE"])?;
    assert_eq!(lab.ends()?, ends([("/", "ok", "2xx", 1), ("/", "error", "5xx", 1)]));
    assert_eq!(by_method(&lab), [("/", Some("delete"), 1), ("/", Some("delete"), 1)]);
    Ok(())
}

#[test]
fn a_route_with_an_objective_counts_the_requests_that_keep_it() -> Result {
    let mut lab = Lab::new()?;
    let within = Duration::from_millis(250);
    let layer =
        lab.by_path().routes(1).tag("listener", "public").objective("/pay", within).objective("/pay", MS);
    let clock = lab.clock.clone();
    // The status and the milliseconds that each answer takes.
    let answers = Arc::new(AtomicUsize::new(0));
    let mut service = layer.layer(Answer(move |_: Request<()>| {
        let turns = [(200, 250), (200, 251), (404, 0), (503, 0)];
        let (status, ms) = turns.get(answers.fetch_add(1, Ordering::Relaxed)).copied().unwrap_or((200, 0));
        clock.advance(ms * MS);
        let mut answer = text();
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        ready(Ok(answer))
    }));
    for _ in 0..4 {
        call(&mut service, "/pay");
    }
    call(&mut service, "/cart");
    let sum = |lab: &Lab, name: &str| {
        let own = lab.seen.iter().filter(|metric| metric.name == name);
        own.map(|metric| {
            assert_eq!((metric.tag("objective"), metric.tag("listener")), (Some("/pay"), Some("public")));
            whole(metric)
        })
        .sum::<u64>()
    };
    lab.flush()?;
    assert_eq!((sum(&lab, "slo.total"), sum(&lab, "slo.good")), (4, 2), "one was late, and one failed");
    // Cancelled in time, it is no event; later it is bad.
    drop(service.call(request("/pay")));
    let future = service.call(request("/pay"));
    lab.clock.advance(2 * within);
    drop(future);
    lab.flush()?;
    assert_eq!((sum(&lab, "slo.total"), sum(&lab, "slo.good")), (5, 2));
    Ok(())
}

#[test]
fn an_objective_of_the_client_has_the_counters_of_the_route() -> Result {
    let mut lab = Lab::new()?;
    let target = tasktag::Target::within(Duration::from_millis(250));
    let objective = lab.guard.client().objective("/pay", target, 0.5).register()?;
    let mut service =
        lab.by_path().objective("/pay", Duration::from_millis(250)).layer(Answer(|_| ready(Ok(text()))));
    lab.clock.advance(Duration::from_secs(1));
    call(&mut service, "/pay");
    objective.record_outcome(false);
    lab.clock.advance(Duration::from_secs(10));
    lab.flush()?;
    let found = |name: &str| {
        lab.seen.iter().find(|metric| metric.name == name).and_then(|metric| metric.value.number())
    };
    assert_eq!((found("slo.total"), found("slo.burn_rate")), (Some(2.0), Some(1.0)));
    Ok(())
}

#[test]
fn durations_and_waits_are_distributions_if_told_so() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.by_path().distributions(true).layer(Answer(|_| ready(Ok(text()))));
    let mut stamped = request("/");
    stamped.headers_mut().append("x-request-start", HeaderValue::from_static("t=1767225599.5"));
    let Poll::Ready(Ok(response)) = poll(pin!(service.call(stamped))) else { return Err("none".into()) };
    read(response);
    lab.flush()?;
    for name in ["http.request.duration", "http.request.wait"] {
        let codes: Vec<_> =
            lab.seen.iter().filter(|metric| metric.name == name).map(|metric| metric.code.as_str()).collect();
        assert_eq!(codes, ["d"], "{name}");
    }
    Ok(())
}

#[test]
fn more_critical_routes_than_the_limit_are_all_that_is_kept() -> Result {
    let mut lab = Lab::new()?;
    let mut service = lab.by_path().routes(1).critical(&["/a", "/b"]).layer(Answer(|_| ready(Ok(text()))));
    for path in ["/x", "/a", "/b", "/y"] {
        call(&mut service, path);
    }
    let expected = ends([("/a", "ok", "2xx", 1), ("/b", "ok", "2xx", 1), ("other", "ok", "2xx", 2)]);
    assert_eq!(lab.ends()?, expected);
    Ok(())
}

#[test]
fn requests_of_many_threads_are_all_counted() -> Result {
    const THREADS: usize = 4;
    const EACH: usize = 5_000;
    let mut lab = Lab::new()?;
    let layer = lab.by_path().routes(3);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let mut service = layer.layer(Answer(|_| ready(Ok(text()))));
            scope.spawn(move || {
                for n in 0..EACH {
                    call(&mut service, ["/a", "/b", "/c", "/d", "/e"][n % 5]);
                }
            });
        }
    });
    let found = lab.ends()?;
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(found.values().sum::<u64>(), (THREADS * EACH) as u64);
    assert_eq!(
        found[&("other".to_owned(), "ok".to_owned(), "2xx".to_owned())],
        (THREADS * EACH / 5 * 2) as u64
    );
    assert_eq!(lab.in_flight()?, 0.0);
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_forked_child_has_no_part_in_its_parents_requests() -> Result {
    let mut lab = Lab::new()?;
    let layer = lab.by_path();
    let mut pending = layer.layer(Answer(|_| std::future::pending()));
    let mut parents = Some(Box::pin(pending.call(request("/parents"))));
    assert_eq!(lab.in_flight()?, 1.0);
    // SAFETY: the child uses what its one thread may use in a program of this C library: memory and new threads.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let act = || -> Result<bool> {
            drop(parents.take());
            call(&mut layer.layer(Answer(|_| ready(Ok(text())))), "/childs");
            Ok((lab.ends()?, lab.in_flight()?) == (ends([("/childs", "ok", "2xx", 1)]), 0.0))
        };
        let done = catch_unwind(AssertUnwindSafe(act)).is_ok_and(|done| done.unwrap_or(false));
        // SAFETY: It does not return.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child's exit");
    assert_eq!(lab.in_flight()?, 1.0);
    drop(parents);
    assert_eq!((lab.ends()?, lab.in_flight()?), (ends([("/parents", "cancelled", "other", 1)]), 0.0));
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_forked_while_a_layer_makes_its_first_service_can_make_its_own() -> Result {
    const LAYERS: usize = 400;
    let lab = Lab::new()?;
    let critical = ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"];
    let layers: Vec<_> = (0..LAYERS).map(|_| lab.by_path().critical(&critical)).collect();
    let (at, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for layer in &layers {
                let _ = layer.layer(Told(Arc::default()));
                at.fetch_add(1, Ordering::Relaxed);
            }
        });
        while at.load(Ordering::Relaxed) < LAYERS && failed.load(Ordering::Relaxed) == 0 {
            // SAFETY: the child uses what its one thread may use in a program of this C library: memory and new
            // threads.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: It sets a timer and touches nothing else.
                unsafe { libc::alarm(60) };
                if let Some(layer) = layers.get(at.load(Ordering::Relaxed)) {
                    call(&mut layer.layer(Answer(|_| ready(Ok(text())))), "/a");
                }
                // SAFETY: It does not return.
                unsafe { libc::_exit(0) };
            }
            let mut status = 0;
            // SAFETY: `status` outlives the call.
            let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
            failed.fetch_add(usize::from(waited != child || status != 0), Ordering::Relaxed);
        }
    });
    assert_eq!(failed.into_inner(), 0, "a child came to a stop");
    Ok(())
}
