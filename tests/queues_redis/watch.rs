//! A watch of a queue reports what the server says, and whatever the server does costs that queue alone.

use crate::server::Redis;
use crate::support::{builder, wait_until};
use crate::watched::answer;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;
use tasktag::integrations::redis::RedisQueue;
use tasktag::testing::Capture;
use tasktag::{Guard, Promise, QueueStatus, TaskIdSource, Watch};

/// A client whose packets are captured, and that collects whenever it is flushed.
struct Reporter {
    guard: Guard,
    capture: Capture,
}

impl Reporter {
    fn new() -> Self {
        let capture = Capture::new();
        let guard = builder().capture(&capture).telemetry(false).build().unwrap();
        Self { guard, capture }
    }

    /// What is reported now: the value by name, without peaks.
    fn reported(&self) -> BTreeMap<String, f64> {
        self.guard.client().flush(Duration::from_secs(60)).unwrap();
        let metrics = self.capture.take_metrics().unwrap();
        let levels = metrics.iter().filter(|metric| !metric.name.contains(".max"));
        levels.map(|metric| (metric.name.clone(), metric.value.number().unwrap())).collect()
    }

    /// Flushes until something is reported, or is not.
    fn until(&self, is_there: impl Fn(&BTreeMap<String, f64>) -> bool) {
        wait_until(|| {
            thread::sleep(Duration::from_millis(5));
            is_there(&self.reported())
        });
    }

    fn watch(&self, url: &str, queue: impl Into<RedisQueue>) -> Watch {
        self.guard.client().watch_redis_queue(url, queue).unwrap()
    }
}

fn is(depth: f64) -> impl Fn(&BTreeMap<String, f64>) -> bool {
    move |reported| reported.get("queue.depth") == Some(&depth)
}

fn is_absent(reported: &BTreeMap<String, f64>) -> bool {
    !reported.contains_key("queue.depth")
}

fn push(redis: &Redis, item: &str) {
    let () = redis.call(&["LPUSH", "exports", item]);
}

#[test]
fn a_queue_is_reported_by_its_name_with_what_becomes_of_it() {
    let Some(redis) = Redis::start() else { return };
    for url in [redis.port_url(), redis.socket_url()] {
        let reporter = Reporter::new();
        let _watch = reporter.watch(&url, RedisQueue::list("exports"));
        reporter.until(is(0.0));
        push(&redis, "12");
        reporter.until(is(1.0));
        let () = redis.call(&["DEL", "exports"]);
        reporter.until(is(0.0));
        reporter.guard.client().flush(Duration::from_secs(60)).unwrap();
        let metrics = reporter.capture.take_metrics().unwrap();
        assert!(metrics.iter().all(|metric| metric.tag("queue") == Some("exports")), "{metrics:?}");
    }
}

#[test]
fn a_queue_has_a_promise_and_one_reporter_without_a_task_id() {
    let Some(redis) = Redis::start() else { return };
    let queue = || RedisQueue::list("exports").time_in_json("at");
    let reporters = [Reporter::new(), Reporter::new()];
    let soles = reporters.each_ref().map(|reporter| {
        let source = TaskIdSource::leased_in_redis(redis.port_url(), "shop:exports");
        reporter.guard.client().sole_reporter(source).unwrap()
    });
    let promise = Promise::within(Duration::from_secs(50));
    let _watches = [0, 1].map(|i: usize| {
        let watch = reporters[i].guard.client().queue("exports").by(&soles[i]).promise(promise);
        watch.watch_redis(&redis.port_url(), queue()).unwrap()
    });
    let [seconds, _]: [u64; 2] = redis.call::<Vec<u64>>(&["TIME"]).try_into().unwrap();
    push(&redis, &format!(r#"{{"at":{}}}"#, seconds - 100));
    reporters[0].until(is(1.0));
    let used = reporters[0].reported()["queue.promise_used"];
    assert!((2.0..4.0).contains(&used), "{used}");
    assert_eq!(reporters[0].reported()["queue.promise_seconds"], 50.0);
    reporters[0].guard.client().flush(Duration::from_secs(60)).unwrap();
    let metrics = reporters[0].capture.take_metrics().unwrap();
    assert!(
        !metrics.is_empty() && metrics.iter().all(|metric| metric.tag("task_id").is_none()),
        "{metrics:?}"
    );
    for _ in 0..5 {
        assert!(reporters[1].reported().is_empty());
    }
}

#[test]
fn a_server_that_hangs_costs_its_queue_alone() {
    let Some((hanging, sound)) = Redis::start().zip(Redis::start()) else { return };
    let reporter = Reporter::new();
    let client = reporter.guard.client();
    let _watches = [
        reporter.watch(&hanging.port_url(), RedisQueue::list("exports")),
        client
            .queue("sound")
            .prefix("sound")
            .watch_redis(&sound.port_url(), RedisQueue::list("exports"))
            .unwrap(),
        client.queue("own").prefix("own").watch(|| QueueStatus::new().depth(7)),
    ];
    reporter.until(|found| is(0.0)(found) && found.get("sound.depth") == Some(&0.0));
    hanging.signal("STOP");
    let mut unanswered = 0.0;
    let (mut lengths, mut looks, mut sound_looks) = (0, 0, 0);
    wait_until(|| {
        // The others are asked all the time, and none of them waits.
        push(&sound, "12");
        lengths += 1;
        thread::sleep(Duration::from_millis(5));
        let found = reporter.reported();
        assert_eq!(found["own.depth"], 7.0);
        looks += 1;
        sound_looks += u32::from(found.contains_key("sound.depth"));
        unanswered += found.get("queue.unanswered").copied().unwrap_or_default();
        is_absent(&found) && unanswered >= 1.0
    });
    // A busy machine may be too late for one answer.
    assert!(sound_looks * 4 >= looks * 3, "{sound_looks} of {looks}");
    assert_eq!(client.stats().probes_late, 0);
    hanging.signal("CONT");
    reporter.until(|found| is(0.0)(found) && found.get("sound.depth") == Some(&f64::from(lengths)));
}

#[test]
fn a_server_that_was_away_is_asked_again() {
    let Some(mut redis) = Redis::start() else { return };
    let reporter = Reporter::new();
    let _watch = reporter.watch(&redis.port_url(), RedisQueue::list("exports"));
    push(&redis, "12");
    reporter.until(is(1.0));
    redis.restart();
    reporter.until(is(0.0));
}

#[test]
fn a_moment_ahead_of_the_servers_clock_is_an_age_of_0_and_counted() {
    let Some(redis) = Redis::start() else { return };
    let reporter = Reporter::new();
    let _watch = reporter.watch(&redis.port_url(), RedisQueue::list("exports").time_in_json("at"));
    push(&redis, r#"{"at":99999999999}"#);
    reporter.until(|found| {
        found.get("queue.oldest_age_seconds") == Some(&0.0) && found.get("queue.clamped_ages") >= Some(&1.0)
    });
    let () = redis.call(&["DEL", "exports"]);
    reporter.until(is(0.0));
    assert!(!reporter.reported().contains_key("queue.clamped_ages"));
}

#[test]
fn a_key_of_another_type_is_no_answer_and_asking_says_why() {
    let Some(redis) = Redis::start() else { return };
    let () = redis.call(&["SET", "exports", "12"]);
    let reporter = Reporter::new();
    let _watch = reporter.watch(&redis.port_url(), RedisQueue::list("exports"));
    reporter.until(|found| is_absent(found) && found.get("queue.unanswered") >= Some(&1.0));
    wait_until(|| {
        let refused = RedisQueue::from(RedisQueue::list("exports")).ask(&redis.port_url()).unwrap_err();
        refused.to_string().contains("WRONGTYPE")
    });
    let () = redis.call(&["DEL", "exports"]);
    reporter.until(is(0.0));
}

#[test]
fn a_watch_tells_each_answer_and_why_there_was_none() {
    let Some(redis) = Redis::start() else { return };
    let () = redis.call(&["SET", "exports", "12"]);
    let reporter = Reporter::new();
    let (sender, told) = mpsc::channel();
    let tell = move |ended: io::Result<QueueStatus>| {
        sender.send(ended.map_err(|reason| reason.to_string())).unwrap();
        panic!("it is caught");
    };
    let watch = reporter.guard.client().queue("exports");
    let _watch =
        watch.watch_redis_with_listener(&redis.port_url(), RedisQueue::list("exports"), tell).unwrap();
    reporter.until(|found| is_absent(found) && found.get("queue.unanswered") >= Some(&1.0));
    wait_until(|| told.recv().unwrap().is_err_and(|refused| refused.contains("WRONGTYPE")));
    let () = redis.call(&["DEL", "exports"]);
    reporter.until(is(0.0));
    let answered = told.iter().find_map(Result::ok).unwrap();
    assert_eq!(answered, QueueStatus::new().depth(0).oldest_age(Duration::ZERO));
}

#[test]
fn a_listener_that_takes_long_is_no_missing_answer() {
    let Some(redis) = Redis::start() else { return };
    let reporter = Reporter::new();
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let tell = move |_| {
        let _ = held.lock().unwrap().recv();
    };
    let watch = reporter.guard.client().queue("exports");
    let _watch =
        watch.watch_redis_with_listener(&redis.port_url(), RedisQueue::list("exports"), tell).unwrap();
    reporter.until(is(0.0));
    // Longer than an answer may take. A busy machine may be too late for one.
    let answers = (0..25).filter(|_| {
        thread::sleep(Duration::from_millis(100));
        let found = reporter.reported();
        is(0.0)(&found) && !found.contains_key("queue.unanswered")
    });
    let answers = answers.count();
    assert!(answers >= 22, "{answers} of 25");
    drop(release);
    push(&redis, "12");
    reporter.until(is(1.0));
}

#[test]
fn a_user_who_may_read_and_have_scripts_run_may_ask() {
    let Some(redis) = Redis::start() else { return };
    let rules = ["ACL", "SETUSER", "asker", "on", ">s3cr3t", "~*", "+@read", "+eval", "+time", "+select"];
    let () = redis.call(&rules);
    let url = format!("redis://asker:s3cr3t@127.0.0.1:{}/1", redis.port());
    let queues = [
        RedisQueue::apalis("default"),
        RedisQueue::arq("arq:queue"),
        RedisQueue::bullmq("mail"),
        RedisQueue::celery("celery"),
        RedisQueue::dramatiq("default"),
        RedisQueue::list("exports").into(),
        RedisQueue::rq("default"),
        RedisQueue::sidekiq("default"),
    ];
    for queue in queues {
        assert_eq!(answer(&queue, &url, || ()).depth, Some(0), "{queue:?}");
    }
    assert_eq!(answer(&RedisQueue::stream("orders", "billing"), &url, || ()), QueueStatus::new());
}

#[test]
fn a_url_that_is_none_is_an_error_without_its_password() {
    let reporter = Reporter::new();
    let client = reporter.guard.client();
    let refused =
        client.watch_redis_queue("http://shop:s3cr3t@cache", RedisQueue::sidekiq("default")).unwrap_err();
    assert!(refused.to_string().contains("http://***@cache"), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("s3cr3t"), "{refused}");
}

#[test]
fn a_replica_is_asked_like_any_other() {
    let Some((primary, replica)) = Redis::start().zip(Redis::start()) else { return };
    let () = replica.call(&["CONFIG", "SET", "masterauth", crate::server::PASSWORD]);
    let () = replica.call(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    push(&primary, "12");
    wait_until(|| replica.call::<u64>(&["LLEN", "exports"]) == 1);
    let reporter = Reporter::new();
    let _watch = reporter.watch(&replica.port_url(), RedisQueue::list("exports"));
    reporter.until(is(1.0));
    // As a server that was told to refuse what it can't replicate.
    let () = primary.call(&["CONFIG", "SET", "min-replicas-to-write", "5"]);
    assert_eq!(answer(&RedisQueue::list("exports").into(), &primary.port_url(), || ()).depth, Some(1));
}

#[test]
#[cfg(target_os = "linux")]
fn a_watch_has_a_thread_from_its_first_question_to_its_end() {
    let Some(redis) = Redis::start() else { return };
    let own = |status: &std::fs::DirEntry| {
        std::fs::read_to_string(status.path().join("comm")).is_ok_and(|name| name == "tasktag-queue\n")
    };
    let of_this_client = || {
        let listed: String = redis.call(&["CLIENT", "LIST"]);
        listed.lines().filter(|line| line.contains("cmd=eval")).count()
    };
    let reporter = Reporter::new();
    let watch = reporter.watch(&redis.port_url(), RedisQueue::list("exports"));
    assert_eq!(of_this_client(), 0);
    reporter.until(is(0.0));
    assert_eq!(of_this_client(), 1);
    assert!(std::fs::read_dir("/proc/self/task").unwrap().flatten().any(|task| own(&task)));
    drop(watch);
    reporter.until(is_absent);
    wait_until(|| of_this_client() == 0);
}
