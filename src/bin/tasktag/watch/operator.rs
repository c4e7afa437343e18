//! What the operator is told: lines on standard error, written by a thread that nothing waits for.

use crate::readable::readable;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The lines that wait while nobody reads. Further ones are left out.
const ROOM: usize = 1000;

static OPERATOR: Operator = Operator { lines: Mutex::new(Lines::NONE), changed: Condvar::new() };

struct Operator {
    lines: Mutex<Lines>,
    changed: Condvar,
}

/// Lines to be written. The first one stays until it is.
struct Lines {
    waiting: VecDeque<String>,
    left_out: u64,
}

/// Starts the thread that writes.
pub(super) fn begin() -> io::Result<()> {
    thread::Builder::new().name("tasktag-operator".to_owned()).spawn(|| OPERATOR.write_all()).map(drop)
}

/// Writes a line, sooner or later.
pub(super) fn tell(text: &str) {
    OPERATOR.lines().push(text);
    OPERATOR.changed.notify_all();
}

/// Waits until all lines are written. Nothing is to be done if nobody reads them within `limit`.
pub(super) fn wait(limit: Duration) {
    let _ = OPERATOR.changed.wait_timeout_while(OPERATOR.lines(), limit, |lines| !lines.waiting.is_empty());
}

impl Operator {
    fn write_all(&self) {
        let mut lines = self.lines();
        loop {
            let Some(line) = lines.waiting.front().cloned() else {
                lines = self.changed.wait(lines).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(lines);
            let _ = io::stderr().write_all(line.as_bytes());
            lines = self.lines();
            lines.remove_first();
            self.changed.notify_all();
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    const NONE: Self = Self { waiting: VecDeque::new(), left_out: 0 };

    fn push(&mut self, text: &str) {
        if self.waiting.len() < ROOM {
            self.waiting.push_back(format!("{}\n", readable(text.as_bytes())));
        } else {
            self.left_out += 1;
        }
    }

    /// Makes room, and says in their place how many lines found none.
    fn remove_first(&mut self) {
        self.waiting.pop_front();
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            self.push(&format!("{left_out} lines were left out"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_room_are_left_out_and_counted() {
        let mut lines = Lines::NONE;
        for number in 0..ROOM + 3 {
            lines.push(&format!("line {number}"));
        }
        assert_eq!(lines.waiting.len(), ROOM);
        lines.remove_first();
        assert_eq!(lines.waiting.back().map(String::as_str), Some("3 lines were left out\n"));
        lines.remove_first();
        lines.push("one more");
        assert_eq!(lines.waiting.back().map(String::as_str), Some("one more\n"));
    }
}
