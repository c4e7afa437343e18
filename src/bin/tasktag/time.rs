//! `tasktag time`: how long a command takes, and how it ends.

use crate::arguments::Time;
use crate::outcome::Failure;
use crate::readable::readable;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked whether a signal is to be passed on.
const LOOK: Duration = Duration::from_millis(50);
/// What a shell says of a command that there is not, and of one that can't be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;
/// What a shell adds to the number of the signal that ended a command.
const BY_SIGNAL: i32 = 128;

/// Runs a command and sends its duration. What is wrong with the metrics is told, and changes nothing else.
pub(crate) fn time(arguments: &Time) -> Result<(), Failure> {
    let signals = Signals::catch()?;
    let start = Instant::now();
    let (program, rest) =
        arguments.command.split_first().ok_or_else(|| Failure::new("there is no command"))?;
    let child = Command::new(program).args(rest).spawn().map_err(|error| {
        let status = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
        Failure::of(program.display(), &error).with_status(status)
    })?;
    let (status, end) = signals.wait(child)?;
    let took = end.duration_since(start);
    if let Err(failure) = tell(arguments, took, status) {
        let text = readable(failure.text().unwrap_or_default().as_bytes());
        let _ = writeln!(io::stderr(), "tasktag: {text}");
    }
    match status_of(status) {
        0 => Ok(()),
        status => Err(Failure::status(status)),
    }
}

fn tell(arguments: &Time, took: Duration, status: ExitStatus) -> Result<(), Failure> {
    let outcome = if status.success() { "ok" } else { "error" };
    arguments.sender.send(|client| {
        if arguments.seconds {
            let metric = arguments.sender.tag(client.distribution(&arguments.name));
            metric.tag("outcome", outcome).record(took.as_secs_f64());
        } else {
            let metric = arguments.sender.tag(client.timing(&arguments.name));
            metric.tag("outcome", outcome).record_duration(took);
        }
    })
}

/// The status as a shell has it.
fn status_of(status: ExitStatus) -> u8 {
    let by_signal = || status.signal().map(|signal| BY_SIGNAL + signal);
    status.code().or_else(by_signal).and_then(|status| u8::try_from(status).ok()).unwrap_or(u8::MAX)
}

/// The signals that this process was told to ignore, a bit each, the first for the first signal. 0 where the system
/// does not tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// The signals that end the command and not this process, which has to tell of it.
struct Signals {
    hang_up: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Signals {
    /// From here on, an interrupt from the terminal is left to the command, which gets it too.
    fn catch() -> io::Result<Self> {
        let signals = Self { hang_up: Arc::default(), terminate: Arc::default() };
        let caught = [
            (SIGINT, Arc::default()),
            (SIGQUIT, Arc::default()),
            (SIGHUP, Arc::clone(&signals.hang_up)),
            (SIGTERM, Arc::clone(&signals.terminate)),
        ];
        let ignored = ignored();
        for (signal, flag) in caught {
            // What `nohup` or a shell has a process ignore, its children ignore too. Caught, it would end them.
            if ignored >> (signal - 1) & 1 == 0 {
                signal_hook::flag::register(signal, flag)?;
            }
        }
        Ok(signals)
    }

    /// Waits for the command, and passes on what is sent to this process alone.
    fn wait(&self, mut child: Child) -> io::Result<(ExitStatus, Instant)> {
        let process = Pid::from_child(&child);
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait().map(|status| (status, Instant::now()))));
        loop {
            match ended.recv_timeout(LOOK) {
                Ok(ended) => return ended,
                Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(RecvTimeoutError::Timeout) => self.pass_on(process),
            }
        }
    }

    fn pass_on(&self, process: Pid) {
        for (flag, signal) in [(&self.hang_up, Signal::HUP), (&self.terminate, Signal::TERM)] {
            if flag.swap(false, Ordering::Relaxed) {
                // A command that has just ended needs no signal.
                let _ = kill_process(process, signal);
            }
        }
    }
}
