//! Several processes that send to one agent, like the copies of a service. Only `task_id` keeps their gauges apart.

use crate::columns::Columns;
use crate::files::Files;
use crate::options::{Options, Part};
use crate::processes::Processes;
use crate::receiver::{Received, Receiver};
use crate::report::Screen;
use crate::totals::Totals;
use crate::units::{bytes, count};
use crate::workload::Workload;
use crate::{FLUSH_INTERVAL, Failure, finish, start_client};
use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tasktag::TaskId;

/// The time that a process may take to start and to end, in addition to the load.
const GRACE: Duration = Duration::from_secs(10);
/// When each process has flushed once. From then on, each flushes once between two ticks.
const FIRST_TICK: Duration = Duration::from_millis(1_200);
const POLL: Duration = Duration::from_millis(100);

/// The mode `--part`: one of the processes. It reports its task id at once and its statistics when it ends. It ends
/// early if the process that started it is gone.
pub(crate) fn run_one(options: &Options, part: Part, mut files: Files, agent: &str) -> Result<(), Failure> {
    let (sender, orphaned) = mpsc::channel();
    thread::spawn(move || {
        // Nothing is ever written there: the end of the input means that the other process has ended.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = sender.send(());
    });
    files.passes = part.passes;
    let guard = start_client(agent)?;
    writeln!(io::stdout(), "{}", guard.client().task_id())?;
    let workload = Workload::start(guard.client(), files, part);
    let left_alone = orphaned.recv_timeout(options.duration()).is_ok();
    let totals = finish(workload, guard)?;
    if left_alone {
        return Err(Failure::Run("the process that started this one is gone".to_owned()));
    }
    Ok(writeln!(io::stdout(), "{}", totals.to_line())?)
}

/// The mode `--tasks`: starts the processes, and shows what they send.
pub(crate) fn run_all(options: &Options, mut files: Files, tasks: u32) -> Result<(), Failure> {
    let begun = Instant::now();
    let agent = Receiver::open().map_err(Failure::Run)?;
    // A variable that is invalid for all of them is better reported once.
    TaskId::try_current().map_err(|error| Failure::Run(error.to_string()))?;
    // Measured once for all: they would slow each other down.
    files.calibrate();
    let mut processes = Processes::start(options, tasks, files.passes, agent.address())?;
    let columns = Columns::new(processes.ids());
    let mut screen = Screen::new();
    let (number, size) = (count(files.len() as u64), bytes(files.bytes as f64));
    screen.line(&format!("{tasks} processes, each with a pool that hashes {number} files ({size})"))?;
    screen.line(&format!("of {}", options.folder.display()))?;
    screen.line(&format!("{} s of load; all send to one agent, {}", options.seconds, agent.address()))?;
    screen.line(&columns.sharing(tasks))?;
    let (mut received, load, mut tick) = (Received::default(), Instant::now(), FIRST_TICK);
    screen.head(&columns.head())?;
    while !processes.have_ended(load.elapsed() > options.duration() + GRACE)? {
        if let Some(packets) = agent.next(POLL).map_err(Failure::Run)? {
            received.take(packets);
        }
        if load.elapsed() >= tick && tick <= options.duration() {
            screen.line(&columns.progress(load.elapsed(), &received))?;
            screen.set_table(columns.table(load.elapsed(), &received))?;
            tick += FLUSH_INTERVAL;
        }
    }
    let books = processes.books()?;
    for packets in agent.finish().map_err(Failure::Run)? {
        received.take(packets);
    }
    screen.line(&columns.progress(load.elapsed(), &received))?;
    if !screen.has_table() {
        screen.set_table(columns.table(load.elapsed(), &received))?;
    }
    screen.settle(&received)?;
    let all = Totals::sum(books.iter());
    let mut pairs = columns.pairs(&books, &received);
    pairs.extend(all.pairs(&received));
    screen.comparison(&pairs)?;
    screen.summary(&columns.tags(), &all, begun.elapsed())?;
    all.check(&pairs, &received)
}
