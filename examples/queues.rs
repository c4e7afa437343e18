//! A channel between a producer and two workers, measured item by item: depth, the age of the oldest item, waits, and
//! jobs by outcome. A promise in the queue's name says how long an item may wait.
//!
//! `cargo run --example queues --features testing`

use std::error::Error;
use std::io::{Write, stdout};
use std::thread;
use std::time::Duration;
use tasktag::testing::Capture;
use tasktag::{Client, Promise, Queued, WorkQueue};

const NAME: &str = "within_1_second";
const CAPACITY: usize = 100;
const JOB: Duration = Duration::from_millis(20);

/// What a worker does with each item.
fn work(mails: &crossbeam_channel::Receiver<Queued<&str>>) {
    for queued in mails {
        let (address, job) = queued.start(); // queue.wait
        thread::sleep(JOB);
        job.end(&send(address)); // queue.duration, with its outcome
    }
}

fn send(address: &str) -> Result<&str, String> {
    if address.contains('@') { Ok(address) } else { Err(format!("{address} is no address")) }
}

/// What a producer does with each item. A full channel returns it, and dropping it counts it as abandoned.
fn enqueue(queue: &WorkQueue, channel: &crossbeam_channel::Sender<Queued<&'static str>>, n: usize) {
    let address = if n.is_multiple_of(10) { "nobody" } else { "user@example.org" };
    let _ = channel.try_send(queue.wrap(address));
}

fn report(queue: &WorkQueue) -> std::io::Result<()> {
    let status = queue.status();
    writeln!(
        stdout(),
        "{:3} waiting, the oldest for {:4} ms; {} running",
        status.depth.unwrap_or_default(),
        status.oldest_age.unwrap_or_default().as_millis(),
        status.running.unwrap_or_default(),
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let agent = Capture::new(); // stands in for an agent
    let guard = Client::builder().capture(&agent).telemetry(false).build()?;
    let (channel, mails) = crossbeam_channel::bounded(CAPACITY);
    let queue = guard
        .client()
        .work_queue(NAME)
        .capacity(CAPACITY as u64)
        .promise(Promise::from_queue_name(NAME))
        .register();

    let workers: Vec<_> = [mails.clone(), mails].map(|mails| thread::spawn(move || work(&mails))).into();
    for n in 0..150 {
        enqueue(&queue, &channel, n);
        thread::sleep(JOB / 6);
        if n % 30 == 0 {
            report(&queue)?;
        }
    }
    drop(channel);
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked")?;
    }
    report(&queue)?;

    guard.shutdown(Duration::from_secs(1))?;
    for line in agent.take_lines() {
        writeln!(stdout(), "{line}")?;
    }
    Ok(())
}
