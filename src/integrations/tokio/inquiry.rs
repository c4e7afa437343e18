//! Asks for a status that has to be waited for, one question at a time.

use crate::process::clock::{Clock, nanos};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

/// The shortest time between two questions.
const MIN_EVERY: Duration = Duration::from_millis(100);
/// The age at which an answer is too old, as a multiple of the time between questions. The answers of two questions in
/// a row are then missing.
const TOO_OLD: u64 = 3;

/// A repeated question, asked in tokio tasks of its own.
pub(super) struct Inquiry<F, S> {
    clock: Clock,
    runtime: Handle,
    every: u64,
    ask: F,
    due: u64,
    question: Option<Question<S>>,
    answer: Option<Answer<S>>,
}

/// A question without an answer so far. Dropping it gives it up.
struct Question<S> {
    task: JoinHandle<Answer<S>>,
    asked_at: u64,
    is_given_up: bool,
}

struct Answer<S> {
    status: S,
    at: u64,
}

impl<F, S, A> Inquiry<F, S>
where
    F: FnMut() -> A,
    A: Future<Output = S> + Send + 'static,
    S: Clone + Default + Send + 'static,
{
    pub(super) fn new(clock: Clock, runtime: Handle, every: Duration, ask: F) -> Self {
        let every = nanos(every.max(MIN_EVERY));
        Self { clock, runtime, every, ask, due: 0, question: None, answer: None }
    }

    /// Returns the last answer, or a status in which nothing is known if there is none or it is too old. Returns `None`
    /// once the runtime is shut down.
    pub(super) fn status(&mut self) -> Option<S> {
        let now = self.clock.now();
        if !self.hear(now) {
            return None;
        }
        if self.question.is_none() && now >= self.due {
            self.due = now.saturating_add(self.every);
            self.question = Some(self.begin(now));
        }
        let too_old = self.every.saturating_mul(TOO_OLD);
        let answer = self.answer.as_ref().filter(|answer| now.saturating_sub(answer.at) < too_old);
        Some(answer.map(|answer| answer.status.clone()).unwrap_or_default())
    }

    fn begin(&mut self, now: u64) -> Question<S> {
        let (asked, clock) = ((self.ask)(), self.clock.clone());
        let task = self.runtime.spawn(async move {
            let status = asked.await;
            Answer { status, at: clock.now() }
        });
        Question { task, asked_at: now, is_given_up: false }
    }

    /// Takes the answer if there is one, and gives the question up if it is late. Returns `false` if the runtime
    /// dropped the question, because it is shut down.
    fn hear(&mut self, now: u64) -> bool {
        let Some(question) = &mut self.question else { return true };
        let Some(ended) = question.end() else {
            if now.saturating_sub(question.asked_at) >= self.every {
                question.give_up();
            }
            return true;
        };
        let was_given_up = question.is_given_up;
        self.question = None;
        match ended {
            Ok(answer) => {
                self.answer = Some(answer);
                true
            }
            // It is counted where panics of all watched closures are.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => was_given_up,
            },
        }
    }
}

impl<S> Question<S> {
    /// Returns how the task ended, once it has.
    fn end(&mut self) -> Option<Result<Answer<S>, JoinError>> {
        match Pin::new(&mut self.task).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => None,
        }
    }

    fn give_up(&mut self) {
        self.is_given_up = true;
        self.task.abort();
    }
}

impl<S> Drop for Question<S> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
