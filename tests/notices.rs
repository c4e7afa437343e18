//! Who asks for it is told when values start to be dropped, at most once a minute while that goes on, and when it has
//! ended.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;
use support::{PATIENCE, TempDir, assert_conserved, task_id, unix_address};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{
    Agent, Client, ClientBuilder, DropReason, FlushError, Guard, LOSS_NOTICE_INTERVAL, LossNotice, LossPhase,
    Tally,
};

const SECOND: Duration = Duration::from_secs(1);

/// A closure that keeps what it is told, and where that can be read.
fn notices() -> (impl FnMut(&LossNotice) + Send + 'static, Receiver<LossNotice>) {
    let (told, notices): (Sender<LossNotice>, _) = mpsc::channel();
    (move |notice: &LossNotice| told.send(notice.clone()).unwrap(), notices)
}

/// A client in memory, on a clock that is moved by hand, that flushes every second.
fn builder(capture: &Capture, clock: &ManualClock) -> ClientBuilder {
    Client::builder()
        .capture(capture)
        .clock(clock)
        .telemetry(false)
        .task_id(task_id())
        .flush_interval(SECOND)
        .shutdown_timeout(PATIENCE)
}

struct Fixture {
    capture: Capture,
    clock: ManualClock,
    guard: Guard,
    notices: Receiver<LossNotice>,
}

impl Fixture {
    fn new() -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let (act, notices) = notices();
        let guard = builder(&capture, &clock).on_loss(act).build().unwrap();
        Self { capture, clock, guard, notices }
    }

    /// Counts once a second and lets the client flush it.
    fn work(&self, seconds: u32) {
        for _ in 0..seconds {
            self.guard.client().counter("jobs").increment(1);
            self.clock.advance(SECOND);
        }
    }

    fn told(&self) -> Vec<LossNotice> {
        self.notices.try_iter().collect()
    }

    /// Phases, values lost for the transport and seconds of what was told.
    fn summary(&self) -> Vec<(LossPhase, u64, u64)> {
        let summary = |notice: LossNotice| {
            assert_eq!(notice.dropped(DropReason::Transport), notice.dropped_total());
            (notice.phase, notice.dropped_total().values, notice.lasted.as_secs())
        };
        self.told().into_iter().map(summary).collect()
    }
}

#[test]
fn an_agent_that_goes_away_and_comes_back_is_told_of_twice_and_once_a_minute_between() {
    let fixture = Fixture::new();
    fixture.work(100);
    assert_eq!(fixture.told(), []);

    fixture.capture.set_away(true);
    fixture.work(1);
    assert_eq!(fixture.summary(), [(LossPhase::Started, 1, 0)], "with the flush that lost it");
    fixture.work(59);
    assert_eq!(fixture.told(), []);
    fixture.work(65);
    assert_eq!(fixture.summary(), [(LossPhase::Ongoing, 61, 60), (LossPhase::Ongoing, 121, 120)]);

    fixture.capture.set_away(false);
    fixture.work(59);
    assert_eq!(fixture.told(), []);
    fixture.work(1);
    assert_eq!(fixture.summary(), [(LossPhase::Ended, 125, 124)]);
    fixture.work(300);
    assert_eq!(fixture.told(), []);

    fixture.capture.set_away(true);
    fixture.work(1);
    assert_eq!(fixture.summary(), [(LossPhase::Started, 1, 0)], "the next losses are counted from 0");
    assert_conserved(&fixture.guard.client().stats());
}

#[test]
fn an_agent_that_comes_and_goes_is_told_of_once_a_minute_at_most() {
    let fixture = Fixture::new();
    for second in 0..600 {
        fixture.capture.set_away(second % 7 == 0);
        fixture.work(1);
    }
    let told = fixture.summary();
    assert_eq!(told.first(), Some(&(LossPhase::Started, 1, 0)));
    assert!(told[1..].iter().all(|(phase, ..)| *phase == LossPhase::Ongoing), "{told:?}");
    assert!((9..=10).contains(&told.len()), "{told:?}");
}

#[test]
fn each_reason_is_told_with_its_own_figures() {
    let fixture = Fixture::new();
    let client = fixture.guard.client();
    (0..3).for_each(|_| client.timing("query").record(f64::NAN));
    let values: Vec<String> = (0..20).map(|n| format!("{n:0100}")).collect();
    let tags: Vec<(&str, &str)> = values.iter().map(|value| (value.as_str(), "v")).collect();
    client.counter("large").tags(&tags).increment(1);
    fixture.clock.advance(SECOND);
    let [notice] = fixture.told().try_into().unwrap();
    assert_eq!((notice.phase, notice.agent, notice.lasted), (LossPhase::Started, 0, Duration::ZERO));
    let stats = client.stats();
    assert_eq!(notice.losses().collect::<Vec<_>>(), stats.losses().collect::<Vec<_>>());
    assert_eq!(notice.dropped(DropReason::Invalid).values, 3);
    assert_eq!(notice.dropped(DropReason::TooLarge).values, 1);
    assert_eq!(notice.dropped_total(), stats.dropped_total());
    assert_eq!(notice.dropped(DropReason::Transport), Tally::default());
}

#[test]
fn what_a_dialect_does_not_know_is_told_once() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let (act, notices) = notices();
    let builder = builder(&capture, &clock).dialect(tasktag::Dialect::TaggedStatsd);
    let guard = builder.on_loss(act).build().unwrap();
    for _ in 0..300 {
        guard.client().counter("jobs").increment(1);
        guard.client().service_check("db", tasktag::Status::Ok);
        clock.advance(SECOND);
    }
    assert_eq!(guard.client().stats().dropped(DropReason::Unsupported).values, 300, "each is counted");
    guard.shutdown(PATIENCE).unwrap();
    let told: Vec<String> = notices.iter().map(|notice| notice.to_string()).collect();
    assert_eq!(told, ["metrics are being dropped: 1 value (unsupported)"]);
}

#[test]
fn nothing_is_told_where_nothing_is_lost() {
    let fixture = Fixture::new();
    fixture.work(200);
    let Fixture { guard, notices, .. } = fixture;
    guard.shutdown(PATIENCE).unwrap();
    assert_eq!(notices.iter().count(), 0, "the closure is gone, and its sender with it");
}

#[test]
fn the_shutdown_tells_of_losses_that_have_not_ended() {
    let fixture = Fixture::new();
    fixture.capture.set_away(true);
    fixture.work(3);
    assert_eq!(fixture.summary(), [(LossPhase::Started, 1, 0)]);
    fixture.capture.set_away(false);
    fixture.work(1);
    let Fixture { guard, notices, .. } = fixture;
    guard.shutdown(PATIENCE).unwrap();
    let [last] = notices.iter().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((last.phase, last.dropped_total().values), (LossPhase::AtShutdown, 3));
    assert_eq!(last.lasted, 2 * SECOND);
}

#[test]
fn what_the_last_flush_loses_is_told_in_one_notice_before_the_shutdown_is_over() {
    let fixture = Fixture::new();
    fixture.work(3);
    fixture.capture.set_away(true);
    fixture.guard.client().counter("jobs").increment(1);
    let Fixture { guard, notices, .. } = fixture;
    guard.shutdown(PATIENCE).unwrap();
    let [last] = notices.try_iter().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((last.phase, last.dropped_total().values), (LossPhase::AtShutdown, 1));
}

#[test]
fn a_worker_that_panics_is_told_of() {
    let fixture = Fixture::new();
    fixture.capture.panic_once();
    fixture.work(1);
    fixture.clock.advance(SECOND);
    let [notice] = fixture.told().try_into().unwrap();
    assert_eq!(notice.dropped(DropReason::WorkerPanic), fixture.guard.client().stats().dropped_total());
    assert_eq!(notice.dropped(DropReason::WorkerPanic).values, 1);
}

#[test]
fn each_agent_has_notices_of_its_own() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let (act, notices) = notices();
    let directory = TempDir::new();
    let nobody = Agent::at(unix_address(&directory.join("nobody")));
    let guard = builder(&capture, &clock).also(nobody).on_loss(act).build().unwrap();
    let work = || {
        guard.client().counter("jobs").increment(1);
        clock.advance(SECOND);
        notices.try_iter().map(|notice| (notice.agent, notice.phase)).collect::<Vec<_>>()
    };
    assert_eq!(work(), [(1, LossPhase::Started)]);
    assert_eq!(work(), []);
    capture.set_away(true);
    assert_eq!(work(), [(0, LossPhase::Started)]);
    capture.set_away(false);
    assert_eq!(work(), []);
    // The main agent's losses end; the other's go on.
    clock.advance(LOSS_NOTICE_INTERVAL);
    assert_eq!(work(), [(0, LossPhase::Ended), (1, LossPhase::Ongoing)]);
}

#[test]
fn only_the_second_thread_calls_the_closure() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let (told, notices) = mpsc::channel();
    let act = move |_: &LossNotice| {
        told.send((thread::current().id(), thread::current().name().map(str::to_owned))).unwrap();
    };
    let guard = builder(&capture, &clock).channel_capacity(1).on_loss(act).build().unwrap();
    let users = guard.client().set("users").register();
    (0..3).for_each(|_| users.insert("a"));
    assert_eq!(guard.client().stats().dropped(DropReason::ChannelFull).values, 2);
    assert!(notices.try_recv().is_err(), "a call site tells nobody");
    guard.client().flush(PATIENCE).unwrap();
    let (thread, name) = notices.try_recv().unwrap();
    assert_ne!(thread, thread::current().id());
    assert_eq!(name.as_deref(), Some("tasktag-probes"));
}

#[test]
fn a_closure_that_panics_is_counted_and_called_no_more() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let (told, notices) = mpsc::channel();
    let act = move |_: &LossNotice| {
        told.send(()).unwrap();
        panic!("a closure that panics");
    };
    let guard = builder(&capture, &clock).on_loss(act).build().unwrap();
    capture.set_away(true);
    for _ in 0..200 {
        guard.client().counter("jobs").increment(1);
        clock.advance(SECOND);
    }
    capture.set_away(false);
    let client = guard.client().clone();
    client.counter("jobs").increment(1);
    client.flush(PATIENCE).unwrap();
    assert_eq!(capture.take_lines(), ["jobs:1|c|#task_id:0042"], "the client goes on");
    guard.shutdown(PATIENCE).unwrap();
    assert_eq!(notices.iter().count(), 1);
    let stats = client.stats();
    assert_eq!((stats.notice_panics, stats.worker_restarts), (1, 0));
    assert_conserved(&stats);
}

/// Panics where it is dropped.
struct Bomb(Arc<AtomicBool>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        panic!("what a closure holds panics when it is dropped");
    }
}

#[test]
fn a_closure_that_panics_when_it_is_dropped_does_not_hold_the_shutdown() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let exploded = Arc::<AtomicBool>::default();
    let bomb = Bomb(Arc::clone(&exploded));
    let act = move |_: &LossNotice| assert!(!bomb.0.load(Ordering::Relaxed));
    let guard = builder(&capture, &clock).on_loss(act).build().unwrap();
    let client = guard.client().clone();
    guard.shutdown(PATIENCE).unwrap();
    assert!(exploded.load(Ordering::Relaxed));
    assert_eq!(client.stats().worker_restarts, 0);
}

/// What a closure that uses its own client needs, as it is made before the client.
type Later = Arc<OnceLock<Client>>;

#[test]
fn a_closure_may_use_the_client_and_makes_no_loop_of_it() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let (later, answers) = (Later::default(), Arc::<Mutex<Vec<_>>>::default());
    let act = {
        let (later, answers) = (Arc::clone(&later), Arc::clone(&answers));
        move |notice: &LossNotice| {
            let client = later.get().unwrap();
            client.counter("notices").increment(1);
            client.event("losses", &notice.to_string());
            client.set("reasons").insert("transport");
            let flushed = client.flush(PATIENCE);
            answers.lock().unwrap().push((flushed, client.stats().dropped_total().values));
        }
    };
    let guard = builder(&capture, &clock).on_loss(act).build().unwrap();
    let client = guard.client().clone();
    later.set(client.clone()).unwrap();
    capture.set_away(true);
    client.counter("jobs").increment(1);
    // What the closure reports is lost in its turn.
    for _ in 0..60 {
        clock.advance(SECOND);
    }
    let refused = Err(FlushError::OnWorker);
    assert_eq!(*answers.lock().unwrap(), [(refused, 1)], "a flush would wait for itself");
    assert_eq!(client.stats().dropped_total().values, 4);
    guard.shutdown(PATIENCE).unwrap();
    // What crosses the channel is refused there by now.
    assert_eq!(*answers.lock().unwrap(), [(refused, 1), (refused, 7)]);
    let stats = client.stats();
    assert_eq!((stats.dropped(DropReason::AfterShutdown).values, stats.notice_panics), (3, 0));
    assert_conserved(&stats);
}

#[test]
fn a_closure_that_holds_its_client_keeps_neither_after_the_shutdown() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let (later, witness) = (Later::default(), Arc::new(()));
    let (held, kept) = (Arc::downgrade(&witness), Arc::clone(&later));
    let act = move |_: &LossNotice| assert!(kept.get().is_some() && Arc::strong_count(&witness) == 1);
    let guard = builder(&capture, &clock).on_loss(act).build().unwrap();
    later.set(guard.client().clone()).unwrap();
    drop(later);
    assert!(held.upgrade().is_some());
    guard.shutdown(PATIENCE).unwrap();
    assert!(held.upgrade().is_none());
}

#[test]
fn clients_of_one_closure_are_told_in_turn_and_the_closure_outlives_the_first() {
    let (captures, clock) = ([Capture::new(), Capture::new()], ManualClock::new());
    let (act, notices) = notices();
    let first = builder(&captures[0], &clock).on_loss(act);
    let second = first.clone().capture(&captures[1]).build().unwrap();
    let first = first.build().unwrap();
    for capture in &captures {
        capture.set_away(true);
    }
    for client in [first.client(), second.client()] {
        client.counter("jobs").increment(1);
        client.flush(PATIENCE).unwrap();
        assert_eq!(notices.try_recv().unwrap().phase, LossPhase::Started);
    }
    first.shutdown(PATIENCE).unwrap();
    assert_eq!(notices.try_recv().unwrap().phase, LossPhase::AtShutdown);
    second.shutdown(PATIENCE).unwrap();
    assert_eq!(notices.try_recv().unwrap().phase, LossPhase::AtShutdown);
}

#[test]
fn a_client_that_finds_another_at_their_closure_waits_for_nobody_and_tells_later() {
    let (captures, clock) = ([Capture::new(), Capture::new()], ManualClock::new());
    let ((entered, is_in), (leave, may_leave)) = (mpsc::channel(), mpsc::channel::<()>());
    let (told, notices) = mpsc::channel();
    let act = move |notice: &LossNotice| {
        entered.send(()).unwrap();
        may_leave.recv().unwrap();
        told.send(notice.dropped_total().values).unwrap();
    };
    let first = builder(&captures[0], &clock).on_loss(act);
    let second = first.clone().capture(&captures[1]).build().unwrap();
    let first = first.build().unwrap();
    for capture in &captures {
        capture.set_away(true);
    }
    let (one, two) = (first.client().clone(), second.client());
    one.counter("jobs").increment(1);
    let flushing = thread::spawn(move || one.flush(PATIENCE));
    is_in.recv_timeout(PATIENCE).unwrap();

    two.counter("jobs").increment(2);
    two.counter("other").increment(1);
    two.flush(PATIENCE).unwrap();
    leave.send(()).unwrap();
    flushing.join().unwrap().unwrap();
    assert_eq!(notices.try_iter().collect::<Vec<_>>(), [1]);

    two.counter("jobs").increment(1);
    leave.send(()).unwrap();
    two.flush(PATIENCE).unwrap();
    assert_eq!(notices.try_iter().collect::<Vec<_>>(), [3], "and all that was lost since the start");
    (0..2).for_each(|_| leave.send(()).unwrap());
}

#[test]
fn what_is_lost_after_the_shutdown_is_told_to_nobody() {
    let fixture = Fixture::new();
    let jobs = fixture.guard.client().counter("jobs").register();
    let Fixture { guard, notices, .. } = fixture;
    let client = guard.client().clone();
    guard.shutdown(PATIENCE).unwrap();
    jobs.increment(1);
    client.event("late", "");
    assert_eq!(client.stats().dropped(DropReason::AfterShutdown).values, 2);
    assert_eq!(notices.iter().count(), 0);
}
