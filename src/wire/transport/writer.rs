//! Any writer: standard output, a file, a pipe, or a program's own [`Write`].

use super::wait_budget::WaitBudget;
use super::{Delivery, Failure, MAX_PACKETS, Packets, Transport, Turn, WRITE_TIMEOUT};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::fmt;
#[cfg(unix)]
use std::fs::File;
use std::io::{self, ErrorKind, Write};
#[cfg(unix)]
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

/// A writer in a client's settings. Clones are the same writer, until [`release`](Self::release).
#[derive(Clone)]
pub(crate) struct SharedWriter {
    output: Weak<Mutex<Output>>,
    // `None` in the settings of a running client, whose worker keeps the writer for as long as it lives. The writer may
    // hold the client itself, and the client holds the settings.
    kept: Option<Arc<Mutex<Output>>>,
}

pub(crate) struct Output {
    // `None` only while this is dropped.
    writer: Option<Box<dyn Write + Send>>,
    // A packet was partly written: the next one begins on a new line.
    torn: bool,
}

impl SharedWriter {
    pub(crate) fn new(writer: impl Write + Send + 'static) -> Self {
        let output = Arc::new(Mutex::new(Output { writer: Some(Box::new(writer)), torn: false }));
        Self { output: Arc::downgrade(&output), kept: Some(output) }
    }

    /// Hands the writer over: until the new owner has it, the returned value keeps it.
    pub(crate) fn release(&mut self) -> Option<impl Sized + use<>> {
        self.kept.take()
    }
}

/// Runs an operation on the writer. A writer that panics has failed.
fn catch(output: &Mutex<Output>, act: impl FnOnce(&mut Output) -> io::Result<()>) -> io::Result<()> {
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    let panicked = |_| Err(io::Error::other("the writer panicked"));
    catch_unwind(AssertUnwindSafe(|| act(&mut output))).unwrap_or_else(panicked)
}

impl Output {
    fn write(&mut self, packet: &[u8]) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if self.torn {
            writer.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = packet;
        while !rest.is_empty() {
            match writer.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.torn = !rest.is_empty();
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // A value that the writer holds may panic when it is dropped.
        let writer = self.writer.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(writer)));
    }
}

impl fmt::Debug for SharedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWriter").finish_non_exhaustive()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

/// Standard output under its current descriptor, without std's rule that a closed one accepts everything.
struct Stdout;

impl Write for Stdout {
    #[cfg(unix)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Locked, so that no line of the program's lands within a packet.
        let mut stdout = io::stdout().lock();
        stdout.flush()?;
        File::from(stdout.as_fd().try_clone_to_owned()?).write(bytes)
    }

    #[cfg(not(unix))]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// Packets, or nothing if the writer is to flush.
#[derive(Debug, Default)]
struct Job {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Job {
    /// Writes packets up to the first that fails, and returns how many were written.
    fn act(&self, output: &Mutex<Output>) -> (usize, io::Result<()>) {
        let mut written = 0;
        let result = catch(output, |output| {
            if self.ends.is_empty() {
                return output.writer.as_mut().map_or(Ok(()), Write::flush);
            }
            for packet in Packets::new(&self.bytes, 0, &self.ends).iter() {
                output.write(packet)?;
                written += 1;
            }
            Ok(())
        });
        (written, result)
    }
}

/// What was passed to the thread, how much of it was done, and why it was not everything.
type Answer = (Job, (usize, io::Result<()>));

/// Passes packets to a thread of its own that writes them, because a writer may take any time and the worker may not.
/// Packets that are not written in time count as lost, though they may be written later.
#[derive(Debug)]
pub(crate) struct WriterTransport {
    output: Option<Arc<Mutex<Output>>>,
    name: &'static str,
    thread: Option<(Sender<Job>, Receiver<Answer>)>,
    // Reused for each write.
    spare: Job,
    // The thread is busy with something that nobody waits for any more.
    is_behind: bool,
    wait_budget: WaitBudget,
    failure: Option<Failure>,
}

impl WriterTransport {
    /// Makes it for a client's writer. A writer that is gone with an earlier worker accepts nothing.
    pub(crate) fn new(writer: &SharedWriter) -> Self {
        Self::named(writer.output.upgrade(), "custom")
    }

    pub(crate) fn stdout() -> Self {
        Self::named(SharedWriter::new(Stdout).kept, "stdout")
    }

    fn named(output: Option<Arc<Mutex<Output>>>, name: &'static str) -> Self {
        Self {
            output,
            name,
            thread: None,
            spare: Job::default(),
            is_behind: false,
            wait_budget: WaitBudget::new(),
            failure: None,
        }
    }

    fn start(&mut self) {
        let Some(output) = self.output.clone() else { return };
        let ((jobs, to_do), (answers, done)) = (bounded::<Job>(1), bounded(1));
        let started = crate::process::thread::spawn("tasktag-writer", move || {
            for job in to_do {
                let done = job.act(&output);
                if answers.send((job, done)).is_err() {
                    return;
                }
            }
        });
        match started {
            Ok(()) => self.thread = Some((jobs, done)),
            Err(error) => self.failure = Some(Failure::Refused(error)),
        }
    }

    /// Passes a task to the thread. Returns how much of it was done and whether that was everything; `None` if there
    /// was no time for it.
    fn ask(&mut self, fill: impl FnOnce(&mut Job)) -> Option<(usize, bool)> {
        if self.thread.is_none() {
            self.start();
        }
        let (jobs, answers) = self.thread.as_ref()?;
        self.failure = Some(Failure::Late("the writer did not return in time"));
        if self.is_behind {
            let (job, _) = self.wait_budget.spend(|left| answers.recv_timeout(left)).ok()?;
            self.is_behind = false;
            self.spare = job;
        }
        // A task passed on without time to see its result would count as lost.
        self.wait_budget.left()?;
        let mut job = std::mem::take(&mut self.spare);
        job.bytes.clear();
        job.ends.clear();
        fill(&mut job);
        self.is_behind = true;
        jobs.send(job).ok()?;
        let (job, (written, result)) = self.wait_budget.spend(|left| answers.recv_timeout(left)).ok()?;
        self.is_behind = false;
        self.spare = job;
        let all = result.is_ok();
        self.failure = result.err().map(Failure::Refused);
        Some((written, all))
    }
}

impl Transport for WriterTransport {
    fn begin(&mut self, turn: Turn) {
        self.wait_budget.renew(turn);
    }

    fn send(&mut self, packets: Packets<'_>) -> Delivery {
        let written = self.ask(|job| {
            job.bytes.extend_from_slice(packets.as_bytes());
            let mut end = 0;
            job.ends.extend(packets.iter().map(|packet| {
                end += packet.len();
                end
            }));
        });
        let (taken, lost) = match written {
            None => (0, packets.len()),
            Some((written, all)) => (written, usize::from(!all)),
        };
        // Written data may still be in a buffer.
        Delivery { lost, doubtful: true, ..Delivery::taken(taken) }
    }

    /// A flush that fails loses what is in doubt. One that is not over by now may take any time.
    fn last_was_refused(&mut self) -> bool {
        self.ask(|_| {}).is_some_and(|(_, all)| !all)
    }

    fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    fn most_packets(&self) -> usize {
        MAX_PACKETS
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

impl Drop for WriterTransport {
    /// The writer is dropped with the client, unless it takes too long.
    fn drop(&mut self) {
        let Some((jobs, answers)) = self.thread.take() else { return };
        drop((jobs, self.output.take()));
        let deadline = Instant::now() + WRITE_TIMEOUT;
        while answers.recv_deadline(deadline).is_ok() {}
    }
}
