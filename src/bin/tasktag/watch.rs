//! `tasktag watch`: pools and queues, without changing any program.

mod config_file;
mod database;
mod entry;
mod job_queue;
mod lease;
mod mistake;
mod names;
mod operator;
mod plan;
mod question;
mod reachability;
mod reporter;
mod round;
mod section;
mod server_url;
mod session;
mod settings;
mod source;
mod statement;
mod table_kind;
mod time_span;

use self::config_file::ConfigFile;
use self::plan::Plan;
use crate::arguments::Watch;
use crate::outcome::{FAULT, Failure};
use crate::readable::readable;
use std::io::{self, Write};
use std::time::Duration;

/// The longest that a reader of the last lines is waited for.
const TO_BE_READ: Duration = Duration::from_secs(1);

/// Reads the file, and does what the arguments say with it.
pub(crate) fn watch(arguments: &Watch) -> Result<(), Failure> {
    let file = ConfigFile::read(&arguments.file)?;
    let plan = Plan::read(&file).or_else(|mistakes| {
        let mut err = io::stderr().lock();
        for mistake in mistakes {
            writeln!(err, "error: {}", readable(mistake.to_string().as_bytes()))?;
        }
        Err(Failure::status(FAULT))
    })?;
    if arguments.check { check(&plan) } else { ask(&plan, arguments.once) }
}

/// Asks, and tells how that ended like everything else: whether anybody reads it or not.
fn ask(plan: &Plan, once: bool) -> Result<(), Failure> {
    operator::begin().map_err(|error| Failure::of("thread", &error))?;
    let ended = if once { round::ask_once(plan) } else { reporter::report(plan) };
    if let Some(text) = ended.as_ref().err().and_then(Failure::text) {
        operator::tell(&format!("error: {text}"));
    }
    operator::wait(TO_BE_READ);
    ended.map_err(Failure::told)
}

/// Says what would be watched.
fn check(plan: &Plan) -> Result<(), Failure> {
    let address = plan.client().agent_address()?;
    let mut out = io::stdout().lock();
    writeln!(out, "reported to {}", readable(address.as_bytes()))?;
    if let Some(lease) = &plan.lease {
        writeln!(out, "reported by the holder of the lease in {}", readable(lease.place.as_bytes()))?;
    }
    for source in &plan.sources {
        writeln!(out, "{}", readable(source.described().as_bytes()))?;
    }
    Ok(out.flush()?)
}
