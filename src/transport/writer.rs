//! Whatever can be written to: standard output, a file, a pipe, a program's own [`Write`].

use super::patience::Patience;
use super::{Delivery, MAX_PACKETS, Packets, Transport, WRITE_TIMEOUT};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A writer. Clones are the same one.
#[derive(Clone)]
pub(crate) struct SharedWriter(Arc<Mutex<Output>>);

struct Output {
    writer: Box<dyn Write + Send>,
    // A packet was written in part: the next one begins on a new line.
    torn: bool,
}

impl SharedWriter {
    pub(crate) fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Output { writer: Box::new(writer), torn: false })))
    }

    /// Writes packets up to the first that fails, and says how many they were.
    fn write(&self, packets: Packets<'_>) -> usize {
        let mut written = 0;
        let _ = self.catch(|output| {
            for packet in packets.iter() {
                output.write(packet)?;
                written += 1;
            }
            Ok(())
        });
        written
    }

    fn flush(&self) -> bool {
        self.catch(|output| output.writer.flush()).is_ok()
    }

    /// A writer that panics is a writer that failed.
    fn catch(&self, act: impl FnOnce(&mut Output) -> io::Result<()>) -> io::Result<()> {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        catch_unwind(AssertUnwindSafe(|| act(&mut output))).unwrap_or_else(|_| Err(ErrorKind::Other.into()))
    }
}

impl Output {
    fn write(&mut self, packet: &[u8]) -> io::Result<()> {
        if self.torn {
            self.writer.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = packet;
        while !rest.is_empty() {
            match self.writer.write(rest) {
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

impl fmt::Debug for SharedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWriter").finish_non_exhaustive()
    }
}

/// Packets, or nothing where the writer is to flush.
#[derive(Debug, Default)]
struct Job {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// What was handed over, and how much of it was done.
type Answer = (Job, usize);

/// Hands packets to a thread of its own that writes them: a writer may take as long as it likes, and the worker may not.
/// What it did not take in time counts as lost, though it may come out later.
#[derive(Debug)]
pub(crate) struct WriterTransport {
    writer: SharedWriter,
    name: &'static str,
    thread: Option<(Sender<Job>, Receiver<Answer>)>,
    // Used again and again.
    spare: Job,
    // The thread has something in hand that nobody waits for any more.
    is_behind: bool,
    patience: Patience,
}

impl WriterTransport {
    pub(crate) fn new(writer: SharedWriter) -> Self {
        Self::named(writer, "custom")
    }

    pub(crate) fn stdout() -> Self {
        Self::named(SharedWriter::new(io::stdout()), "stdout")
    }

    fn named(writer: SharedWriter, name: &'static str) -> Self {
        let (spare, patience) = (Job::default(), Patience::new());
        Self { writer, name, thread: None, spare, is_behind: false, patience }
    }

    fn start(&mut self) {
        let ((jobs, to_do), (answers, done)) = (bounded::<Job>(1), bounded(1));
        let writer = self.writer.clone();
        let started = crate::thread::spawn("tasktag-writer", move || {
            for job in to_do {
                let done = if job.ends.is_empty() {
                    usize::from(writer.flush())
                } else {
                    writer.write(Packets::new(&job.bytes, 0, &job.ends))
                };
                if answers.send((job, done)).is_err() {
                    return;
                }
            }
        });
        self.thread = started.is_ok().then_some((jobs, done));
    }

    /// Has the thread do something, and says how much of it was done; `None` where it had no time for it.
    fn ask(&mut self, fill: impl FnOnce(&mut Job)) -> Option<usize> {
        if self.thread.is_none() {
            self.start();
        }
        let (jobs, answers) = self.thread.as_ref()?;
        if self.is_behind {
            let (job, _) = self.patience.spend(|left| answers.recv_timeout(left)).ok()?;
            self.is_behind = false;
            self.spare = job;
        }
        // Handed over without time to see what becomes of it, it would count as lost.
        self.patience.left()?;
        let mut job = std::mem::take(&mut self.spare);
        job.bytes.clear();
        job.ends.clear();
        fill(&mut job);
        self.is_behind = true;
        jobs.send(job).ok()?;
        let (job, done) = self.patience.spend(|left| answers.recv_timeout(left)).ok()?;
        self.is_behind = false;
        self.spare = job;
        Some(done)
    }
}

impl Transport for WriterTransport {
    fn begin(&mut self) {
        self.patience.renew();
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
            Some(written) => (written, usize::from(written < packets.len())),
        };
        // What was written may still be in a buffer.
        Delivery { lost, doubtful: true, ..Delivery::taken(taken) }
    }

    fn last_was_refused(&mut self) -> bool {
        self.ask(|_| {}) == Some(0)
    }

    fn most_packets(&self) -> usize {
        MAX_PACKETS
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

impl Drop for WriterTransport {
    /// The writer is gone when the client is, unless it takes too long.
    fn drop(&mut self) {
        let Some((jobs, answers)) = self.thread.take() else { return };
        drop(jobs);
        let deadline = Instant::now() + WRITE_TIMEOUT;
        while answers.recv_deadline(deadline).is_ok() {}
    }
}
