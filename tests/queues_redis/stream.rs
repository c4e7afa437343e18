//! Streams with a group of consumers.

use crate::watched::{Span, Watched, answer};
use std::time::Duration;
use tasktag::QueueStatus;
use tasktag::integrations::redis::RedisQueue;

fn start() -> Option<Watched> {
    Watched::new(RedisQueue::stream("orders", "billing"))
}

/// How many were not read, and how many were read and not acknowledged.
fn levels([depth, running]: [u64; 2]) -> QueueStatus {
    QueueStatus::new().depth(depth).running(running)
}

impl Watched {
    fn add(&self) -> String {
        self.call(&["XADD", "orders", "*", "order", "12"])
    }

    fn group_from(&self, id: &str) {
        let () = self.call(&["XGROUP", "CREATE", "orders", "billing", id, "MKSTREAM"]);
    }

    fn read(&self, count: u64) {
        let count = count.to_string();
        let words = ["XREADGROUP", "GROUP", "billing", "one", "COUNT", &count, "STREAMS", "orders", ">"];
        let _: redis::Value = self.call(&words);
    }

    fn lag(&self) -> Option<u64> {
        let groups: Vec<std::collections::HashMap<String, redis::Value>> =
            self.call(&["XINFO", "GROUPS", "orders"]);
        redis::from_redis_value(groups[0]["lag"].clone()).unwrap()
    }
}

#[test]
fn each_step_of_an_entry_is_in_its_number() {
    let Some(watched) = start() else { return };
    watched.expect(QueueStatus::new());
    watched.group_from("0");
    watched.expect(levels([0, 0]));
    assert_eq!(watched.status().oldest_age, Some(Duration::ZERO));
    let mut ids = Vec::new();
    Span::of(|| ids.push(watched.add()));
    let second = Span::of(|| ids.push(watched.add()));
    watched.add();
    watched.expect(levels([3, 0]));
    watched.read(1);
    watched.expect(levels([2, 1]));
    watched.expect_oldest(second);
    let () = watched.call(&["XACK", "orders", "billing", &ids[0]]);
    watched.expect(levels([2, 0]));
    let other = RedisQueue::stream("orders", "shipping");
    assert_eq!(answer(&other, &watched.url(), || ()), QueueStatus::new());
}

#[test]
fn xinfo_groups_lag_after_trimming() {
    let Some(watched) = start() else { return };
    watched.group_from("0");
    (0..8).for_each(|_| drop(watched.add()));
    watched.read(2);
    let () = watched.call(&["XTRIM", "orders", "MAXLEN", "3"]);
    watched.expect(levels([3, 2]));
    watched.read(1);
    watched.expect(levels([2, 3]));
    watched.read(2);
    // What a server says depends on its version.
    println!("the lag of a stream that was trimmed and read to its end: {:?}", watched.lag());
    watched.expect(levels([0, 5]));
    assert_eq!(watched.status().oldest_age, Some(Duration::ZERO));
    let last = Span::of(|| drop(watched.add()));
    watched.expect(levels([1, 5]));
    watched.expect_oldest(last);
}

#[test]
fn xinfo_groups_lag_after_xdel() {
    let Some(watched) = start() else { return };
    watched.group_from("0");
    let ids: Vec<_> = (0..60).map(|_| watched.add()).collect();
    let () = watched.call(&["XDEL", "orders", &ids[3]]);
    assert_eq!(watched.lag(), None);
    watched.expect(levels([59, 0]));
    watched.read(59);
    let () = watched.call(&["XDEL", "orders", &ids[59]]);
    watched.expect(levels([0, 59]));
}

#[test]
fn a_group_that_began_at_the_end_knows_what_came_since() {
    let Some(watched) = start() else { return };
    (0..5).for_each(|_| drop(watched.add()));
    watched.group_from("$");
    watched.expect(levels([0, 0]));
    (0..50).for_each(|_| drop(watched.add()));
    assert_eq!(watched.lag(), None);
    watched.expect(levels([50, 0]));
}
