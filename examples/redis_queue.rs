//! Queues in Redis: how long the oldest job waits, by one call for each queue.
//!
//! It needs a Redis server, and says so where there is none. It writes to two keys that begin with `tasktag:example`,
//! and removes them:
//!
//! ```sh
//! REDIS_URL=redis://localhost cargo run --example redis_queue --features redis,testing
//! ```

use std::error::Error;
use std::thread;
use std::time::Duration;
use tasktag::integrations::redis::RedisQueue;
use tasktag::testing::Capture;
use tasktag::{Client, Promise, TaskIdSource};

const JOBS: &str = "tasktag:example:jobs";
const REPORTER: &str = "tasktag:example:reporter";

fn main() -> Result<(), Box<dyn Error>> {
    let Ok(url) = std::env::var("REDIS_URL") else {
        println!("set REDIS_URL to a Redis server, for example redis://localhost");
        return Ok(());
    };
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).telemetry(false).build()?;
    let client = guard.client();

    // A program's own list, each of whose items says when it was enqueued.
    let mut connection = redis::Client::open(url.as_str())?.get_connection()?;
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(&mut connection)?;
    for (order, age) in [(12, 90), (13, 5)] {
        let job = format!(r#"{{"order":{order},"queued_at":{}.{micros:06}}}"#, seconds - age);
        let () = redis::cmd("LPUSH").arg(JOBS).arg(job).query(&mut connection)?;
    }
    let jobs = RedisQueue::list(JOBS).time_in_json("queued_at");

    // Of all tasks of the service, the one that has the lease asks the server.
    let sole = client.sole_reporter(TaskIdSource::leased_in_redis(&url, REPORTER))?;
    let promise = Promise::within(Duration::from_secs(60));
    let jobs_watch = client.queue("jobs").by(&sole).promise(promise).watch_redis(&url, jobs.clone())?;
    // Those of job systems have a call each, and are reported as far as the system can tell.
    let mail_watch = client.watch_redis_queue(&url, RedisQueue::sidekiq("mail"))?;

    thread::sleep(Duration::from_secs(1));
    client.flush(Duration::from_secs(5))?;
    capture.take_lines().iter().filter(|line| !line.contains(".max:")).for_each(|line| println!("{line}"));

    // What a watch can't say: why there is no answer.
    let status = RedisQueue::from(jobs).ask(&url)?;
    println!("{:?} jobs wait, the oldest for {:?}", status.depth, status.oldest_age);
    drop((jobs_watch, mail_watch, sole, guard));
    let () = redis::cmd("DEL").arg(JOBS).arg(REPORTER).query(&mut connection)?;
    Ok(())
}
