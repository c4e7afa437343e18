//! A constant rate is shown as one: flushes lie on a grid, at exact steps of the interval from a time that each task
//! draws for itself.

mod support;

use std::net::UdpSocket;
use std::time::{Duration, Instant};
use support::PATIENCE;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ClientBuilder, Counter, Guard};

/// What the Datadog Agent adds up over.
const WINDOW: Duration = Duration::from_secs(10);

fn on(clock: &ManualClock, capture: &Capture, interval: Duration) -> Guard {
    let builder = Client::builder().clock(clock).capture(capture).flush_interval(interval);
    builder.telemetry(false).build().unwrap()
}

/// What was counted by the lines since the last call.
fn counted(capture: &Capture) -> u64 {
    let number = |line: String| line.split([':', '|']).nth(1).unwrap().parse::<u64>().unwrap();
    capture.take_lines().into_iter().map(number).sum()
}

/// Counts a thousand a second, looked at every few milliseconds, until the clock shows `end`.
fn count_until(end: Duration, clock: &ManualClock, jobs: &Counter, each: &mut impl FnMut(Duration)) {
    let start = ManualClock::new().time_of_day();
    loop {
        let now = clock.time_of_day().duration_since(start).unwrap();
        let step = Duration::from_millis(7).min(end.saturating_sub(now));
        if step.is_zero() {
            return;
        }
        jobs.increment(step.as_millis().try_into().unwrap());
        clock.advance(step);
        each(now + step);
    }
}

#[test]
fn a_thousand_a_second_are_ten_thousand_in_every_window() {
    for interval in [2, 5, 10].map(Duration::from_secs) {
        let (clock, capture) = (ManualClock::new(), Capture::new());
        let guard = on(&clock, &capture, interval);
        let jobs = guard.client().counter("jobs").register();
        // Servers' windows begin whenever they do.
        count_until(Duration::from_millis(3_333), &clock, &jobs, &mut |_| ());
        counted(&capture);
        for window in 1..=5 {
            let end = Duration::from_millis(3_333) + WINDOW * window;
            count_until(end, &clock, &jobs, &mut |_| ());
            let seen = counted(&capture);
            assert!(seen.abs_diff(10_000) <= 10, "{seen} in window {window} of {interval:?}");
        }
    }
}

#[test]
fn a_flush_by_a_caller_moves_no_other() {
    let (clock, capture) = (ManualClock::new(), Capture::new());
    let guard = on(&clock, &capture, Duration::from_secs(2));
    let flushes = || guard.client().stats().flushes;
    for second in (1..20).step_by(2) {
        clock.advance(Duration::from_millis(1_999));
        let before = flushes();
        guard.client().flush(PATIENCE).unwrap();
        assert_eq!(flushes(), before + 1);
        clock.advance(Duration::from_millis(1));
        assert_eq!(flushes(), before + 2, "at {} s", second + 1);
    }
}

#[test]
fn a_day_has_as_many_flushes_as_intervals() {
    let (clock, capture) = (ManualClock::new(), Capture::new());
    let guard = on(&clock, &capture, WINDOW);
    // Never when one is due, and always a little late.
    let (step, day) = (Duration::from_millis(7_919), Duration::from_secs(86_400));
    let mut now = Duration::ZERO;
    while now < day {
        clock.advance(step);
        now += step;
        assert_eq!(u128::from(guard.client().stats().flushes), now.as_millis() / WINDOW.as_millis());
    }
}

#[test]
fn time_that_leaps_is_made_up_for_by_one_flush() {
    let (clock, capture) = (ManualClock::new(), Capture::new());
    let guard = on(&clock, &capture, Duration::from_secs(2));
    let flushes = || guard.client().stats().flushes;
    // A machine that was suspended for a night, and 700 ms.
    clock.advance(Duration::from_millis(8 * 3_600_000 + 700));
    assert_eq!(flushes(), 1);
    clock.advance(Duration::ZERO);
    assert_eq!(flushes(), 1);
    clock.advance(Duration::from_millis(1_299));
    assert_eq!(flushes(), 1);
    clock.advance(Duration::from_millis(1));
    assert_eq!(flushes(), 2);
}

/// When packets came in an interval from `start`, in parts of it.
fn arrivals(agent: &UdpSocket, start: Instant, interval: Duration) -> Vec<f64> {
    let mut parts = Vec::new();
    let mut buffer = [0; 1500];
    while start.elapsed() < interval {
        if agent.recv(&mut buffer).is_ok() {
            parts.push(start.elapsed().as_secs_f64() / interval.as_secs_f64());
        }
    }
    parts
}

fn to(agent: &UdpSocket, interval: Duration) -> ClientBuilder {
    let address = format!("udp://{}", agent.local_addr().unwrap());
    let builder = Client::builder().agent(address).telemetry(false).flush_interval(interval);
    builder.collect_interval(Duration::from_secs(3600))
}

#[test]
fn two_hundred_clients_that_start_together_flush_all_over_the_interval() {
    let interval = Duration::from_secs(2);
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    agent.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let guards: Vec<Guard> = (0..200).map(|_| to(&agent, interval).build().unwrap()).collect();
    let levels: Vec<_> = guards.iter().map(|guard| guard.client().gauge("level").register()).collect();
    for level in &levels {
        level.set(1.0);
    }
    support::wait_until(|| {
        let parts = arrivals(&agent, Instant::now(), interval);
        // 20 in each tenth on average. A machine that stands still for a while delays some, and then the next round
        // counts.
        let in_tenth = |tenth: u32| {
            let from = f64::from(tenth) / 10.0;
            parts.iter().filter(|part| (from..from + 0.1).contains(*part)).count()
        };
        (0..10).all(|tenth| (3..60).contains(&in_tenth(tenth)))
    });
}
