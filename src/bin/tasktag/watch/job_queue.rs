//! A queue of a job system, in Redis or in `PostgreSQL`.

use super::mistake::Mistake;
use super::section::Section;
use crate::nearest::nearest;
use tasktag::SqlQueue;
use tasktag::integrations::redis::RedisQueue;

/// Where a queue is, and how to ask for it.
#[derive(Clone, Debug)]
pub(super) enum JobQueue {
    InRedis(RedisQueue),
    InPostgres(SqlQueue),
}

/// The systems whose queues have a name and no more, by where they keep them.
const IN_REDIS: [(&str, fn(&str) -> RedisQueue); 7] = [
    ("apalis-redis", RedisQueue::apalis),
    ("arq", RedisQueue::arq),
    ("bullmq", RedisQueue::bullmq),
    ("celery", RedisQueue::celery),
    ("dramatiq", RedisQueue::dramatiq),
    ("rq", RedisQueue::rq),
    ("sidekiq", RedisQueue::sidekiq),
];
const IN_POSTGRES: [(&str, fn(&str) -> SqlQueue); 8] = [
    ("apalis-postgres", SqlQueue::apalis_postgres),
    ("good_job", SqlQueue::good_job),
    ("oban", SqlQueue::oban),
    ("pg-boss", SqlQueue::pg_boss),
    ("procrastinate", SqlQueue::procrastinate),
    ("que", SqlQueue::que),
    ("river", SqlQueue::river),
    ("solid_queue", SqlQueue::solid_queue),
];
const LIST: &str = "redis-list";
const STREAM: &str = "redis-stream";
const DELAYED_JOB: &str = "delayed_job";
const GRAPHILE_WORKER: &str = "graphile-worker";

fn systems() -> Vec<&'static str> {
    let named = IN_REDIS.iter().map(|(system, _)| *system);
    let named = named.chain(IN_POSTGRES.iter().map(|(system, _)| *system));
    let mut systems: Vec<_> = named.chain([LIST, STREAM, DELAYED_JOB, GRAPHILE_WORKER]).collect();
    systems.sort_unstable();
    systems
}

/// Takes the system, the queue and what else the system wants to know, and returns the queue with its own name.
pub(super) fn take(section: &mut Section<'_>) -> Result<(JobQueue, String), Mistake> {
    let system = section.required("system", &format!("one of {}", systems().join(", ")))?;
    let of = |systems: &[&'static str]| systems.iter().copied().find(|name| *name == system.value);
    if let Some((_, make)) = IN_REDIS.iter().find(|(name, _)| *name == system.value) {
        let name = required(section, &system.value)?;
        return Ok((in_redis(section, make(&name))?, name));
    }
    if let Some((_, make)) = IN_POSTGRES.iter().find(|(name, _)| *name == system.value) {
        let name = required(section, &system.value)?;
        return Ok((in_postgres(section, make(&name))?, name));
    }
    match of(&[LIST, STREAM, DELAYED_JOB, GRAPHILE_WORKER]) {
        Some(LIST) => list(section),
        Some(STREAM) => stream(section),
        Some(DELAYED_JOB) => {
            let name = section.text("queue")?.map(|queue| queue.value);
            let queue = in_postgres(section, SqlQueue::delayed_job(name.as_deref()))?;
            Ok((queue, name.unwrap_or(system.value)))
        }
        Some(_) => {
            section.refuse(
                "queue",
                "the jobs of graphile-worker are asked for together: leave it out, as for no other system",
            )?;
            Ok((in_postgres(section, SqlQueue::graphile_worker())?, system.value))
        }
        None => {
            let meant = nearest(systems(), &system.value).unwrap_or_default();
            let known = systems().join(", ");
            Err(system.wrong(format!("there is no such system, did you mean `{meant}`? There are: {known}")))
        }
    }
}

fn required(section: &mut Section<'_>, system: &str) -> Result<String, Mistake> {
    let what = format!(
        "the name of the queue, as {system} has it; only graphile-worker takes none, and delayed_job may"
    );
    Ok(section.required("queue", &what)?.value)
}

fn in_redis(section: &mut Section<'_>, queue: RedisQueue) -> Result<JobQueue, Mistake> {
    let prefix = section.text("key_prefix")?;
    let queue = prefix.iter().fold(queue, |queue, prefix| queue.key_prefix(&prefix.value));
    for key in ["schema", "scans"] {
        section.refuse(key, "it is for queues in PostgreSQL, and this one is in Redis")?;
    }
    Ok(JobQueue::InRedis(queue))
}

fn in_postgres(section: &mut Section<'_>, queue: SqlQueue) -> Result<JobQueue, Mistake> {
    let schema = section.text("schema")?;
    let queue = schema.iter().fold(queue, |queue, schema| queue.schema(&schema.value));
    let queue = if section.flag("scans")? { queue.with_scans() } else { queue };
    section.refuse("key_prefix", "it is for queues in Redis, and this one is in PostgreSQL")?;
    Ok(JobQueue::InPostgres(queue))
}

fn stream(section: &mut Section<'_>) -> Result<(JobQueue, String), Mistake> {
    let key = section.required("queue", "the key of the stream")?.value;
    let group = section.required("group", "the group that reads the stream")?.value;
    Ok((in_redis(section, RedisQueue::stream(&key, &group))?, key))
}

fn list(section: &mut Section<'_>) -> Result<(JobQueue, String), Mistake> {
    let key = section.required("queue", "the key of the list")?.value;
    let list = RedisQueue::list(&key);
    let list = if section.flag("taken_from_left")? { list.taken_from_left() } else { list };
    let in_json = section.text("time_in_json")?;
    let list = match (
        &in_json,
        section.section("time_in_hash", "time_in_hash = { prefix = \"…\", field = \"…\" }")?,
    ) {
        (Some(path), None) => list.time_in_json(&path.value),
        (None, None) => list,
        (None, Some(mut hash)) => {
            let prefix = hash.required("prefix", "what the keys of the hashes begin with")?;
            let field = hash.required("field", "the field that has the time")?;
            hash.end()?;
            list.time_in_hash(&prefix.value, &field.value)
        }
        (Some(path), Some(_)) => return Err(path.wrong("there is `time_in_hash` too: leave one of them out")),
    };
    Ok((in_redis(section, list.into())?, key))
}
