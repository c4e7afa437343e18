//! `tasktag watch`: pools and queues, without changing any program.

mod config_file;
mod database;
mod entry;
mod job_queue;
mod lease;
mod mistake;
mod names;
mod plan;
mod question;
mod reachability;
mod reporter;
mod round;
mod section;
mod server_url;
mod settings;
mod source;
mod table_kind;
mod time_span;

use self::config_file::ConfigFile;
use self::plan::Plan;
use crate::arguments::Watch;
use crate::outcome::{FAULT, Failure};
use crate::readable::readable;
use std::io::{self, Write};

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
    if arguments.check {
        check(&plan)
    } else if arguments.once {
        round::ask_once(&plan)
    } else {
        reporter::report(&plan)
    }
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
