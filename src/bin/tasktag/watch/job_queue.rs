//! A queue of a job system, in Redis or in `PostgreSQL`.

use super::mistake::Mistake;
use super::section::Section;
use crate::nearest::nearest;
use tasktag::SqlQueue;
use tasktag::integrations::redis::{RedisList, RedisQueue};

/// Where a queue is, and how to ask for it.
#[derive(Clone, Debug)]
pub(super) enum JobQueue {
    InRedis(RedisQueue),
    InPostgres(SqlQueue),
}

/// A system, and how the queue with a name is asked for.
type System<Q> = (&'static str, fn(&str) -> Q);

/// The systems whose queues have a name and no more, by where they keep them.
const IN_REDIS: [System<RedisQueue>; 7] = [
    ("apalis-redis", RedisQueue::apalis),
    ("arq", RedisQueue::arq),
    ("bullmq", RedisQueue::bullmq),
    ("celery", RedisQueue::celery),
    ("dramatiq", RedisQueue::dramatiq),
    ("rq", RedisQueue::rq),
    ("sidekiq", RedisQueue::sidekiq),
];
const IN_POSTGRES: [System<SqlQueue>; 8] = [
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
    match system.value.as_str() {
        LIST => list(section),
        STREAM => stream(section),
        DELAYED_JOB => delayed_job(section),
        GRAPHILE_WORKER => graphile_worker(section),
        name => {
            if let Some((_, queue)) = IN_REDIS.iter().find(|(system, _)| *system == name) {
                let name = required_name(section, name)?;
                return Ok((in_redis(section, queue(&name))?, name));
            }
            if let Some((_, queue)) = IN_POSTGRES.iter().find(|(system, _)| *system == name) {
                let name = required_name(section, name)?;
                return Ok((in_postgres(section, queue(&name))?, name));
            }
            let meant = nearest(systems(), name).unwrap_or_default();
            let known = systems().join(", ");
            Err(system.wrong(format!("there is no such system, did you mean `{meant}`? There are: {known}")))
        }
    }
}

fn required_name(section: &mut Section<'_>, system: &str) -> Result<String, Mistake> {
    let what = format!(
        "the name of the queue, as {system} has it; only graphile-worker takes none, and delayed_job may"
    );
    Ok(section.required("queue", &what)?.value)
}

fn delayed_job(section: &mut Section<'_>) -> Result<(JobQueue, String), Mistake> {
    let name = section.text("queue")?.map(|queue| queue.value);
    let queue = in_postgres(section, SqlQueue::delayed_job(name.as_deref()))?;
    Ok((queue, name.unwrap_or_else(|| DELAYED_JOB.to_owned())))
}

fn graphile_worker(section: &mut Section<'_>) -> Result<(JobQueue, String), Mistake> {
    let why = "the jobs of graphile-worker are asked for together: leave it out, as for no other system";
    section.refuse("queue", why)?;
    Ok((in_postgres(section, SqlQueue::graphile_worker())?, GRAPHILE_WORKER.to_owned()))
}

fn in_redis(section: &mut Section<'_>, queue: RedisQueue) -> Result<JobQueue, Mistake> {
    let prefix = section.text("key_prefix")?;
    let queue = match prefix {
        Some(prefix) => queue.key_prefix(&prefix.value),
        None => queue,
    };
    for key in ["schema", "scans"] {
        section.refuse(key, "it is for queues in PostgreSQL, and this one is in Redis")?;
    }
    Ok(JobQueue::InRedis(queue))
}

fn in_postgres(section: &mut Section<'_>, queue: SqlQueue) -> Result<JobQueue, Mistake> {
    let schema = section.text("schema")?;
    let queue = match schema {
        Some(schema) => queue.schema(&schema.value),
        None => queue,
    };
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
    let in_hash = section.section("time_in_hash", "time_in_hash = { prefix = \"…\", field = \"…\" }")?;
    let list = match (in_json, in_hash) {
        (None, None) => list,
        (Some(path), None) => list.time_in_json(&path.value),
        (None, Some(hash)) => time_in_hash(hash, list)?,
        (Some(path), Some(_)) => return Err(path.wrong("there is `time_in_hash` too: leave one of them out")),
    };
    Ok((in_redis(section, list.into())?, key))
}

fn time_in_hash(mut hash: Section<'_>, list: RedisList) -> Result<RedisList, Mistake> {
    let prefix = hash.required("prefix", "what the keys of the hashes begin with")?;
    let field = hash.required("field", "the field that has the time")?;
    hash.end()?;
    Ok(list.time_in_hash(&prefix.value, &field.value))
}
