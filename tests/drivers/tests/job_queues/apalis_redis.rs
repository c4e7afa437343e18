//! apalis with its storage in Redis.

use crate::support::{PATIENCE, wait_until};
use crate::watched::{Span, Watched};
use crate::worker::{Worker, runtime, told};
use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};
use redis::aio::ConnectionManagerConfig;
use std::time::Duration;
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;
use tokio::runtime::Runtime;

const WORKER: &str = "apalis_redis::child_works_jobs";
const SECOND: Duration = Duration::from_secs(1);
/// How often a job is tried, whatever it says of itself.
const TRIES: usize = 25;

async fn storage(url: &str) -> RedisStorage<String> {
    // A worker that found nothing looks again at its next heartbeat.
    let config = Config::default().heartbeat_interval(SECOND).missed_heartbeats(2);
    // By default an answer has half a second, for which a busy machine may be too late.
    let patient = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let client = redis::Client::open(url).unwrap();
    let connection = client.get_connection_manager_with_config(patient).await.unwrap();
    RedisStorage::new(connection).with_config(config)
}

async fn work(job: String, worker: WorkerContext) -> Result<(), BoxDynError> {
    match job.as_str() {
        "fails" => return Err("it fails".into()),
        "hangs" => std::future::pending().await,
        "pauses" => worker.pause()?,
        _ => {}
    }
    Ok(())
}

#[test]
fn child_works_jobs() {
    let Some((name, store)) = told() else { return };
    runtime().block_on(async {
        let storage = storage(&store).await;
        WorkerBuilder::new(name.as_str())
            .backend(storage)
            .parallelize(tokio::spawn)
            .build(work)
            .run()
            .await
            .unwrap();
    });
}

/// A queue, and what writes jobs into it.
struct Jobs {
    watched: Watched,
    storage: RedisStorage<String>,
    runtime: Runtime,
}

impl Jobs {
    fn new() -> Option<Self> {
        let watched = Watched::new(RedisQueue::apalis("default"))?;
        let runtime = runtime();
        let storage = runtime.block_on(storage(&watched.url()));
        Some(Self { watched, storage, runtime })
    }

    fn push(&mut self, job: &str) {
        self.push_task(TaskBuilder::new(job.to_owned()));
    }

    fn push_task(&mut self, task: TaskBuilder<String>) {
        self.runtime.block_on(self.storage.push_task(task.build())).unwrap();
    }

    /// A job that fails after so many tries.
    fn push_tried(&mut self, tries: usize) {
        self.push_task(TaskBuilder::new("fails".to_owned()).attempt(tries));
    }

    fn claimed(&self, worker: &str) -> u64 {
        self.watched.call(&["SCARD", &format!("default:inflight:{worker}")])
    }

    /// Checks how many are ready, claimed, scheduled and dead. Retries are among the scheduled.
    #[track_caller]
    fn expect(&self, [depth, running, scheduled, dead]: [u64; 4]) {
        let levels = QueueStatus::new().depth(depth).running(running);
        self.watched.expect(levels.scheduled(scheduled).dead(dead));
    }

    fn start(&self, worker: &str) -> Worker {
        Worker::start(WORKER, worker, &self.watched.url())
    }
}

#[test]
fn each_step_of_a_job_of_apalis_redis_is_in_its_number() {
    let Some(mut jobs) = Jobs::new() else { return };
    jobs.expect([0, 0, 0, 0]);
    let first = Span::of(|| jobs.push("hangs")).cut_to(SECOND);
    jobs.push_task(TaskBuilder::new("plain".to_owned()).run_after(600 * SECOND));
    jobs.expect([1, 0, 1, 0]);
    jobs.watched.expect_oldest(first);
    let worker = jobs.start("worker-1");
    jobs.expect([0, 1, 1, 0]);

    drop(worker);
    // What it had is its own until another finds it missing, and takes it over.
    jobs.expect([0, 1, 1, 0]);
    let _worker = jobs.start("worker-2");
    wait_until(|| jobs.claimed("worker-2") == 1);
    assert_eq!(jobs.claimed("worker-1"), 0);
    jobs.expect([0, 1, 1, 0]);

    // The one is tried again after as many seconds as it was tried, and the other never.
    jobs.push_tried(TRIES - 2);
    jobs.push_tried(TRIES - 1);
    jobs.expect([0, 1, 2, 1]);
}

#[test]
fn the_jobs_of_a_paused_worker_of_apalis_redis_wait() {
    let Some(mut jobs) = Jobs::new() else { return };
    let _worker = jobs.start("worker-1");
    jobs.push("pauses");
    jobs.expect([0, 0, 0, 0]);
    let waiting = Span::of(|| jobs.push("plain")).cut_to(SECOND);
    // It would have looked twice.
    std::thread::sleep(2 * SECOND);
    jobs.expect([1, 0, 0, 0]);
    jobs.watched.expect_oldest(waiting);
}
