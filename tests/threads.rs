//! Threads may come and go as they like: nothing that they counted is lost, and nothing grows with their number.

use std::error::Error;
use std::thread;
use std::time::Duration;
use tasktag::Client;
use tasktag::testing::Capture;

const PATIENCE: Duration = Duration::from_secs(60);
const THREADS: usize = 10_000;
const AT_ONCE: usize = 50;

#[test]
fn ten_thousand_short_threads_lose_no_increment() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = Client::builder()
        .capture(&capture)
        .telemetry(false)
        .flush_interval(Duration::from_millis(5))
        .build()?;
    let client = guard.client();
    let (counter, timing) = (client.counter("jobs").register(), client.timing("took").register());
    // Else it might be forgotten before its context is counted: 150 flushes are less than a second here.
    let _kept = client.counter("by_name").tag("queue", "mail").register();
    for _ in 0..THREADS / AT_ONCE {
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    counter.increment(3);
                    client.counter("by_name").tag("queue", "mail").increment(2);
                    timing.record(12.5);
                });
            }
        });
    }
    client.flush(PATIENCE)?;
    let (mut jobs, mut by_name, mut took) = (0.0, 0.0, 0);
    for metric in capture.take_metrics()? {
        match metric.name.as_str() {
            "jobs" => jobs += metric.value.number().unwrap(),
            "by_name" => by_name += metric.value.number().unwrap(),
            _ => took += metric.count(),
        }
    }
    assert_eq!((jobs, by_name, took), (3.0 * THREADS as f64, 2.0 * THREADS as f64, THREADS as u64));
    let stats = client.stats();
    assert_eq!((stats.contexts, stats.accepted, stats.dropped_total().values), (3, stats.sent, 0));
    Ok(())
}

/// Counts from a destructor of its own, which may run after the thread let go of everything else.
struct CountsAtTheEnd(Client);

impl Drop for CountsAtTheEnd {
    fn drop(&mut self) {
        self.0.counter("ends").increment(1);
        self.0.gauge("last").set(1.0);
    }
}

thread_local! {
    static FIRST: std::cell::OnceCell<CountsAtTheEnd> = const { std::cell::OnceCell::new() };
}

#[test]
fn what_a_thread_counts_while_it_ends_arrives() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).telemetry(false).build()?;
    let client = guard.client();
    let counter = client.counter("ends").register();
    for counts_first in [false, true] {
        let (client, counter) = (client.clone(), counter.clone());
        let work = move || {
            // Destructors run in one of the two orders.
            if counts_first {
                counter.increment(1);
                client.counter("ends").increment(1);
            }
            FIRST.with(|last| last.set(CountsAtTheEnd(client.clone())).is_ok());
            if !counts_first {
                counter.increment(1);
                client.counter("ends").increment(1);
            }
        };
        thread::spawn(work).join().unwrap();
    }
    client.flush(PATIENCE)?;
    let metrics = capture.take_metrics()?;
    let ends = metrics.iter().find(|metric| metric.name == "ends").unwrap();
    assert_eq!(ends.value.number(), Some(2.0 * 3.0));
    assert!(metrics.iter().any(|metric| metric.name == "last"));
    Ok(())
}
