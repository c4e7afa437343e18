//! A complete program with nothing to install: a worker pool under a changing load, and what an agent receives from it.
//!
//! Run it with `cargo run --example quickstart --features testing`; `-- --help` lists the options. The modules come in
//! the order in which the data passes through them. `workload.rs` shows how a program uses the library.

// The command line.
mod options;

// A program under load.
mod files;
mod workload;

// The agent to which it sends.
mod receiver;

// The display of both.
mod report;
mod totals;
mod units;

// The same with several processes.
mod columns;
mod processes;
mod tasks;

use crate::files::Files;
use crate::options::{Options, Part};
use crate::receiver::{Received, Receiver};
use crate::report::Screen;
use crate::totals::Totals;
use crate::workload::Workload;
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};
use tasktag::{Client, ConfigError, Guard};

/// The prefix of every metric's name.
const PREFIX: &str = "quickstart";
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the example ends early.
enum Failure {
    /// An argument is invalid.
    Argument(String),
    /// Something failed during the run.
    Run(String),
    /// Nobody reads the output any more.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn main() -> ExitCode {
    let (text, code) = match Options::read(std::env::args_os().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => return ExitCode::SUCCESS,
        // A reader like `quickstart | head` may stop early.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Err(Failure::Output(error)) => (format!("the output: {error}"), 1),
        Err(Failure::Run(text)) => (text, 1),
        Err(Failure::Argument(text)) => (format!("{text}\n       --help tells what there is"), 2),
    };
    eprintln!("error: {text}");
    ExitCode::from(code)
}

fn run(options: &Options) -> Result<(), Failure> {
    if options.help {
        return report::help();
    }
    let files = Files::find(&options.folder)
        .map_err(|why| Failure::Argument(format!("--folder {}: {why}", options.folder.display())))?;
    match (&options.agent, options.part, options.tasks) {
        (Some(agent), Some(part), _) => tasks::run_one(options, part, files, agent),
        (_, _, Some(count)) => tasks::run_all(options, files, count),
        (Some(agent), None, None) => send_to(agent, options, files),
        (None, _, None) => receive_here(options, files),
    }
}

/// Sets up the client. It is installed for the whole process, because the macros use the installed client.
fn start_client(agent: &str) -> Result<Guard, Failure> {
    let builder = Client::builder().agent(agent).prefix(PREFIX).flush_interval(FLUSH_INTERVAL);
    builder.install().map_err(|error| match error {
        ConfigError::Setting { setting: "agent", reason, .. } => {
            Failure::Argument(format!("--agent {agent}: {reason}"))
        }
        other => Failure::Run(other.to_string()),
    })
}

/// Stops the load and then the client, and returns what each of them counted.
fn finish(mut workload: Workload, guard: Guard) -> Result<Totals, Failure> {
    let client = guard.client().clone();
    let hashed = workload.stop().map_err(|why| Failure::Run(why.to_owned()))?;
    let end = guard.shutdown(SHUTDOWN_TIMEOUT);
    end.map_err(|error| Failure::Run(format!("the last flush: {error}")))?;
    // Dropped only now: its handles and watches have reported its last state.
    drop(workload);
    Ok(Totals::new(hashed, &client.stats()))
}

/// The default mode: the agent is a thread of this process, and everything it receives is shown.
fn receive_here(options: &Options, mut files: Files) -> Result<(), Failure> {
    let begun = Instant::now();
    files.calibrate();
    let agent = Receiver::open().map_err(Failure::Run)?;
    let guard = start_client(agent.address())?;
    let mut screen = Screen::new();
    screen.opening(&files, options, &format!("{}, in this process", agent.address()))?;
    let load = Instant::now();
    let workload = Workload::start(guard.client(), files, Part::WHOLE);
    let mut received = Received::default();
    while let Some(left) = options.duration().checked_sub(load.elapsed()) {
        if let Some(packets) = agent.next(left).map_err(Failure::Run)? {
            let at = packets.at.duration_since(load);
            received.take(packets);
            screen.flush(at, &received)?;
            screen.table(at, &received)?;
        }
    }
    let task_id = guard.client().task_id();
    let totals = finish(workload, guard)?;
    for packets in agent.finish().map_err(Failure::Run)? {
        let at = packets.at.duration_since(load);
        received.take(packets);
        screen.flush(at, &received)?;
        // A load of one second ends before the first flush.
        if !screen.has_table() {
            screen.table(at, &received)?;
        }
    }
    screen.settle(&received)?;
    let pairs = totals.pairs(&received);
    screen.comparison(&pairs)?;
    screen.summary(task_id.tag(), &totals, begun.elapsed())?;
    totals.check(&pairs, &received)
}

/// The mode `--agent`: what arrives at a real agent can't be shown here.
fn send_to(agent: &str, options: &Options, mut files: Files) -> Result<(), Failure> {
    let begun = Instant::now();
    files.calibrate();
    let guard = start_client(agent)?;
    let mut screen = Screen::new();
    screen.opening(&files, options, agent)?;
    let load = Instant::now();
    let workload = Workload::start(guard.client(), files, Part::WHOLE);
    while let Some(left) = options.duration().checked_sub(load.elapsed()) {
        thread::sleep(left.min(FLUSH_INTERVAL));
        screen.sent(load.elapsed(), &workload, &guard.client().stats())?;
    }
    let task_id = guard.client().task_id();
    let totals = finish(workload, guard)?;
    screen.summary(task_id.tag(), &totals, begun.elapsed())?;
    totals.check_loss()
}
