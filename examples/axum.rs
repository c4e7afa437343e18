//! An axum server whose requests are measured. The example sends a few requests and shows what arrives at the agent.
//!
//! `cargo run --example axum --features tower,testing`

use axum::Router;
use axum::extract::MatchedPath;
use axum::http::StatusCode;
use axum::routing::get;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tasktag::Client;
use tasktag::integrations::tower::HttpLayer;
use tasktag::testing::Capture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let agent = Capture::new();
    let guard = Client::builder().prefix("shop").telemetry(false).capture(&agent).build()?;

    let layer = HttpLayer::new(guard.client())
        .route(|request| request.extensions().get::<MatchedPath>().map(MatchedPath::as_str))
        .critical(&["/pay"])
        .capacity(100);
    let app = Router::new()
        .route("/carts/{id}", get(|| async { "a cart" }))
        .route("/reports", get(|| async { tokio::time::sleep(Duration::from_millis(50)).await }))
        .route("/pay", get(|| async { StatusCode::BAD_GATEWAY }))
        .layer(layer);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    for path in ["/carts/1", "/carts/2", "/reports", "/pay", "/favicon.ico"] {
        println!("{:<14}{}", path, request(address, path).await?);
    }

    guard.client().flush(Duration::from_secs(5))?;
    let mut lines = agent.take_lines();
    lines.sort_unstable();
    println!("\n{}", lines.join("\n"));
    Ok(())
}

/// Requests a path like a proxy that kept the request waiting for 20 ms, and returns the status.
async fn request(address: SocketAddr, path: &str) -> Result<String, Box<dyn Error>> {
    let start = SystemTime::now().duration_since(UNIX_EPOCH)?.saturating_sub(Duration::from_millis(20));
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: shop\r\nx-request-start: t={}", start.as_millis());
    stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response.lines().next().unwrap_or_default().to_owned())
}
