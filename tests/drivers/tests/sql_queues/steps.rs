//! The steps of a job, which are the same in each database.

use crate::support::PATIENCE;
use crate::worker::Worker;
use apalis::prelude::*;
use std::panic::Location;
use std::time::{Duration, Instant};
use tasktag::QueueStatus;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A queue, and what writes jobs into it.
pub(crate) trait Storage {
    async fn push(&mut self, job: TaskBuilder<String>);
    async fn status(&mut self) -> QueueStatus;
    fn start_worker(&self) -> Worker;
}

pub(crate) async fn work(job: String, worker: WorkerContext) -> Result<(), BoxDynError> {
    match job.as_str() {
        "fails" => return Err("it fails".into()),
        "hangs" => std::future::pending().await,
        "pauses" => worker.pause()?,
        _ => {}
    }
    Ok(())
}

fn job(name: &str) -> TaskBuilder<String> {
    TaskBuilder::new(name.to_owned())
}

/// Waits until so many jobs are ready, claimed, scheduled, retrying and dead.
#[track_caller]
fn expect(jobs: &mut impl Storage, expected: [u64; 5]) -> impl Future<Output = ()> {
    let (start, step) = (Instant::now(), Location::caller());
    async move {
        loop {
            let status = jobs.status().await;
            let seen = [status.depth, status.running, status.scheduled, status.retrying, status.dead];
            if seen == expected.map(Some) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{seen:?}, and never {expected:?}: {step}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Checks that the oldest job waits since it was pushed. Its time has whole seconds, and so has the store's.
async fn expect_age_since(jobs: &mut impl Storage, pushed: Instant) {
    let least = pushed.elapsed().saturating_sub(SECOND);
    let age = jobs.status().await.oldest_age.unwrap();
    assert!((least..=pushed.elapsed() + SECOND).contains(&age), "{age:?}");
}

pub(crate) async fn assert_steps(jobs: &mut impl Storage) {
    expect(jobs, [0, 0, 0, 0, 0]).await;
    let pushed = Instant::now();
    jobs.push(job("hangs")).await;
    jobs.push(job("plain").run_after(600 * SECOND)).await;
    expect(jobs, [1, 0, 1, 0, 0]).await;
    tokio::time::sleep(2 * SECOND).await;
    expect_age_since(jobs, pushed).await;

    let worker = jobs.start_worker();
    expect(jobs, [0, 1, 1, 0, 0]).await;
    // A job that failed is ready at once, until it has no try left.
    jobs.push(job("fails").max_attempts(2)).await;
    expect(jobs, [0, 1, 1, 0, 1]).await;
    drop(worker);
    // What it had is its own until another finds it missing.
    expect(jobs, [0, 1, 1, 0, 1]).await;
}

pub(crate) async fn assert_paused(jobs: &mut impl Storage) {
    let _worker = jobs.start_worker();
    jobs.push(job("pauses")).await;
    expect(jobs, [0, 0, 0, 0, 0]).await;
    // What it asked for before it was paused is answered by then.
    tokio::time::sleep(2 * SECOND).await;
    let pushed = Instant::now();
    jobs.push(job("plain")).await;
    // It would have looked twice.
    tokio::time::sleep(2 * SECOND).await;
    expect(jobs, [1, 0, 0, 0, 0]).await;
    expect_age_since(jobs, pushed).await;
}
