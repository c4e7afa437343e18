//! The thread that flushes all transport sinks of the process on time.

use super::desk::Desk;
use crate::process::fork;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Instant;

const THREAD_NAME: &str = "tasktag-sinks";

/// Only locked within [`make_whole`](fork::make_whole), so that no thread holds it while another one forks.
static TIMER: Mutex<Timer> = Mutex::new(Timer { generation: 0, desks: Vec::new(), thread: None });

struct Timer {
    // The fork generation of the process that the other fields belong to.
    generation: u32,
    desks: Vec<Weak<Desk>>,
    thread: Option<Thread>,
}

/// Flushes a desk on time for as long as it is held. The caller is within [`make_whole`](fork::make_whole).
pub(super) fn attend(desk: &Arc<Desk>) -> io::Result<()> {
    let mut timer = timer();
    if timer.generation != fork::generation() {
        // They belong to the parent, whose thread does not exist here.
        *timer = Timer { generation: fork::generation(), desks: Vec::new(), thread: None };
    }
    timer.desks.push(Arc::downgrade(desk));
    if let Some(thread) = &timer.thread {
        thread.unpark();
    } else {
        let thread = crate::process::thread::spawn(THREAD_NAME, run)?;
        timer.thread = Some(thread.thread().clone());
    }
    Ok(())
}

/// Wakes the thread, which checks whether anything is left to flush.
pub(super) fn wake() {
    let _whole = fork::make_whole();
    if let Some(thread) = &timer().thread {
        thread.unpark();
    }
}

/// Ends when no desk is left.
fn run() {
    loop {
        let Some(desks) = desks() else { return };
        let due = desks.iter().filter_map(Weak::upgrade).map(|desk| desk.look_after()).min();
        if let Some(due) = due {
            thread::park_timeout(due.saturating_duration_since(Instant::now()));
        }
    }
}

fn desks() -> Option<Vec<Weak<Desk>>> {
    let _whole = fork::make_whole();
    let mut timer = timer();
    timer.desks.retain(|desk| desk.strong_count() > 0);
    if timer.desks.is_empty() {
        timer.thread = None;
        return None;
    }
    Some(timer.desks.clone())
}

fn timer() -> MutexGuard<'static, Timer> {
    TIMER.lock().unwrap_or_else(PoisonError::into_inner)
}
