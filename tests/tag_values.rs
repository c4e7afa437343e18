//! A tag's value is text, a condition or a closed tag, and the same text is the same tag whatever it was made of.

mod support;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use support::PATIENCE;
use tasktag::testing::Capture;
use tasktag::{Client, Guard, Objective, Outcome, PoolStatus, Target};

tasktag::tags! {
    enum Queue {
        Mail,
        WithinOneMinute = "within_1_minute",
    }
}

tasktag::tags! {
    struct Retried(bool);
}

fn started() -> (Guard, Capture) {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    (guard, capture)
}

/// The lines of counters that were incremented by name, without their task id.
fn counted(count: impl FnOnce(&Client)) -> Vec<String> {
    let (guard, capture) = started();
    count(guard.client());
    guard.client().flush(PATIENCE).unwrap();
    let mut lines: Vec<_> =
        capture.take_lines().iter().map(|line| line.replace(",task_id:0042", "")).collect();
    lines.sort();
    lines
}

/// Asserts how a value is sent. The tag's value is borrowed for as long as the client is.
macro_rules! assert_sent {
    ($value:expr, $text:literal) => {
        assert_eq!(
            counted(|client| client.counter("jobs").tag("value", $value).increment(1)),
            [concat!("jobs:1|c|#value:", $text)]
        );
    };
}

#[test]
fn text_is_taken_by_whatever_reference_there_is_to_it() {
    let owned = String::from("eu");
    assert_sent!("eu", "eu");
    assert_sent!(&"eu", "eu");
    assert_sent!(&owned, "eu");
    assert_sent!(&&owned, "eu");
    assert_sent!(&Cow::from("eu"), "eu");
    assert_sent!(&Cow::<str>::Owned(owned.clone()), "eu");
    assert_sent!(&Box::<str>::from("eu"), "eu");
    assert_sent!(&Arc::<str>::from("eu"), "eu");
    assert_sent!(&Rc::<str>::from("eu"), "eu");
    assert_sent!(owned.as_str(), "eu");
    assert_sent!(&format!("e{}", 'u'), "eu");
}

#[test]
fn conditions_and_closed_tags_are_sent_as_their_words() {
    assert_sent!(true, "true");
    assert_sent!(false, "false");
    assert_sent!(Queue::Mail, "mail");
    assert_sent!(Queue::WithinOneMinute, "within_1_minute");
    assert_sent!(Retried(true), "true");
    assert_sent!(Outcome::Cancelled, "cancelled");
}

#[test]
fn a_closed_tag_a_condition_and_their_text_are_one_context_called_once_or_often_in_any_order_of_tags() {
    let lines = counted(|client| {
        for _ in 0..3 {
            client.counter("jobs").tag("queue", Queue::Mail).tag("retried", true).increment(1);
            client.counter("jobs").tag("retried", "true").tag("queue", "mail").increment(1);
            client.counter("jobs").tags(&[("queue", "mail")]).tag("retried", Retried(true)).increment(1);
        }
        client.counter("jobs").tag("queue", "mail").tag("retried", true).register().increment(1);
        client.counter("jobs").tag("queue", Queue::Mail).tag("retried", false).increment(1);
    });
    assert_eq!(lines, ["jobs:10|c|#queue:mail,retried:true", "jobs:1|c|#queue:mail,retried:false"]);
}

#[test]
fn pools_queues_and_objectives_take_them_too() {
    let (guard, capture) = started();
    let client = guard.client();
    let watch = client.pool("primary").tag("is_replica", false).watch(|| PoolStatus::new().max(10));
    let queue = client.work_queue("mail").tag("retried", Retried(false)).register();
    let objective: Objective =
        client.objective("pay", Target::success(), 0.99).tag("region", &Cow::from("eu")).register().unwrap();
    objective.record_outcome(true);
    client.flush(PATIENCE).unwrap();
    let lines = capture.take_lines().join("\n");
    for tags in ["is_replica:false,pool:primary", "queue:mail,retried:false", "objective:pay,region:eu"] {
        assert!(lines.contains(tags), "{tags} in {lines}");
    }
    drop((watch, queue));
}
