//! What callers do: each operation is a use of the public surface, with numbers that the dice say.

use super::caller::{Caller, Lane};
use std::time::{Duration, UNIX_EPOCH};
use tasktag::{AlertType, Event, Priority, ServiceCheck, Stats, Status};

pub(crate) type Operation = fn(&mut Caller);

/// Those that are there several times are done more often.
pub(crate) const OPERATIONS: [Operation; 40] = [
    set,
    set,
    add,
    unset,
    increment,
    increment,
    increment,
    record,
    record,
    record_many,
    time,
    time_owned,
    acquire,
    hold,
    resize,
    insert,
    insert,
    event,
    long_event,
    event_in_full,
    check,
    check_in_full,
    stamp,
    stamp_by_name,
    by_name,
    by_name,
    by_name_recorded,
    by_new_name,
    wrong_kind,
    nothing_to_say,
    family,
    bounded,
    frequent,
    watch_pool,
    watch_queue,
    hold_a_new_gauge,
    register_for_a_moment,
    long_words,
    look,
    flush,
];

const LEVELS: [f64; 8] = [0.0, -0.0, 1.5, -2.5, 1e9, f64::MAX, f64::NAN, f64::INFINITY];
const VALUES: [f64; 6] = [0.0, 1.0, 1.001, 12.5, 1e-9, 1e12];
/// More than one slot of a distribution's table counts: it goes through the channel.
const HUGE: u64 = 1 << 44;
const LANES: [Lane; 3] = [Lane::Fast, Lane::Slow, Lane::Nightly];
const ROUTES: [&str; 6] = ["/pay", "/login", "/a", "/b", "/c", "other"];
const STATUSES: [Status; 4] = [Status::Ok, Status::Warning, Status::Critical, Status::Unknown];

fn set(caller: &mut Caller) {
    let level = caller.dice.pick(&LEVELS);
    let gauge = if caller.dice.one_in(2) { &caller.handles.level } else { &caller.handles.peak };
    gauge.set(level);
}

fn add(caller: &mut Caller) {
    let delta = caller.dice.pick(&[1.0, 2.5, -7.0, f64::NAN]);
    if caller.dice.one_in(2) { caller.handles.level.add(delta) } else { caller.handles.peak.sub(delta) }
}

fn unset(caller: &mut Caller) {
    if caller.dice.one_in(2) { caller.handles.level.unset() } else { caller.handles.peak.unset() }
}

fn increment(caller: &mut Caller) {
    let n = caller.dice.below(1000);
    caller.handles.jobs.increment(n);
    caller.diary.add("jobs", n);
}

fn record(caller: &mut Caller) {
    let value = caller.dice.pick(&VALUES);
    caller.handles.size.record(value);
    caller.diary.record("size", 1);
    caller.handles.rows.record(value);
    caller.diary.record("rows", 1);
    // It is refused, and counted as that.
    caller.handles.size.record(f64::NAN);
}

fn record_many(caller: &mut Caller) {
    let rare = if caller.dice.one_in(10) { HUGE } else { 5000 };
    let n = caller.dice.pick(&[0, 1, 2, 50, 100]);
    let n = if caller.dice.one_in(8) { rare } else { n };
    let value = caller.dice.pick(&VALUES);
    caller.handles.size.record_many(value, n);
    caller.diary.record("size", n);
}

fn time(caller: &mut Caller) {
    let timer = caller.handles.run.start();
    if caller.dice.one_in(3) {
        timer.discard();
    } else {
        timer.stop();
        caller.diary.record("run", 1);
    }
}

fn time_owned(caller: &mut Caller) {
    caller.handles.run.record_duration(Duration::from_micros(caller.dice.below(100_000)));
    caller.handles.run.start_owned().discard();
    drop(caller.handles.run.start_owned());
    caller.diary.record("run", 2);
}

fn acquire(caller: &mut Caller) {
    let first = caller.handles.workers.acquire();
    let second = caller.handles.workers.acquire_owned();
    drop(first);
    drop(second);
}

fn hold(caller: &mut Caller) {
    if caller.held.units.len() < 3 {
        caller.held.units.push(caller.handles.workers.acquire_owned());
    } else {
        caller.held.units.clear();
    }
}

fn resize(caller: &mut Caller) {
    let capacity = caller.dice.pick(&[0, 1, 4, 1000]);
    caller.handles.workers.set_capacity(capacity);
}

fn insert(caller: &mut Caller) {
    let member = caller.unique();
    if caller.dice.one_in(2) {
        caller.handles.users.insert(&member);
    } else {
        caller.client.set("by.name.users").tag("lane", "fast").insert(&member);
    }
}

fn event(caller: &mut Caller) {
    let title = caller.unique();
    caller.client.event(&title, "text\nof two lines");
}

/// A packet's worth, and one that is cut.
fn long_event(caller: &mut Caller) {
    let length = caller.dice.pick(if caller.is_wordy { &[1000, 9000, 70_000] } else { &[100, 200, 300] });
    let title = caller.unique();
    caller.client.event(&title, &"x".repeat(length));
}

fn event_in_full(caller: &mut Caller) {
    let title = caller.unique();
    let event = Event::new(title, "text")
        .timestamp(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .hostname("host")
        .aggregation_key("key")
        .priority(Priority::Low)
        .source_type("tests")
        .alert_type(AlertType::Warning)
        .tag("lane", "fast");
    caller.client.send_event(event);
}

fn check(caller: &mut Caller) {
    let (message, status) = (caller.unique(), caller.dice.pick(&STATUSES));
    caller.client.send_service_check(ServiceCheck::new("db", status).message(message));
}

fn check_in_full(caller: &mut Caller) {
    let message = caller.unique();
    let status = caller.dice.pick(&STATUSES);
    let check = ServiceCheck::new("db", status).hostname("host").tag("lane", "fast").message(message);
    caller.client.send_service_check(check);
}

fn stamp(caller: &mut Caller) {
    let at = UNIX_EPOCH + Duration::from_secs(caller.unique_second());
    caller.handles.stamped_jobs.increment_at(3, at);
    caller.diary.add("stamped.jobs", 3);
    caller.handles.stamped_level.set_at(2.0, at);
    // Before 1970: refused.
    caller.handles.stamped_level.set_at(2.0, UNIX_EPOCH);
}

fn stamp_by_name(caller: &mut Caller) {
    let at = UNIX_EPOCH + Duration::from_secs(caller.unique_second());
    caller.client.counter("stamped.jobs").tag("by", "name").increment_at(5, at);
    caller.diary.add("stamped.jobs", 5);
    caller.client.gauge("stamped.level").tag("by", "name").set_at(-1.0, at);
}

fn by_name(caller: &mut Caller) {
    let tag = caller.dice.pick(&ROUTES);
    let n = caller.dice.below(100);
    caller.client.counter("by.name.jobs").tag("route", tag).increment(n);
    caller.diary.add("by.name.jobs", n);
    caller.client.gauge("by.name.level").tags(&[("route", tag), ("", "left out")]).set(1.0);
    caller.client.gauge("by.name.level").without_task_id().tag("route", tag).add(1.0);
}

fn by_name_recorded(caller: &mut Caller) {
    let tag = caller.dice.pick(&ROUTES);
    let n = caller.dice.below(3);
    caller.client.distribution("by.name.size").tag("route", tag).record_many(4.0, n);
    caller.client.distribution("by.name.size").record(1.0);
    caller.diary.record("by.name.size", n + 1);
}

/// More contexts than there is room for, on most days.
fn by_new_name(caller: &mut Caller) {
    let tag = caller.dice.below(100).to_string();
    caller.client.counter("folded.by.limit").tag("number", &tag).increment(1);
    caller.diary.add("folded.by.limit", 1);
}

fn wrong_kind(caller: &mut Caller) {
    caller.client.counter("level").increment(1);
    caller.client.gauge("jobs").set(1.0);
    caller.client.timing("users").record(1.0);
    caller.client.set("size").insert("member");
    assert!(caller.client.gauge("jobs").try_register().is_err());
    drop(caller.client.gauge("jobs").register());
}

fn nothing_to_say(caller: &mut Caller) {
    caller.client.event("", "no title");
    caller.client.counter("").increment(1);
    caller.client.service_check("", Status::Ok);
    caller.handles.jobs.increment(0);
}

fn family(caller: &mut Caller) {
    let lane = caller.dice.pick(&LANES);
    caller.handles.family_jobs.at(lane).increment(2);
    caller.diary.add("family.jobs", 2);
    caller.handles.family_run.at(lane).record(2.0);
    caller.diary.record("family.run", 1);
}

fn bounded(caller: &mut Caller) {
    let route = caller.dice.pick(&ROUTES);
    caller.handles.bounded_jobs.at(route).increment(1);
    caller.diary.add("bounded.jobs", 1);
    caller.handles.bounded_run.at(route).record(3.0);
    caller.diary.record("bounded.run", 1);
    let _ = caller.handles.bounded_jobs.folded();
}

fn frequent(caller: &mut Caller) {
    let customer = caller.dice.below(20).to_string();
    caller.handles.frequent_jobs.at(&customer).increment(1);
    caller.diary.add("frequent.jobs", 1);
}

fn watch_pool(caller: &mut Caller) {
    let (watched, name) = (caller.watched.clone(), caller.dice.below(3).to_string());
    caller.held.watches.push(caller.client.watch_pool(&name, move || watched.pool()));
    if caller.held.watches.len() > 2 {
        caller.held.watches.clear();
    }
}

fn watch_queue(caller: &mut Caller) {
    let (watched, name) = (caller.watched.clone(), caller.dice.below(3).to_string());
    let mut left = caller.dice.below(3);
    let status = move || {
        left = left.checked_sub(1)?;
        Some(watched.queue())
    };
    caller.client.queue(&name).prefix("jobs.queue").tag("lane", "fast").watch_while(status).detach();
}

fn hold_a_new_gauge(caller: &mut Caller) {
    let number = caller.dice.below(30).to_string();
    let gauge = caller.client.gauge("held.level").tag("number", &number).register();
    gauge.set(1.0);
    caller.held.gauges.push(gauge);
    if caller.held.gauges.len() > 4 {
        caller.held.gauges.clear();
    }
}

fn register_for_a_moment(caller: &mut Caller) {
    let tag = caller.dice.pick(&ROUTES);
    caller.client.counter("brief.jobs").tag("route", tag).register().increment(1);
    caller.diary.add("brief.jobs", 1);
    caller.client.gauge("brief.level").tag("route", tag).register().set(1.0);
}

fn long_words(caller: &mut Caller) {
    if !caller.is_wordy {
        return;
    }
    let long = "a.word.that.goes.on.".repeat(usize::try_from(caller.dice.within(5, 500)).expect("a length"));
    caller.client.counter(&long).increment(1);
    caller.client.gauge("long.level").tag("long", &long).set(1.0);
    caller.client.gauge("long.level").tag(&long, "long").set(1.0);
    let member = caller.unique() + &long;
    caller.client.set("long.users").insert(&member);
    let pairs: Vec<(&str, &str)> = (0..40).map(|_| (long.as_str(), "value")).collect();
    caller.client.counter("long.jobs").tags(&pairs).increment(1);
}

/// Whoever looks in the middle of it never sees more go out than came in.
fn look(caller: &mut Caller) {
    assert_nothing_is_made_up(&caller.client.stats());
    if caller.dice.one_in(4) {
        let _ = (caller.client.cardinality(), caller.client.task_id());
    }
}

pub(crate) fn assert_nothing_is_made_up(stats: &Stats) {
    let (accepted, mut left) = (stats.accepted, stats.sent);
    left += stats.dropped_total();
    let made_up = left.values > accepted.values
        || left.lines > accepted.lines
        || left.packets > accepted.packets
        || left.bytes > accepted.bytes;
    assert!(!made_up, "more went out than came in: {stats:#?}");
}

fn flush(caller: &mut Caller) {
    let deadline = Duration::from_micros(caller.dice.pick(&[0, 100, 1_000, 10_000, 50_000]));
    let _ = caller.client.flush(deadline);
}
