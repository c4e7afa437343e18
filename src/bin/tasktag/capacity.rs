//! `tasktag capacity`: whether the workers of a queue keep its promise, and how many would.

use crate::arguments::Capacity;
use crate::outcome::Failure;
use serde_json::json;
use std::io::{self, Write};
use tasktag::capacity::CapacityReport;

/// Tells the report. The status is 1 if the promise is not kept.
pub(crate) fn capacity(arguments: &Capacity) -> Result<(), Failure> {
    let report = report(arguments).map_err(|error| Failure::new(error.to_string()))?;
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", object(&report))?;
    } else {
        writeln!(out, "{report:#}")?;
    }
    out.flush()?;
    if report.is_kept() { Ok(()) } else { Err(Failure::silent()) }
}

fn report(arguments: &Capacity) -> Result<CapacityReport, tasktag::capacity::ArgumentError> {
    let Capacity { rate, job, workers, promise, share, waiting_share, .. } = *arguments;
    let report = CapacityReport::new(rate, job, workers, promise)?.share(share)?;
    waiting_share.map_or(Ok(report), |waiting_share| report.waiting_share(waiting_share))
}

/// What is infinite is null.
fn object(report: &CapacityReport) -> serde_json::Value {
    json!({
        "kept": report.kept(), "is_kept": report.is_kept(), "workers_needed": report.workers_needed(),
        "spare": report.spare(), "cpus": report.cpus(),
    })
}
