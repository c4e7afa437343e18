//! apalis-redis. Its keys are written as the scripts of version 1.0.0 do: the crate itself takes long to build, and
//! writes jobs in `tests/drivers`.

use crate::watched::{Span, Watched};
use std::time::Duration;
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;

const SECOND: Duration = Duration::from_secs(1);

fn start() -> Option<Watched> {
    Watched::new(RedisQueue::apalis("default"))
}

/// How many are ready, claimed, scheduled and dead. Retries are among the scheduled.
fn levels([depth, running, scheduled, dead]: [u64; 4]) -> QueueStatus {
    QueueStatus::new().depth(depth).running(running).scheduled(scheduled).dead(dead)
}

/// A job's id: its time in ms, and what tells it from others.
fn ulid(ms: u64, number: u32) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digits = (0..10).rev().map(|place| DIGITS[(ms >> (5 * place) & 31) as usize] as char);
    digits.chain(format!("{number:016}").chars()).collect()
}

impl Watched {
    fn push(&self, number: u32, delay: u64) -> String {
        let id = ulid(self.now_micros() / 1000, number);
        let due = (self.now_micros() / 1_000_000 + delay).to_string();
        let () = self.call(&["HSET", "default:data", &id, "{}"]);
        let () = self.call(&["ZADD", "default:scheduled", &due, &id]);
        id
    }

    /// What a worker's poll does with jobs that are due.
    fn claim(&self, worker: &str, ids: &[&str]) {
        let () = self.call(&["ZADD", "default:workers", &self.now().to_string(), worker]);
        for id in ids {
            let () = self.call(&["ZREM", "default:scheduled", id]);
            let () = self.call(&["SADD", &format!("default:inflight:{worker}"), id]);
        }
    }
}

#[test]
fn each_step_of_a_job_of_apalis_is_in_its_number() {
    let Some(watched) = start() else { return };
    watched.expect(levels([0, 0, 0, 0]));
    let mut ids = Vec::new();
    let first = Span::of(|| ids.push(watched.push(1, 0))).cut_to(SECOND);
    ids.extend([watched.push(2, 0), watched.push(3, 600)]);
    watched.expect(levels([2, 0, 1, 0]));
    watched.expect_oldest(first);

    watched.claim("worker-1", &[&ids[0], &ids[1]]);
    watched.expect(levels([0, 2, 1, 0]));
    // One fails and is to be tried again, and one fails for good.
    let later = (watched.now_micros() / 1_000_000 + 60).to_string();
    let () = watched.call(&["SMOVE", "default:inflight:worker-1", "default:dead", &ids[0]]);
    let () = watched.call(&["SREM", "default:inflight:worker-1", &ids[1]]);
    let () = watched.call(&["ZADD", "default:scheduled", &later, &ids[1]]);
    watched.expect(levels([0, 0, 2, 1]));

    // What a worker had that crashed is its own until others find it missing. Then it is in the list.
    let mut lost = String::new();
    let pushed = Span::of(|| lost = watched.push(4, 0));
    watched.claim("worker-1", &[&lost]);
    watched.expect(levels([0, 1, 2, 1]));
    let () = watched.call(&["DEL", "default:inflight:worker-1"]);
    let () = watched.call(&["ZREM", "default:workers", "worker-1"]);
    let () = watched.call(&["RPUSH", "default:active", &lost]);
    watched.expect(levels([1, 0, 2, 1]));
    watched.expect_oldest(pushed);
}

#[test]
fn apalis_redis_llen_active() {
    let Some(watched) = start() else { return };
    watched.push(1, 0);
    assert_eq!(watched.call::<u64>(&["LLEN", "default:active"]), 0);
    watched.expect(levels([1, 0, 0, 0]));
}
