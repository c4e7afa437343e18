//! How long a flush stands still, whatever else the machine is at.

use super::flush_unasked;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tasktag::{Guard, PoolStatus};

/// The worker of a client, as the system knows it. `None` where that is not Linux.
#[derive(Debug)]
pub(crate) struct Worker(Option<PathBuf>);

impl Worker {
    /// Finds it in a flush of its own.
    pub(crate) fn of(guard: &Guard) -> Self {
        let found = Arc::<Mutex<Option<PathBuf>>>::default();
        let place = Arc::clone(&found);
        let watch = guard.client().watch_pool("worker", move || {
            *place.lock().unwrap() = fs::read_link("/proc/thread-self").ok();
            PoolStatus::default()
        });
        flush_unasked(guard.client());
        drop(watch);
        let thread = found.lock().unwrap().take();
        Self(thread.map(|thread| Path::new("/proc").join(thread).join("schedstat")))
    }

    /// How long `act` took, but for the time that the worker and the caller had a processor or stood in the queue for
    /// one: what is left is what they waited for.
    pub(crate) fn held_in(&self, act: impl FnOnce()) -> Duration {
        let (start, before) = (Instant::now(), self.at_work());
        act();
        start.elapsed().saturating_sub(self.at_work().saturating_sub(before))
    }

    fn at_work(&self) -> Duration {
        let own = Path::new("/proc/thread-self/schedstat");
        self.0.iter().map(PathBuf::as_path).chain([own]).map(on_or_before_a_processor).sum()
    }
}

/// Does what takes no longer than it may, with three tries: nobody says for how long the whole machine stood still. What
/// holds a flush by itself does so in each.
#[track_caller]
pub(crate) fn unless_the_machine_stands_still<T>(act: impl Fn() -> Result<T, String>) -> T {
    let again = |held| {
        println!("held up, or the machine stood still: {held}");
        act()
    };
    act().or_else(again).or_else(again).unwrap()
}

fn on_or_before_a_processor(schedstat: &Path) -> Duration {
    // Nanoseconds on a processor, those in a queue for one, and how often.
    let text = fs::read_to_string(schedstat).unwrap_or_default();
    let nanos = text.split_whitespace().take(2).filter_map(|nanos| nanos.parse::<u64>().ok());
    Duration::from_nanos(nanos.sum())
}
