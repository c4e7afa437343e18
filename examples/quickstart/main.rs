//! The whole of it with nothing installed: a worker pool under a load that rises and falls, watched, and what an agent
//! receives of it.
//!
//! `cargo run --release --example quickstart --features testing` shows it, `-- --help` says what else there is.
//! The modules come in the order that the data takes; what a program does with the library is in `workload.rs`.

// What is asked for.
mod options;

// A program under load.
mod files;
mod workload;

// The agent that it sends to.
mod receiver;

// What is shown of both.
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

/// What every metric's name starts with.
const PREFIX: &str = "quickstart";
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the example ends early.
enum Failure {
    /// An argument is unusable.
    Argument(String),
    /// Something went wrong on the way.
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
        // `quickstart | head` has seen enough.
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

/// Sets up the client. It is installed for the whole process, which is what the macros use.
fn start_client(agent: &str) -> Result<Guard, Failure> {
    let builder = Client::builder().agent(agent).prefix(PREFIX).flush_interval(FLUSH_INTERVAL);
    builder.install().map_err(|error| match error {
        ConfigError::Setting { setting: "agent", reason, .. } => {
            Failure::Argument(format!("--agent {agent}: {reason}"))
        }
        other => Failure::Run(other.to_string()),
    })
}

/// Ends load and client, in this order, and says what each of them counted.
fn finish(mut workload: Workload, guard: Guard) -> Result<Totals, Failure> {
    let client = guard.client().clone();
    let hashed = workload.stop().map_err(|why| Failure::Run(why.to_owned()))?;
    let end = guard.shutdown(SHUTDOWN_TIMEOUT);
    end.map_err(|error| Failure::Run(format!("the last flush: {error}")))?;
    // Only now: the handles and watches in it have reported how it ended.
    drop(workload);
    Ok(Totals::new(hashed, &client.stats()))
}

/// The default: the agent is a thread of this process, and everything that it receives is shown.
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
        // A load of a second has no flush before its end.
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

/// `--agent`: nothing of what arrives there can be seen here.
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
