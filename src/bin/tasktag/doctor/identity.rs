//! Who this process is: its container, its tags, its task id.

use super::finding::Finding;
use super::settings::Settings;
use crate::arguments::Doctor;
use tasktag::{ClientBuilder, TaskId, TaskIdPool, TaskIdSource, TaskIdSourceKind};

/// More than this chance that two tasks of a fleet share an id is worth a warning.
const RISKY: f64 = 0.05;

pub(super) fn examine(arguments: &Doctor, settings: &Settings) -> Vec<Finding> {
    let mut findings: Vec<_> = settings.line().ok().map(|line| origin(settings, &line)).into_iter().collect();
    let pool = match TaskIdPool::new(arguments.pool) {
        Ok(pool) => pool,
        Err(error) => return vec![Finding::fault("task id", error.to_string())],
    };
    let of = |source: TaskIdSource| claim(settings.builder().task_id_pool(pool).task_id_from(source));
    match of(TaskIdSource::random()) {
        Ok(id) if id.source() == TaskIdSourceKind::Fixed => {
            findings.push(Finding::ok("task id", format!("{}, set by TASKTAG_TASK_ID", id.tag())));
        }
        Ok(id) => {
            let text = format!(
                "{} for this run; another run has another, unless the program chooses a source",
                id.tag()
            );
            findings.push(Finding::ok("task id", text));
            findings.push(strongest(of(TaskIdSource::platform().or(TaskIdSource::hashed()))));
            findings.extend(arguments.fleet.map(|tasks| odds(pool, tasks)));
        }
        Err(error) => {
            let finding = Finding::fault("task id", error);
            findings.push(finding.advise("set a number of the pool, or none"));
        }
    }
    findings
}

/// The id that a client has with these settings.
fn claim(builder: ClientBuilder) -> Result<TaskId, String> {
    let capture = tasktag::testing::Capture::new();
    let guard = builder.capture(&capture).build().map_err(|error| error.to_string())?;
    Ok(guard.client().task_id())
}

/// What the environment could tell without a lease.
fn strongest(found: Result<TaskId, String>) -> Finding {
    match found {
        Ok(id) if id.source() == TaskIdSourceKind::Platform => {
            let text = format!("the platform numbers its tasks: {} with TaskIdSource::platform()", id.tag());
            Finding::ok("task id", text)
        }
        Ok(id) => {
            let text = format!(
                "the platform gives no number; by the task's name it is {} with TaskIdSource::hashed()",
                id.tag()
            );
            Finding::ok("task id", text)
        }
        Err(error) => Finding::ok("task id", format!("the platform gives neither number nor name: {error}")),
    }
}

fn odds(pool: TaskIdPool, tasks: u32) -> Finding {
    let (odds, sharing) = (pool.collision_probability(tasks), pool.expected_sharing(tasks));
    let text = format!(
        "of {tasks} tasks with random ids of {} buckets, two share one with {:.1} %, and {sharing:.1} share on average",
        pool.size(),
        odds * 100.0
    );
    if odds > RISKY {
        Finding::warning("fleet", text).advise("use the platform's number or a lease: see TaskIdSource")
    } else {
        Finding::ok("fleet", text)
    }
}

/// What the line says of the container.
fn origin(settings: &Settings, line: &str) -> Finding {
    let Some(metric) = settings.metric() else {
        return Finding::ok("origin", format!("this dialect has none; a line is {line}"));
    };
    let origin = &metric.origin;
    let parts = [
        ("container", &origin.container_id),
        ("external data", &origin.external_data),
        ("cardinality", &origin.cardinality),
    ];
    let known =
        parts.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} {value}")));
    let known: Vec<_> = known.collect();
    let whose = if settings.is_of_this_process() { "this process" } else { "that process" };
    if known.is_empty() {
        let text = format!(
            "no container is found for {whose}: an Agent adds only what it knows by the socket. A line is {line}"
        );
        Finding::ok("origin", text)
    } else {
        Finding::ok("origin", format!("{}: an Agent adds the tags of it. A line is {line}", known.join(", ")))
    }
}
