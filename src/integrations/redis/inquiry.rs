//! Asks a server about a queue, one question at a time, on a thread that waits for nothing else.

use super::answer::Answer;
use super::counted_queue::CountedQueue;
use super::recipe::Recipe;
use super::server::Server;
use crate::api::watch::QueueStatus;
use crate::process::thread;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The thread's name, as shown in `/proc/self/task/*/comm`.
const THREAD_NAME: &str = "tasktag-queue";
/// The time after which a question counts as unanswered. It may go on: looking up a name has no time limit.
const LATE: Duration = Duration::from_secs(2);
/// The age at which an answer is not reported: nobody asked meanwhile, for example because another task was to report.
const TOO_OLD: Duration = Duration::from_secs(60);

/// What is told how each question ended. It is the user's code.
pub(super) type Listener = Arc<dyn Fn(io::Result<QueueStatus>) + Send + Sync>;

/// A repeated question about one queue.
pub(super) struct Inquiry {
    recipe: Recipe,
    server: Server,
    listener: Option<Listener>,
    thread: Option<Correspondence>,
    question: Option<Question>,
    answer: Option<Heard>,
    clamped: u64,
    unanswered: u64,
}

/// What goes to the thread, and what comes from it. If this is dropped, the thread ends after its question.
struct Correspondence {
    questions: Sender<()>,
    answers: Receiver<Result<Heard, String>>,
    // A question that waits for the listener would be late because of it, and not because of the server.
    is_telling: Arc<AtomicBool>,
}

/// Who is told how questions end, after the answer is handed over.
struct Told {
    listener: Listener,
    is_telling: Arc<AtomicBool>,
}

struct Question {
    asked_at: Instant,
    is_late: bool,
}

#[derive(Clone, Copy)]
struct Heard {
    answer: Answer,
    at: Instant,
}

impl Inquiry {
    /// Asks nothing yet, and starts no thread.
    pub(super) fn new(recipe: Recipe, server: Server, listener: Option<Listener>) -> Self {
        Self {
            recipe,
            server,
            listener,
            thread: None,
            question: None,
            answer: None,
            clamped: 0,
            unanswered: 0,
        }
    }

    /// Returns the last answer, or a status in which nothing is known if there is none. Asks again without waiting,
    /// unless a question is under way.
    pub(super) fn status(&mut self) -> CountedQueue {
        let now = Instant::now();
        self.hear(now);
        if self.question.is_none() {
            self.ask(now);
        }
        let answer = self.answer.filter(|heard| now.saturating_duration_since(heard.at) < TOO_OLD);
        CountedQueue {
            status: answer.map(|heard| heard.answer.status).unwrap_or_default(),
            clamped: std::mem::take(&mut self.clamped),
            unanswered: std::mem::take(&mut self.unanswered),
        }
    }

    fn hear(&mut self, now: Instant) {
        let (Some(question), Some(thread)) = (&mut self.question, &self.thread) else { return };
        let was_late = question.is_late;
        let failed = match thread.answers.try_recv() {
            Ok(Ok(heard)) => {
                self.clamped += heard.answer.clamped;
                self.answer = Some(heard);
                self.question = None;
                return;
            }
            Err(TryRecvError::Empty) => {
                question.is_late |= now.saturating_duration_since(question.asked_at) >= LATE;
                question.is_late
            }
            Ok(Err(_)) => {
                self.question = None;
                true
            }
            Err(TryRecvError::Disconnected) => {
                (self.question, self.thread) = (None, None);
                true
            }
        };
        if failed {
            self.answer = None;
            self.unanswered += u64::from(!was_late);
        }
    }

    fn ask(&mut self, now: Instant) {
        if self.thread.is_none() {
            let (recipe, server) = (self.recipe.clone(), self.server.unconnected());
            self.thread = Correspondence::begin(recipe, server, self.listener.clone());
        }
        let is_asked = self.thread.as_ref().is_some_and(Correspondence::ask);
        self.question = is_asked.then_some(Question { asked_at: now, is_late: false });
    }
}

impl Correspondence {
    fn begin(recipe: Recipe, server: Server, listener: Option<Listener>) -> Option<Self> {
        let (questions, to_answer) = bounded(1);
        // There is room for an answer that nobody waits for any more.
        let (to_hear, answers) = bounded(1);
        let is_telling = Arc::new(AtomicBool::new(false));
        let told = listener.map(|listener| Told { listener, is_telling: Arc::clone(&is_telling) });
        let started = thread::spawn(THREAD_NAME, move || {
            answer_all(&recipe, server, told.as_ref(), &to_answer, &to_hear);
        });
        started.ok().map(|()| Self { questions, answers, is_telling })
    }

    /// Returns whether the question goes to the thread now. It does not while the listener runs.
    fn ask(&self) -> bool {
        // The flag was set before the answer was sent that has been received.
        !self.is_telling.load(Ordering::Relaxed) && self.questions.try_send(()).is_ok()
    }
}

impl Told {
    fn tell(&self, ended: io::Result<QueueStatus>) {
        let _ = catch_unwind(AssertUnwindSafe(|| (self.listener)(ended)));
        self.is_telling.store(false, Ordering::Relaxed);
    }
}

fn answer_all(
    recipe: &Recipe,
    mut server: Server,
    told: Option<&Told>,
    questions: &Receiver<()>,
    answers: &Sender<Result<Heard, String>>,
) {
    while questions.recv().is_ok() {
        let asked = catch_unwind(AssertUnwindSafe(|| server.ask(recipe)));
        let asked = asked.unwrap_or_else(|_| Err("the Redis client panicked".to_owned()));
        let ended =
            asked.as_ref().map(|answer| answer.status).map_err(|reason| io::Error::other(reason.as_str()));
        let heard = asked.map(|answer| Heard { answer, at: Instant::now() });
        if let Some(told) = told {
            told.is_telling.store(true, Ordering::Relaxed);
        }
        let is_heard = answers.send(heard).is_ok();
        if let Some(told) = told {
            told.tell(ended);
        }
        if !is_heard {
            return;
        }
    }
}
