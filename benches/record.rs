//! What an operation costs at the call site, beside the machine's own primitives.
//!
//! `cargo bench --bench record --features testing`. A row's time is that of a million operations, so a millisecond
//! reads as a nanosecond an operation. `t=2` is two threads on the same metric, each doing its million.
//!
//! `-- --instructions` prints the instructions and allocations of handles, families and calls by name instead.

#[path = "record/instructions.rs"]
mod instructions;

use divan::{Bencher, black_box};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tasktag::testing::Capture;
use tasktag::{
    Admission, BoundedFamily, Client, Counter, Distribution, Family, FrequentFamily, Gate, GateClass, Gauge,
    Guard, Holder, Load, Objective, Occupancy, Outcome, Promise, QueueDepth, Set, StatusClass, Target,
    WorkQueue,
};

const OPS: u32 = 1_000_000;
const HALF_LIFE: Duration = Duration::from_secs(60);

struct Handles {
    guard: Guard,
    gauge: Gauge,
    peak: Gauge,
    counter: Counter,
    timing: Distribution,
    apart: Distribution,
    set: Set,
    occupancy: Occupancy,
    with_oldest: Occupancy,
    holder: Holder,
    depth: QueueDepth,
    queue: WorkQueue,
    promised: WorkQueue,
    gate: Gate,
    open: GateClass,
    shed: GateClass,
    objective: Objective,
    closed_counter: Family<Counter, (Outcome, StatusClass)>,
    closed_gauge: Family<Gauge, (Outcome, StatusClass)>,
    bounded: BoundedFamily<Counter>,
    folded: BoundedFamily<Counter>,
    frequent: FrequentFamily<Counter>,
}

/// A client that never flushes by itself: only call sites are measured.
static HANDLES: LazyLock<Handles> = LazyLock::new(|| {
    let builder = Client::builder().capture(&Capture::new());
    let guard = builder.flush_interval(Duration::from_secs(3600)).install().expect("the one client");
    let client = guard.client();
    let apart = client.timing("timing.apart").tag("pool", "primary").register();
    let gate = client.gate("database").class("within_24_hours", Admission::below(0.5));
    let gate =
        gate.class("within_5_minutes", Admission::below(1.5)).register().expect("the settings are good");
    gate.set_load(Load::of(1.0));
    Handles {
        open: gate.class("within_5_minutes"),
        shed: gate.class("within_24_hours"),
        gate,
        apart,
        gauge: client.gauge("gauge").tag("pool", "primary").register(),
        peak: client.gauge("gauge.with").tag("pool", "primary").peak().register(),
        counter: client.counter("counter").tag("pool", "primary").register(),
        timing: client.timing("timing").tag("pool", "primary").register(),
        set: client.set("set").tag("pool", "primary").register(),
        occupancy: client.occupancy("occupancy", 10).tag("pool", "primary").register(),
        with_oldest: client.occupancy("occupancy.oldest", 10).tag("pool", "primary").oldest().register(),
        holder: client.holders("primary", 10).of("checkout"),
        depth: QueueDepth::default(),
        queue: client.work_queue("queue").register(),
        promised: client.work_queue("promised").promise(Promise::within(HALF_LIFE)).register(),
        objective: client
            .objective("checkout", Target::within(HALF_LIFE), 0.999)
            .register()
            .expect("a share and a time"),
        closed_counter: client.counter("closed.counter").register_family(),
        closed_gauge: client.gauge("closed.gauge").register_family(),
        bounded: client.counter("bounded").bounded("pool", 50).register(),
        folded: client.counter("folded").bounded("pool", 0).register(),
        frequent: client.counter("frequent").bounded("pool", 50).most_frequent(HALF_LIFE).register(),
        guard,
    }
});

/// A value that varies as latencies do: over about five octaves.
fn value(i: u32) -> f64 {
    f64::from(i.wrapping_mul(2_654_435_761) >> 16) / 256.0 + 8.0
}

fn million(bencher: Bencher, operation: impl Fn(&Handles, u32) + Sync) {
    let handles = &*HANDLES;
    bencher.bench(|| {
        for i in 0..OPS {
            operation(handles, black_box(i));
        }
    });
}

#[divan::bench_group(threads = [1, 2], sample_count = 20)]
mod handle {
    use super::{Bencher, Duration, HANDLES, OPS, Outcome, black_box, million, value};

    #[divan::bench]
    fn gauge_set(bencher: Bencher) {
        million(bencher, |handles, i| handles.gauge.set(f64::from(i)));
    }

    #[divan::bench]
    fn gauge_set_with_peak(bencher: Bencher) {
        million(bencher, |handles, i| handles.peak.set(f64::from(i)));
    }

    #[divan::bench]
    fn gauge_add(bencher: Bencher) {
        million(bencher, |handles, _| handles.gauge.add(1.0));
    }

    #[divan::bench]
    fn counter_increment(bencher: Bencher) {
        million(bencher, |handles, _| handles.counter.increment(1));
    }

    #[divan::bench]
    fn timing_record(bencher: Bencher) {
        million(bencher, |handles, i| handles.timing.record(value(i)));
    }

    /// With a flush before each sample, at which threads that met get tables of their own; `timing_record` is without.
    #[divan::bench]
    fn timing_record_apart(bencher: Bencher) {
        let handles = &*HANDLES;
        let flush = || handles.guard.client().flush(Duration::from_secs(60)).expect("nothing is in its way");
        bencher.with_inputs(flush).bench_values(|()| {
            for i in 0..OPS {
                handles.apart.record(value(black_box(i)));
            }
        });
    }

    #[divan::bench]
    fn timing_start_and_stop(bencher: Bencher) {
        million(bencher, |handles, _| drop(handles.timing.start()));
    }

    #[divan::bench]
    fn occupancy_acquire_and_release(bencher: Bencher) {
        million(bencher, |handles, _| drop(black_box(handles.occupancy.acquire())));
    }

    #[divan::bench]
    fn occupancy_with_oldest_acquire_and_release(bencher: Bencher) {
        million(bencher, |handles, _| drop(black_box(handles.with_oldest.acquire())));
    }

    /// Three readings of the clock are in it.
    #[divan::bench]
    fn holder_wait_acquire_and_give_back(bencher: Bencher) {
        million(bencher, |handles, i| drop(black_box(handles.holder.wait().acquired(i))));
    }

    /// With as many others held as 64 tasks hold at once.
    #[divan::bench]
    fn holder_wait_acquire_and_give_back_among_64(bencher: Bencher) {
        let held: Vec<_> = (0..64).map(|n| HANDLES.holder.hold(n)).collect();
        million(bencher, |handles, i| drop(black_box(handles.holder.wait().acquired(i))));
        drop(held);
    }

    /// These three read the clock three times.
    #[divan::bench]
    fn queue_depth_enter_start_end(bencher: Bencher) {
        million(bencher, |handles, _| handles.depth.enter().start().end(black_box(Outcome::Ok)));
    }

    #[divan::bench]
    fn work_queue_enter_start_end(bencher: Bencher) {
        million(bencher, |handles, _| handles.queue.enter().start().end(black_box(Outcome::Ok)));
    }

    #[divan::bench]
    fn work_queue_with_promise_enter_start_end(bencher: Bencher) {
        million(bencher, |handles, _| handles.promised.enter().start().end(black_box(Outcome::Ok)));
    }

    /// A decision and its count.
    #[divan::bench]
    fn gate_admits_open(bencher: Bencher) {
        million(bencher, |handles, _| {
            black_box(handles.open.admits());
        });
    }

    #[divan::bench]
    fn gate_admits_shedding(bencher: Bencher) {
        million(bencher, |handles, _| {
            black_box(handles.shed.admits());
        });
    }

    #[divan::bench]
    fn gate_admits_by_name(bencher: Bencher) {
        million(bencher, |handles, _| {
            black_box(handles.gate.admits(black_box("within_5_minutes")));
        });
    }

    #[divan::bench]
    fn objective_record(bencher: Bencher) {
        million(bencher, |handles, i| handles.objective.record(Duration::from_nanos(u64::from(i))));
    }

    /// Most of these meet a full channel: nobody empties it here.
    #[divan::bench]
    fn set_insert_when_full(bencher: Bencher) {
        million(bencher, |handles, _| handles.set.insert("user-7"));
    }
}

#[divan::bench_group(threads = [1, 2], sample_count = 20)]
mod by_name {
    use super::{Bencher, black_box, million};

    #[divan::bench]
    fn gauge_set(bencher: Bencher) {
        million(bencher, |handles, i| {
            handles.guard.client().gauge("gauge").tag("pool", black_box("primary")).set(f64::from(i));
        });
    }

    #[divan::bench]
    fn counter_increment(bencher: Bencher) {
        million(bencher, |handles, _| {
            handles.guard.client().counter("counter").tag("pool", black_box("primary")).increment(1);
        });
    }
}

/// Tags that vary at run time and can't explode: members of a family, and a value with a limit.
#[divan::bench_group(threads = [1, 2], sample_count = 20)]
mod limited {
    use super::{Bencher, Outcome, StatusClass, black_box, million};

    #[divan::bench]
    fn closed_counter_increment(bencher: Bencher) {
        million(bencher, |handles, i| {
            let tags = (Outcome::Ok, StatusClass::from(black_box((i % 512) as u16)));
            handles.closed_counter.at(tags).increment(1);
        });
    }

    #[divan::bench]
    fn closed_counter_increment_same(bencher: Bencher) {
        million(bencher, |handles, _| {
            handles.closed_counter.at(black_box((Outcome::Ok, StatusClass::Success))).increment(1);
        });
    }

    #[divan::bench]
    fn closed_gauge_set_same(bencher: Bencher) {
        million(bencher, |handles, i| {
            handles.closed_gauge.at(black_box((Outcome::Ok, StatusClass::Success))).set(f64::from(i));
        });
    }

    #[divan::bench]
    fn bounded_counter_increment(bencher: Bencher) {
        million(bencher, |handles, _| handles.bounded.at(black_box("primary")).increment(1));
    }

    #[divan::bench]
    fn bounded_counter_increment_folded(bencher: Bencher) {
        million(bencher, |handles, _| handles.folded.at(black_box("primary")).increment(1));
    }

    #[divan::bench]
    fn most_frequent_counter_increment(bencher: Bencher) {
        million(bencher, |handles, _| handles.frequent.at(black_box("primary")).increment(1));
    }
}

#[divan::bench_group(threads = [1, 2], sample_count = 20)]
mod literal {
    use super::{Bencher, million};

    #[divan::bench]
    fn gauge_set(bencher: Bencher) {
        million(bencher, |_, i| tasktag::gauge!("literal.gauge", "pool" => "primary").set(f64::from(i)));
    }

    #[divan::bench]
    fn counter_increment(bencher: Bencher) {
        million(bencher, |_, _| tasktag::counter!("literal.counter", "pool" => "primary").increment(1));
    }
}

#[divan::bench_group(threads = [1, 2], sample_count = 20)]
mod primitive {
    use super::{AtomicU64, Bencher, Instant, Ordering, black_box, million};

    static WORD: AtomicU64 = AtomicU64::new(0);

    #[divan::bench]
    fn relaxed_store(bencher: Bencher) {
        million(bencher, |_, i| WORD.store(u64::from(i), Ordering::Relaxed));
    }

    #[divan::bench]
    fn fetch_add(bencher: Bencher) {
        million(bencher, |_, _| {
            WORD.fetch_add(1, Ordering::Relaxed);
        });
    }

    #[divan::bench]
    fn instant_now(bencher: Bencher) {
        million(bencher, |_, _| {
            black_box(Instant::now());
        });
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--one", name, turns] => instructions::one(name, turns.parse().expect("a number")),
        [.., "--instructions"] | ["--instructions", ..] => instructions::print(),
        _ => divan::main(),
    }
}
