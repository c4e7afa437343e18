//! The tag of the task id has a key of its own, and what others call a task id stays apart.

mod support;

use support::{PATIENCE, builder};
use tasktag::testing::Capture;
use tasktag::{Client, ConfigError};

fn lines(builder: tasktag::ClientBuilder, act: impl FnOnce(&Client)) -> Vec<String> {
    let capture = Capture::new();
    let guard = builder.capture(&capture).build().unwrap();
    act(guard.client());
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(guard.client().stats().refused_tags, 0);
    let mut lines = capture.take_lines();
    lines.sort();
    lines
}

fn work(client: &Client) {
    for task in ["resize", "upload"] {
        client.gauge("rows").tag("task_id", task).tag("Bucket", "b").set(1.0);
    }
}

#[test]
fn the_ids_of_other_tasks_are_kept_under_another_key() {
    let found = lines(builder(), work);
    let expected =
        ["resize", "upload"].map(|task| format!("rows:1|g|#bucket:b,task_id_:{task},task_id:0042"));
    assert_eq!(found.join("\n").to_lowercase(), expected.join("\n"));
}

#[test]
fn the_own_id_under_its_key_is_sent_once_and_counted_as_refused() {
    let capture = Capture::new();
    let guard = builder().capture(&capture).build().unwrap();
    let own = guard.client().task_id();
    guard.client().gauge("rows").tag("Task_ID", own.as_str()).set(1.0);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(capture.take_lines(), [format!("rows:1|g|#task_id:{}", own.as_str())]);
    assert_eq!(guard.client().stats().refused_tags, 1);
}

#[test]
fn with_another_key_a_task_id_is_an_ordinary_tag() {
    let builder = builder().task_id_key("bucket").tag("task_id", "all").from_vars([("DD_TAGS", "bucket:x")]);
    let found = lines(builder, work);
    let expected = ["resize", "upload"].map(|task| format!("rows:1|g|#bucket_:b,task_id:{task},bucket:0042"));
    assert_eq!(found, expected);
}

#[test]
fn a_key_that_no_server_takes_as_it_is_is_an_error_that_names_it() {
    let longest = "k".repeat(99);
    assert!(builder().task_id_key(&longest).build().is_ok());
    for key in ["", "1a", "_a", "a b", "Bucket", "a:b", "a,b", "é", &"k".repeat(100)] {
        let error = builder().task_id_key(key).build().unwrap_err();
        assert!(matches!(error, ConfigError::Setting { setting: "task_id_key", .. }), "{error}");
        assert!(error.to_string().contains(key), "{error}");
    }
    let error = builder().task_id_key("bucket").tag("Bucket", "7").build().unwrap_err();
    assert!(error.to_string().contains("Bucket:7"), "{error}");
}
