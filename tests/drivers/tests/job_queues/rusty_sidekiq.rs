//! rusty-sidekiq, which writes the keys of Sidekiq with times in floats of milliseconds.

use crate::watched::{Span, Watched};
use crate::worker::{Worker, runtime, told};
use sidekiq::{Processor, ProcessorConfig, RedisConnectionManager, RedisPool, Result};
use std::time::Duration;
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;
use tokio::runtime::Runtime;

const WORKER: &str = "rusty_sidekiq::child_works_jobs";
const DAY: Duration = Duration::from_secs(86_400);

struct Fails;
struct Hangs;

#[async_trait::async_trait]
impl sidekiq::Worker<()> for Fails {
    async fn perform(&self, (): ()) -> Result<()> {
        Err(sidekiq::Error::Message("it fails".to_owned()))
    }
}

#[async_trait::async_trait]
impl sidekiq::Worker<()> for Hangs {
    async fn perform(&self, (): ()) -> Result<()> {
        std::future::pending().await
    }
}

async fn pool(url: &str) -> RedisPool {
    let manager = RedisConnectionManager::new(url).unwrap();
    bb8_redis::bb8::Pool::builder().build(manager).await.unwrap()
}

#[test]
fn child_works_jobs() {
    let Some((_, store)) = told() else { return };
    runtime().block_on(async {
        let mut processor = Processor::new(pool(&store).await, vec!["default".to_owned()])
            .with_config(ProcessorConfig::default().num_workers(1));
        processor.register(Fails);
        processor.register(Hangs);
        processor.run().await;
    });
}

/// A queue, and what writes jobs into it.
struct Jobs {
    watched: Watched,
    pool: RedisPool,
    runtime: Runtime,
}

impl Jobs {
    fn new() -> Option<Self> {
        let watched = Watched::new(RedisQueue::sidekiq("default"))?;
        let runtime = runtime();
        let pool = runtime.block_on(pool(&watched.url()));
        Some(Self { watched, pool, runtime })
    }

    fn push(&self, class: &str, is_retried: bool) {
        let push = sidekiq::opts().retry(is_retried).perform_async(&self.pool, class.to_owned(), ());
        self.runtime.block_on(push).unwrap();
    }

    fn delay(&self, class: &str, delay: Duration) {
        let push = sidekiq::perform_in(&self.pool, delay, class.to_owned(), "default".to_owned(), ());
        self.runtime.block_on(push).unwrap();
    }

    /// Checks how many are ready, running, scheduled, retrying and dead.
    #[track_caller]
    fn expect(&self, [depth, running, scheduled, retrying, dead]: [u64; 5]) {
        let levels = QueueStatus::new().depth(depth).running(running);
        self.watched.expect(levels.scheduled(scheduled).retrying(retrying).dead(dead));
    }
}

#[test]
fn each_step_of_a_job_of_rusty_sidekiq_is_in_its_number() {
    let Some(jobs) = Jobs::new() else { return };
    jobs.expect([0, 0, 0, 0, 0]);
    let first = Span::of(|| jobs.push("Fails", false));
    jobs.push("Fails", true);
    jobs.delay("Fails", DAY);
    jobs.expect([2, 0, 1, 0, 0]);
    jobs.watched.expect_oldest(first);

    jobs.push("Hangs", true);
    let worker = Worker::start(WORKER, "worker-1", &jobs.watched.url());
    // A process says every 5 s how many it runs.
    jobs.expect([0, 1, 1, 1, 1]);
    // It would be tried again in a quarter of a minute, for which a busy machine may need longer.
    let retried: Vec<String> = jobs.watched.call(&["ZRANGE", "retry", "0", "0"]);
    let _: f64 = jobs.watched.call(&["ZINCRBY", "retry", "86400", &retried[0]]);
    let waiting = Span::of(|| jobs.push("Fails", true));
    jobs.expect([1, 1, 1, 1, 1]);
    jobs.watched.expect_oldest(waiting);
    drop(worker);
    // What it said is forgotten after a minute.
    jobs.expect([1, 1, 1, 1, 1]);
    let processes: Vec<String> = jobs.watched.call(&["SMEMBERS", "processes"]);
    let () = jobs.watched.call(&["DEL", &processes[0]]);
    jobs.expect([1, 0, 1, 1, 1]);
}

#[test]
fn a_due_job_of_rusty_sidekiq_is_as_old_as_its_second_says() {
    let Some(jobs) = Jobs::new() else { return };
    let delay = Duration::from_secs(1);
    let due = Span::of(|| jobs.delay("Fails", delay)).later(delay).cut_to(Duration::from_secs(1));
    jobs.expect([1, 0, 0, 0, 0]);
    jobs.watched.expect_oldest(due);
}
