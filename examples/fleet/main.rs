//! Simulates a fleet of 10 to 100,000 tasks over a month, for each source of ids. Shows how many tasks share a task id,
//! how many of their gauges that costs, and how many time series there are, compared with what `TaskIdPool` computes
//! and with a tag of the pod's name.
//!
//! `cargo run --release --example fleet --features testing` takes half a minute. `-- --seed N` gives the same figures
//! each time and is faster, `-- --pool N` sets another pool, `-- --series N` another number of series per task, and
//! `-- --csv FILE` writes the file that `chart.py` reads.

mod fleet;
mod generator;
mod report;
mod source;

use crate::fleet::Plan;
use crate::generator::Generator;
use crate::source::{Names, Source, hash};
use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use tasktag::testing::Capture;
use tasktag::{Client, TaskIdPool, TaskIdSource, TaskIdSourceKind};

const USAGE: &str = "fleet [--seed N] [--pool N] [--series N] [--csv FILE]";
const SIZES: [u32; 10] = [10, 30, 100, 300, 900, 1000, 3000, 10_000, 30_000, 100_000];
/// Small fleets are simulated for more months than large ones, so that each size has about the same number of tasks.
const TASK_MONTHS: u32 = 30_000;
const MAX_MONTHS: u32 = 300;
const NAMES_CHECKED: u32 = 100;

#[derive(Debug)]
struct Options {
    seed: Option<u64>,
    pool: TaskIdPool,
    series: u32,
    csv: Option<PathBuf>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self { seed: None, pool: TaskIdPool::DEFAULT, series: 100, csv: None };
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            let refused = |error| format!("{flag} {value}: {error}");
            match flag.as_str() {
                "--seed" => options.seed = Some(value.parse().map_err(refused)?),
                "--pool" => options.pool = TaskIdPool::new(value.parse().map_err(refused)?)?,
                "--series" => options.series = value.parse().map_err(refused)?,
                "--csv" => options.csv = Some(value.into()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::read(std::env::args().skip(1))?;
    match simulate(&mut stdout(), &options) {
        // A reader like `head` may stop early; a file must be complete.
        Err(error) if is_closed_pipe(&*error) && options.csv.is_none() => Ok(()),
        done => done,
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn simulate(out: &mut impl Write, options: &Options) -> Result<(), Box<dyn Error>> {
    let seed = options.seed.unwrap_or(1);
    check_hash(options.pool, seed)?;
    report::print_model(out, options)?;
    let mut csv = report::CSV_HEAD.to_owned();
    for source in Source::ALL {
        report::print_head(out, source)?;
        for tasks in SIZES {
            let months = (TASK_MONTHS / tasks).clamp(1, MAX_MONTHS);
            let repeatable = options.seed.is_some();
            let plan = Plan { source, pool: options.pool, tasks, months, seed, repeatable };
            let found = fleet::simulate(plan)?;
            report::print_row(out, &plan, &found, options.series)?;
            csv += &report::csv_row(&plan, &found, options.series);
        }
    }
    report::print_foot(out, options.pool)?;
    if let Some(path) = &options.csv {
        fs::write(path, csv)?;
    }
    Ok(())
}

/// Checks that the simulation's hash is the one that a pod would get.
fn check_hash(pool: TaskIdPool, seed: u64) -> Result<(), Box<dyn Error>> {
    let (mut names, mut generator) = (Names::default(), Generator::new(seed));
    for _ in 0..NAMES_CHECKED {
        names.release(&mut generator);
        let name = String::from_utf8(names.next(&mut generator).render().to_vec())?;
        let variables = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("POD_NAME", name.as_str())];
        let builder = Client::builder().capture(&Capture::new()).from_vars(variables).task_id_pool(pool);
        let guard = builder.task_id_from(TaskIdSource::hashed()).build()?;
        let (id, simulated) = (guard.client().task_id(), hash(name.as_bytes(), pool));
        if (id.number(), id.source()) != (simulated, TaskIdSourceKind::Hashed) {
            return Err(format!("{name}: the crate's id is {id} ({}), not {simulated}", id.source()).into());
        }
    }
    Ok(())
}
