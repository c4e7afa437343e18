//! What is said of a pool of r2d2, and what its events tell, is true while its server is down and its callers try.
#![cfg(feature = "r2d2")]

mod support;
#[path = "pools/watched.rs"]
mod watched;

use r2d2::event::{CheckinEvent, CheckoutEvent, TimeoutEvent};
use r2d2::{Builder, HandleEvent, ManageConnection, NopErrorHandler, Pool};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::{PATIENCE, wait_until};
use tasktag::integrations::r2d2::PoolEvents;
use watched::Watched;

#[derive(Debug)]
struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Down {}

#[derive(Debug, Default)]
struct Doors {
    is_down: Arc<AtomicBool>,
}

impl ManageConnection for Doors {
    type Connection = ();
    type Error = Down;

    fn connect(&self) -> Result<(), Down> {
        if self.is_down.load(Ordering::Relaxed) { Err(Down) } else { Ok(()) }
    }

    fn is_valid(&self, (): &mut ()) -> Result<(), Down> {
        Ok(())
    }

    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }
}

/// What the pool told, in milliseconds, before it is passed on.
#[derive(Debug, Default)]
struct Told {
    waits: Vec<f64>,
    timeouts: Vec<f64>,
    holds: Vec<f64>,
}

impl Told {
    /// What a program says that subtracts the one from the other.
    fn naive_in_use(&self) -> f64 {
        self.waits.len() as f64 - self.holds.len() as f64
    }
}

/// A program's own handler, which passes events on.
#[derive(Debug)]
struct Listener {
    told: Arc<Mutex<Told>>,
    events: PoolEvents,
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl HandleEvent for Listener {
    fn handle_checkout(&self, event: CheckoutEvent) {
        self.told.lock().unwrap().waits.push(milliseconds(event.duration()));
        self.events.handle_checkout(event);
    }

    fn handle_timeout(&self, event: TimeoutEvent) {
        self.told.lock().unwrap().timeouts.push(milliseconds(event.timeout()));
        self.events.handle_timeout(event);
    }

    fn handle_checkin(&self, event: CheckinEvent) {
        self.told.lock().unwrap().holds.push(milliseconds(event.duration()));
        self.events.handle_checkin(event);
    }
}

fn stage(
    max: u32,
    set: impl FnOnce(Builder<Doors>) -> Builder<Doors>,
) -> (Watched, Arc<Mutex<Told>>, Pool<Doors>) {
    stage_at(max, Doors::default(), set)
}

fn stage_at(
    max: u32,
    doors: Doors,
    set: impl FnOnce(Builder<Doors>) -> Builder<Doors>,
) -> (Watched, Arc<Mutex<Told>>, Pool<Doors>) {
    let (watched, told) = (Watched::new(), Arc::<Mutex<Told>>::default());
    let events = watched.client().r2d2_events("primary");
    let listener = Listener { told: Arc::clone(&told), events };
    let builder = Pool::builder().max_size(max).event_handler(Box::new(listener));
    let builder = builder.error_handler(Box::new(NopErrorHandler)).connection_timeout(PATIENCE);
    let pool = set(builder).build_unchecked(doors);
    watched.client().watch_r2d2("primary", &pool).detach();
    (watched, told, pool)
}

/// Whether both have the same values, as exactly as a distribution keeps them.
#[track_caller]
fn assert_same(sent: &[f64], told: &[f64]) {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (sent, told) = (sorted(sent), sorted(told));
    assert_eq!(sent.len(), told.len(), "{sent:?} {told:?}");
    for (sent, told) in sent.iter().zip(&told) {
        assert!((sent - told).abs() <= told * 0.01 + 1e-6, "{sent} of {told}");
    }
}

#[test]
fn calls_that_only_try_do_not_make_the_use_negative() {
    let (watched, told, pool) = stage(1, |builder| builder);
    wait_until(|| pool.state().idle_connections == 1);
    for _ in 0..5 {
        drop(pool.try_get().unwrap());
    }
    assert_eq!(told.lock().unwrap().naive_in_use(), -5.0);
    let flushed = watched.flush();
    flushed.assert(&[("pool.in_use", Some(0.0)), ("pool.idle", Some(1.0)), ("pool.timeouts", None)]);
    assert_same(flushed.values("pool.wait"), &[]);
    assert_same(flushed.values("pool.hold"), &told.lock().unwrap().holds);

    let held = pool.get().unwrap();
    assert!(pool.try_get().is_none());
    let flushed = watched.flush();
    flushed.assert(&[("pool.in_use", Some(1.0)), ("pool.utilization", Some(1.0)), ("pool.timeouts", None)]);
    assert_same(flushed.values("pool.wait"), &told.lock().unwrap().waits);
    drop(held);
}

#[test]
fn a_server_that_is_down_is_not_an_idle_pool() {
    let is_down = Arc::new(AtomicBool::new(true));
    let doors = Doors { is_down: Arc::clone(&is_down) };
    let (watched, _, pool) = stage_at(2, doors, |builder| builder);
    let patience = Duration::from_millis(20);
    assert!(pool.get_timeout(patience).is_err());
    let state = pool.state();
    assert_eq!((state.connections, state.idle_connections), (0, 0), "0 % in use");
    let flushed = watched.flush();
    flushed.assert(&[("pool.open", Some(0.0)), ("pool.max", Some(2.0)), ("pool.timeouts", Some(1.0))]);
    flushed.assert(&[("pool.in_use", None), ("pool.utilization", None), ("pool.idle", None)]);
    assert_same(flushed.values("pool.wait"), &[milliseconds(patience)]);

    is_down.store(false, Ordering::Relaxed);
    let held = pool.get().unwrap();
    wait_until(|| pool.state().connections == 2);
    watched.flush().assert(&[("pool.in_use", Some(1.0)), ("pool.utilization", Some(0.5))]);
    drop(held);
}

#[test]
fn all_waits_holds_and_timeouts_under_load_are_reported() {
    let (watched, told, pool) = stage(2, |builder| builder);
    thread::scope(|scope| {
        for worker in 0..6_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for call in 0..40 {
                    let patience =
                        if (worker + call) % 8 == 0 { Duration::from_micros(50) } else { PATIENCE };
                    if let Ok(held) = pool.get_timeout(patience) {
                        thread::sleep(Duration::from_micros(100 * worker));
                        drop(held);
                    }
                }
            });
        }
    });
    let (flushed, told) = (watched.flush(), told.lock().unwrap());
    flushed.assert(&[("pool.in_use", Some(0.0)), ("pool.idle", Some(2.0)), ("pool.open", Some(2.0))]);
    let timeouts = told.timeouts.len();
    assert_eq!(flushed.value("pool.timeouts"), (timeouts > 0).then_some(timeouts as f64));
    assert_same(flushed.values("pool.wait"), &[told.waits.clone(), told.timeouts.clone()].concat());
    assert_same(flushed.values("pool.hold"), &told.holds);
    assert_eq!(told.waits.len() + timeouts, 240, "each call has ended in one way");
    assert_eq!(told.naive_in_use(), 0.0);
}

#[test]
fn the_events_keep_no_pool_alive_and_a_watch_until_it_is_dropped() {
    let doors = Doors::default();
    let alive = Arc::downgrade(&doors.is_down);
    let watched = Watched::new();
    let events = watched.client().r2d2_events("primary");
    let pool = Pool::builder().max_size(1).event_handler(Box::new(events)).build(doors).unwrap();
    let watch = watched.client().watch_r2d2("primary", &pool);
    drop(pool);
    watched.flush().assert(&[("pool.open", Some(1.0))]);
    drop(watch);
    watched.flush();
    wait_until(|| alive.upgrade().is_none());
}
