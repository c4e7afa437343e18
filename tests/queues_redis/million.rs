//! What asking costs does not depend on how much waits.

use crate::server::Redis;
use crate::watched::answer;
use std::collections::BTreeMap;
use tasktag::integrations::redis::RedisQueue;

const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;
/// A question may have a server look at so many jobs.
const MOST_COMMANDS: u64 = 700;

/// Fills a list, a sorted set, a hash and a stream. Each member of the sorted set is due.
const FILL: &str = r"
local from, until_ = tonumber(ARGV[1]), tonumber(ARGV[2])
for n = from, until_, 500 do
  local ids, scored, fields = {}, {}, {}
  for i = n, math.min(n + 499, until_) do
    ids[#ids + 1] = i
    scored[#scored + 1], scored[#scored + 2] = i, i
    fields[#fields + 1], fields[#fields + 2] = i, '{}'
    redis.call('XADD', 'filled:stream', '*', 'id', i)
  end
  redis.call('RPUSH', 'filled:list', unpack(ids))
  redis.call('ZADD', 'filled:zset', unpack(scored))
  redis.call('HSET', 'filled:hash', unpack(fields))
end
";

/// A queue, and the keys that are full of jobs with their types.
fn queues() -> Vec<(RedisQueue, Vec<(&'static str, &'static str)>)> {
    vec![
        (RedisQueue::sidekiq("default"), vec![("queue:default", "list"), ("schedule", "zset")]),
        (RedisQueue::sidekiq("default"), vec![("retry", "zset")]),
        (RedisQueue::bullmq("mail"), vec![("bull:mail:wait", "list"), ("bull:mail:prioritized", "zset")]),
        (RedisQueue::bullmq("mail"), vec![("bull:mail:delayed", "zset")]),
        (RedisQueue::rq("default"), vec![("rq:queue:default", "list"), ("rq:scheduled:default", "zset")]),
        (
            RedisQueue::dramatiq("default"),
            vec![("dramatiq:default", "list"), ("dramatiq:default.msgs", "hash")],
        ),
        (RedisQueue::arq("arq:queue"), vec![("arq:queue", "zset")]),
        (RedisQueue::celery("celery"), vec![("celery", "list")]),
        (RedisQueue::celery("celery"), vec![("unacked_index", "zset"), ("unacked", "hash")]),
        (RedisQueue::apalis("default"), vec![("default:active", "list"), ("default:scheduled", "zset")]),
        (RedisQueue::stream("orders", "billing"), vec![("orders", "stream")]),
        (RedisQueue::list("exports").time_in_json("at").into(), vec![("exports", "list")]),
    ]
}

fn fill(redis: &Redis, from: u64, until: u64) {
    for start in (from..=until).step_by(50_000) {
        let end = (start + 49_999).min(until);
        let () = redis.call(&["EVAL", FILL, "0", &start.to_string(), &end.to_string()]);
    }
}

/// The commands that the server has run since its statistics were reset, and the µs of the longest script.
fn cost(redis: &Redis) -> (BTreeMap<String, u64>, f64) {
    let info: String = redis.call(&["INFO", "commandstats"]);
    let mut calls = BTreeMap::new();
    let mut micros = 0.0;
    for line in info.lines().filter_map(|line| line.strip_prefix("cmdstat_")) {
        let (name, stats) = line.split_once(':').unwrap();
        let stat =
            |key: &str| stats.split(',').find_map(|stat| stat.strip_prefix(key)?.strip_prefix('=')).unwrap();
        if name == "eval" {
            micros = stat("usec_per_call").parse().unwrap();
        }
        if !["auth", "config|resetstat", "info", "hello", "client|setinfo"].contains(&name) {
            calls.insert(name.to_owned(), stat("calls").parse().unwrap());
        }
    }
    (calls, micros)
}

/// Asks while the keys are full of jobs.
fn ask(redis: &Redis, queue: &RedisQueue, keys: &[(&str, &str)]) -> (BTreeMap<String, u64>, f64, u64) {
    let rename = |from: &str, to: &str| {
        let () = redis.call(&["RENAME", from, to]);
    };
    for (key, kind) in keys {
        rename(&format!("filled:{kind}"), key);
    }
    let status = answer(queue, &redis.port_url(), || redis.call(&["CONFIG", "RESETSTAT"]));
    let (calls, micros) = cost(redis);
    for (key, kind) in keys {
        rename(key, &format!("filled:{kind}"));
    }
    (calls, micros, status.depth.unwrap())
}

#[test]
fn large_jobs_are_looked_into_in_part() {
    let Some(redis) = Redis::start() else { return };
    let task = |enqueued: f64| {
        format!(r#"{{"headers":{{"enqueued_at":{enqueued}}},"body":"{}"}}"#, "x".repeat(100_000))
    };
    let [now, _]: [f64; 2] = redis.call::<Vec<f64>>(&["TIME"]).try_into().unwrap();
    for age in [300.0, 200.0, 100.0] {
        let () = redis.call(&["LPUSH", "celery", &task(now - age)]);
    }
    let status = answer(&RedisQueue::celery("celery"), &redis.port_url(), || ());
    // The third is beyond the limit, so nobody knows whether it is scheduled.
    assert_eq!((status.depth, status.scheduled), (Some(3), None));
    assert!(status.oldest_age.is_some_and(|age| (300..360).contains(&age.as_secs())), "{status:?}");
}

#[test]
fn a_million_jobs_cost_as_many_commands_as_a_thousand() {
    let Some(redis) = Redis::start() else { return };
    fill(&redis, 1, FEW);
    let () = redis.call(&["XGROUP", "CREATE", "filled:stream", "billing", "0"]);
    let few: Vec<_> = queues().iter().map(|(queue, keys)| ask(&redis, queue, keys)).collect();
    fill(&redis, FEW + 1, MANY);
    for ((queue, keys), (calls, micros, depth)) in queues().iter().zip(few) {
        let (calls_of_many, micros_of_many, depth_of_many) = ask(&redis, queue, keys);
        let total: u64 = calls_of_many.values().sum();
        println!(
            "{keys:?}: {total} commands, {micros} µs at {depth} jobs, {micros_of_many} µs at {depth_of_many}: {calls_of_many:?}"
        );
        assert_eq!(calls, calls_of_many, "{queue:?}");
        assert_eq!(calls_of_many["eval"], 1, "one question");
        assert!(total <= MOST_COMMANDS, "{queue:?}: {calls_of_many:?}");
    }
}
