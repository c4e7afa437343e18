//! The thread that flushes all transport sinks of the process on time.

use super::process_sink::ProcessSink;
use crate::process::fork;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Instant;

const THREAD_NAME: &str = "tasktag-sinks";

/// Only locked within [`make_whole`](fork::make_whole), so that no thread holds it while another one forks.
static TIMER: Mutex<Timer> = Mutex::new(Timer::of(0));

struct Timer {
    // The fork generation of the process that the other fields belong to.
    generation: u32,
    process_sinks: Vec<Weak<ProcessSink>>,
    is_running: bool,
    // `None` until the thread has come to its first look at the sinks.
    thread: Option<Thread>,
}

impl Timer {
    const fn of(generation: u32) -> Self {
        Self { generation, process_sinks: Vec::new(), is_running: false, thread: None }
    }

    /// Makes the thread look whether anything is left to flush. One that has just started does so anyway.
    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

/// Flushes a process sink on time for as long as it is held. The caller is within [`make_whole`](fork::make_whole).
pub(super) fn attend(process_sink: &Arc<ProcessSink>) -> io::Result<()> {
    let mut timer = timer();
    if timer.generation != fork::generation() {
        // They belong to the parent, whose thread does not exist here.
        *timer = Timer::of(fork::generation());
    }
    timer.process_sinks.push(Arc::downgrade(process_sink));
    if timer.is_running {
        timer.wake();
    } else {
        crate::process::thread::spawn(THREAD_NAME, run)?;
        timer.is_running = true;
    }
    Ok(())
}

/// Wakes the thread, which checks whether anything is left to flush.
pub(super) fn wake() {
    let _whole = fork::make_whole();
    timer().wake();
}

/// Ends when no process sink is left.
fn run() {
    loop {
        let Some(process_sinks) = process_sinks() else { return };
        let due = process_sinks
            .iter()
            .filter_map(Weak::upgrade)
            .map(|process_sink| process_sink.look_after())
            .min();
        if let Some(due) = due {
            thread::park_timeout(due.saturating_duration_since(Instant::now()));
        }
    }
}

fn process_sinks() -> Option<Vec<Weak<ProcessSink>>> {
    let _whole = fork::make_whole();
    let mut timer = timer();
    timer.process_sinks.retain(|process_sink| process_sink.strong_count() > 0);
    if timer.process_sinks.is_empty() {
        (timer.is_running, timer.thread) = (false, None);
        return None;
    }
    timer.thread.get_or_insert_with(thread::current);
    Some(timer.process_sinks.clone())
}

fn timer() -> MutexGuard<'static, Timer> {
    TIMER.lock().unwrap_or_else(PoisonError::into_inner)
}
