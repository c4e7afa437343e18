//! Lists that a program of its own writes.

use crate::watched::{Span, Watched};
use tasktag::QueueStatus;
use tasktag::integrations::redis::{RedisList, RedisQueue};

fn start(list: impl FnOnce(RedisList) -> RedisList) -> Option<Watched> {
    Watched::new(list(RedisQueue::list("exports")))
}

#[test]
fn a_list_has_a_depth_and_no_age() {
    let Some(watched) = start(|list| list) else { return };
    watched.expect(QueueStatus::new().depth(0));
    let () = watched.call(&["LPUSH", "exports", "12", "13"]);
    watched.expect(QueueStatus::new().depth(2));
    assert_eq!(watched.status().oldest_age, None);
}

#[test]
fn a_list_of_json_has_the_age_of_its_last_item() {
    let Some(watched) = start(|list| list.time_in_json("meta.queued_at")) else { return };
    let push = |time: f64| {
        let item = format!(r#"{{"order":12,"meta":{{"queued_at":{time}}}}}"#);
        let () = watched.call(&["LPUSH", "exports", &item]);
    };
    let first = Span::of(|| push(watched.now() * 1e6));
    Span::of(|| push(watched.now()));
    watched.expect(QueueStatus::new().depth(2));
    watched.expect_oldest(first);
    for item in [
        "",
        "12",
        "[]",
        "{",
        r#"{"meta":7}"#,
        r#"{"meta":{"queued_at":null}}"#,
        r#"{"meta":{"queued_at":"soon"}}"#,
    ] {
        let () = watched.call(&["DEL", "exports"]);
        let () = watched.call(&["LPUSH", "exports", item]);
        assert_eq!(watched.status(), QueueStatus::new().depth(1), "{item}");
    }
}

#[test]
fn a_list_of_ids_has_the_age_of_its_first_item_where_it_is_taken_from_the_left() {
    let Some(watched) = start(|list| list.taken_from_left().time_in_hash("export:", "at")) else { return };
    let push = |id: &str| {
        let () = watched.call(&["HSET", &format!("export:{id}"), "at", &(watched.now() * 1e3).to_string()]);
        let () = watched.call(&["RPUSH", "exports", id]);
    };
    let first = Span::of(|| push("12"));
    Span::of(|| push("13"));
    watched.expect(QueueStatus::new().depth(2));
    watched.expect_oldest(first);
    // A hash that is gone, and a key that is no hash.
    let () = watched.call(&["DEL", "export:12"]);
    assert_eq!(watched.status(), QueueStatus::new().depth(2));
    let () = watched.call(&["SET", "export:12", "12"]);
    assert_eq!(watched.status(), QueueStatus::new().depth(2));
}

#[test]
fn a_date_is_read_with_its_zone() {
    let Some(watched) = start(|list| list.time_in_json("at")) else { return };
    // Not before the first and not after the second of these is when it was, in seconds.
    let queued = |date: &str| {
        let () = watched.call(&["DEL", "exports"]);
        let () = watched.call(&["LPUSH", "exports", &format!(r#"{{"at":"{date}"}}"#)]);
        let before = watched.now();
        let age = watched.status().oldest_age?.as_secs_f64();
        Some((before - age, watched.now() - age))
    };
    for (date, seconds) in [
        ("1970-01-02T00:00:00Z", 86_400.0),
        ("2000-02-29T12:00:00.5Z", 951_825_600.5),
        ("2000-03-01 00:00:00", 951_868_800.0),
        ("2024-12-31T23:59:59.999999+00:00", 1_735_689_599.999_999),
        ("2025-01-01T05:30:00+05:30", 1_735_689_600.0),
        ("2024-12-31T19:00:00-0500", 1_735_689_600.0),
    ] {
        let (from, to) = queued(date).unwrap();
        assert!((from - 0.01..=to + 0.01).contains(&seconds), "{date}: {from} to {to}");
    }
    for date in ["2025-01-01", "yesterday", "2025-01-01T00:00", "T", "0000-00-00T00:00:00Z"] {
        assert_eq!(queued(date), None, "{date}");
    }
}
