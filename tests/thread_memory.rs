//! What threads remember of distributions is bounded over all threads, though each of them falls silent with its share.

#[path = "support/memory.rs"]
mod memory;

use memory::allocated;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Guard};

/// The waves of threads. All of a wave's timings are forgotten before the next one begins, so that the client itself
/// needs no more memory for sixteen waves than for one.
const WAVES: usize = 16;
const THREADS: usize = 8;
/// The timings that a thread calls, which are as many as it remembers at most. Threads may remember 2048 together, and
/// over all waves they call four times as many.
const TIMINGS: usize = 64;
const INTERVAL: Duration = Duration::from_secs(1);

/// A thread that lives until its sender is dropped, and calls nothing any more.
type Silent = (Sender<()>, JoinHandle<()>);

/// Starts a thread that calls timings of its own.
fn silent_thread(client: &Client, job: usize) -> Silent {
    let (client, (fall_silent, silence), (done, is_done)) =
        (client.clone(), mpsc::channel::<()>(), mpsc::channel());
    let work = move || {
        for n in 0..2 * TIMINGS {
            // A thread remembers what it finds, and so what it calls twice.
            client.timing("query").tag("job", &format!("{job}-{}", n / 2)).record(1.0);
        }
        done.send(()).unwrap();
        let _ = silence.recv();
    };
    let thread = thread::spawn(work);
    is_done.recv().unwrap();
    (fall_silent, thread)
}

/// Runs a wave, and returns its threads and the bytes that the process has more once the client has forgotten
/// everything that they called.
fn wave(guard: &Guard, clock: &ManualClock, capture: &Capture, number: usize) -> (Vec<Silent>, isize) {
    let before = allocated().cast_signed();
    let threads: Vec<_> =
        (0..THREADS).map(|thread| silent_thread(guard.client(), number * THREADS + thread)).collect();
    // Nobody calls them any more: after 150 flushes they are forgotten.
    for _ in 0..152 {
        clock.advance(INTERVAL);
    }
    drop(capture.take_packets());
    assert_eq!(guard.client().stats().contexts, 0);
    (threads, allocated().cast_signed() - before)
}

#[test]
fn silent_threads_keep_no_more_than_a_clients_worth_of_forgotten_timings() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false).flush_interval(INTERVAL);
    let guard = builder.metric_context_limit(THREADS * TIMINGS).build().unwrap();
    // What the client makes once for a wave is there before anything is measured.
    let (early, _) = wave(&guard, &clock, &capture, 0);
    let (mut threads, kept): (Vec<_>, Vec<_>) =
        (1..=WAVES).map(|number| wave(&guard, &clock, &capture, number)).unzip();
    threads.push(early);
    let (first, last, all) = (kept[0], kept[WAVES - 1], kept.iter().sum::<isize>());
    // The smallest table of a timing takes 512 bytes.
    let remembered = isize::try_from(THREADS * TIMINGS * 512).unwrap();
    assert!(first > remembered * 3 / 4, "the first threads remember what they called: {kept:?}");
    assert!(last < first / 2, "the last threads found no room: {kept:?}");
    assert!(all < first * isize::try_from(WAVES).unwrap() * 2 / 3, "{kept:?}");
    for (fall_silent, thread) in threads.into_iter().flatten() {
        drop(fall_silent);
        thread.join().unwrap();
    }
}
