//! Watches a tokio runtime, a channel and a semaphore while a task blocks one of two workers.
//!
//! `cargo run --example tokio_runtime --features tokio,testing`

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tasktag::Client;
use tasktag::integrations::tokio::WatchTokio;
use tasktag::testing::Capture;
use tokio::sync::{Semaphore, mpsc};

fn main() -> Result<(), Box<dyn Error>> {
    let agent = Capture::new();
    let guard = Client::builder()
        .prefix("shop")
        .telemetry(false)
        .flush_interval(Duration::from_secs(3600)) // in this example, only explicit flushes
        .capture(&agent)
        .build()?;
    let client = guard.client();

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mail, mut mails) = mpsc::channel::<u32>(100);
    let uploads = Arc::new(Semaphore::new(10));
    client.watch_runtime("main", runtime.handle()).detach();
    client.watch_channel("mail", &mail).detach();
    client.watch_semaphore("uploads", &uploads, 10).detach();

    let _sender = runtime.spawn(async move { while mails.recv().await.is_some() {} });
    flush(client, &agent, "nothing to do")?;

    let held = uploads.try_acquire_many(3)?;
    let blocking = runtime.spawn(async { thread::sleep(Duration::from_millis(700)) });
    for number in 0..50 {
        mail.try_send(number)?;
    }
    flush(client, &agent, "a task blocks its worker")?;

    runtime.block_on(blocking)?;
    let _blocking: Vec<_> =
        (0..2).map(|_| runtime.spawn(async { thread::sleep(Duration::from_millis(1_200)) })).collect();
    flush(client, &agent, "two tasks block all workers: the delay is the age of the waiting task")?;

    drop(held);
    drop((mail, uploads, runtime));
    flush(client, &agent, "all have ended; this was collected before")
}

/// Runs for half a second, which has two collections.
fn flush(client: &Client, agent: &Capture, title: &str) -> Result<(), Box<dyn Error>> {
    thread::sleep(Duration::from_millis(600));
    client.flush(Duration::from_secs(5))?;
    println!("\n{title}:");
    agent.take_lines().iter().filter(|line| !line.contains(".max:")).for_each(|line| println!("  {line}"));
    Ok(())
}
