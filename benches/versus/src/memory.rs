//! What contexts cost in memory: each contestant and row in a process of its own.

use crate::allocations;
use crate::contestant::{Agent, Holding, Kind, Setup};
use crate::peers::{self, OURS};
use crate::receiver::blackhole;
use crate::report::{self, Csv, Table};
use crate::samples::Summary;
use std::process::Command;
use std::time::Duration;
use std::{env, fs, iter, thread};
use tasktag::{Client, HttpMethod, StatusClass};

/// For the contestants that only flush by themselves.
const INTERVAL: Duration = Duration::from_millis(200);
const CONTESTANTS: [&str; 6] = [
    OURS,
    peers::DOGSTATSD,
    peers::DOGSTATSD_SAMPLING,
    peers::CADENCE,
    "rylv-metrics/shared",
    "rylv-metrics/thread-local",
];
/// Contexts that get their values between two flushes: no queue and no stock is asked for more than it holds.
const AT_ONCE: usize = 40;

/// What is held.
#[derive(Clone, Copy, Debug)]
struct Row {
    name: &'static str,
    label: &'static str,
    kind: Kind,
    contexts: usize,
    values: fn() -> Vec<f64>,
}

const ROWS: [Row; 6] = [
    Row { name: "gauge", label: "gauge, of 100,000", kind: Kind::Gauge, contexts: 100_000, values: one },
    Row {
        name: "counter",
        label: "counter, of 100,000",
        kind: Kind::Counter,
        contexts: 100_000,
        values: one,
    },
    Row { name: "1", label: "timing, 1 value", kind: Kind::Timing, contexts: 2_000, values: one },
    Row {
        name: "30", label: "… 30 over three decades", kind: Kind::Timing, contexts: 2_000, values: thirty
    },
    Row { name: "narrow", label: "… 1,000, σ 0.5", kind: Kind::Timing, contexts: 400, values: narrow },
    Row { name: "wide", label: "… 1,000, σ 1", kind: Kind::Timing, contexts: 400, values: wide },
];

fn one() -> Vec<f64> {
    vec![12.0]
}

fn thirty() -> Vec<f64> {
    (0..30).map(|step| 10_f64.powf(f64::from(step) / 10.0)).collect()
}

fn narrow() -> Vec<f64> {
    log_normal(0.5)
}

fn wide() -> Vec<f64> {
    log_normal(1.0)
}

/// A thousand values around 200, the same each time: the sum of twelve evenly spread numbers is as good as normal.
fn log_normal(sigma: f64) -> Vec<f64> {
    let mut state = 1_u64;
    let mut even = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut normal = || iter::repeat_with(&mut even).take(12).sum::<f64>() - 6.0;
    (0..1000).map(|_| 200.0 * (sigma * normal()).exp()).collect()
}

pub fn measure(csv: &mut Csv) {
    report::title("Resident memory a context after a flush, kB; whole programs, MB");
    let mut table =
        Table::new(&iter::once("contestant").chain(ROWS.map(|row| row.label)).collect::<Vec<_>>());
    for name in CONTESTANTS {
        let bytes = ROWS.map(|row| (row, run(name, row.name)));
        let cells = bytes.map(|(_, bytes)| report::short(bytes.map(|bytes| bytes / 1e3)));
        table.row(iter::once(name.to_owned()).chain(cells).collect());
        for (row, summary) in bytes.into_iter().filter_map(|(row, bytes)| Some((row, Summary::of(bytes)?))) {
            let sort = peers::find(name).map_or("", |entry| entry.sort.name());
            csv.add("memory", name, sort, row.name, 1, summary);
        }
    }
    table.print();
    let mut table = Table::new(&["tasktag", "kB"]);
    for own in OWN {
        let kb = run(OURS, own.0).map(|bytes| bytes / 1e3);
        table.row(vec![own.1.to_owned(), report::short(kb)]);
    }
    table.print();
}

/// Measures one row in a process of its own; bytes.
pub fn run(contestant: &str, row: &str) -> Option<f64> {
    let (_socket, agent) = blackhole();
    let output = Command::new(env::current_exe().expect("it runs"))
        .args(["--memory", contestant, row, &agent.to_string()])
        .output()
        .expect("it can be run again");
    String::from_utf8_lossy(&output.stdout).trim().parse().ok().filter(|_| output.status.success())
}

/// The process that is measured.
pub fn child(contestant: &str, row: &str, agent: Agent) {
    if let Some((_, _, own)) = OWN.iter().find(|(name, ..)| *name == row) {
        return println!("{}", own(&agent));
    }
    let row = ROWS.into_iter().find(|known| known.name == row).expect("a row's name");
    let entry = peers::find(contestant).expect("a contestant's name");
    let contestant = (entry.build)(&Setup { agent, interval: Some(INTERVAL) }).expect("it sends to UDP");
    let tags: Vec<String> = (0..row.contexts).map(|n| format!("{n:06}")).collect();
    let values = (row.values)();
    contestant.flush();
    let before = resident();
    let mut kept = Vec::new();
    let at_once = if values.len() > 100 { AT_ONCE } else { row.contexts };
    for tags in tags.chunks(at_once) {
        let holding = Holding { kind: row.kind, name: "held", tags, values: &values };
        let Some(handles) = contestant.hold(&holding) else { return };
        kept.push(handles);
        contestant.flush();
    }
    contestant.flush();
    println!("{}", (resident() - before) / row.contexts as f64);
    drop(kept);
}

/// What others have nothing like: name, label, and the bytes that it takes.
type Own = (&'static str, &'static str, fn(&Agent) -> f64);

const OWN: [Own; 3] = [
    ("hot", "a timing, 4,096 buckets in use, eight threads", hot),
    ("family", "a family of 240 timings, 8 of them used", family),
    ("program", "a whole program of four threads and 200 timings", program),
];

pub fn client(agent: &Agent) -> tasktag::Guard {
    Client::builder().agent(agent.to_string()).build().expect("a client")
}

fn flush(guard: &tasktag::Guard) {
    guard.client().flush(Duration::from_secs(60)).expect("everything is sent");
}

/// The least value of each of 4,096 buckets in a row.
fn every_bucket() -> impl Iterator<Item = f64> + Clone {
    (0..4096_u64).map(|step| f64::from_bits((1015 << 52) + (step << 45)))
}

/// What the last of five keeps of the allocator: the others pay for the threads' tables and for the worker's buffers,
/// and those that nobody uses for the stock. Nothing flushes beside it, as the buffers of the others would be given
/// back meanwhile. The resident memory of the process would also have what the allocator keeps for each thread.
fn hot(agent: &Agent) -> f64 {
    let hour = Duration::from_secs(3600);
    allocations::counted(|allocated| {
        let guard =
            Client::builder().agent(agent.to_string()).flush_interval(hour).build().expect("a client");
        let unused: Vec<_> =
            (0..100).map(|n| guard.client().timing(&format!("unused.{n}")).register()).collect();
        let others = ["first", "second", "third", "fourth"].map(|name| heat(&guard, name));
        let before = allocated();
        let last = heat(&guard, "last");
        let kept = allocated() - before;
        drop((unused, others, last));
        kept as f64
    })
}

/// Has eight threads record into every bucket of a timing, until all tables are there that it may have.
fn heat(guard: &tasktag::Guard, name: &str) -> tasktag::Distribution {
    let timing = guard.client().timing(name).register();
    for _ in 0..12 {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for value in (0..40).flat_map(|_| every_bucket()) {
                        // Threads of two processors meet where one is put off: on one bucket more often.
                        timing.record(12.5);
                        timing.record(value);
                    }
                });
            }
        });
        flush(guard);
    }
    timing
}

tasktag::tags! {
    enum Zone: "zone" { North, East, South, West }
}

fn family(agent: &Agent) -> f64 {
    let guard = client(agent);
    flush(&guard);
    let before = resident();
    let took = guard.client().timing("took").register_family::<(Zone, StatusClass, HttpMethod)>();
    for zone in Zone::ALL {
        took.at((*zone, StatusClass::ALL[1], HttpMethod::ALL[0])).record(12.5);
        took.at((*zone, StatusClass::ALL[1], HttpMethod::ALL[1])).record(12.5);
    }
    flush(&guard);
    resident() - before
}

fn program(agent: &Agent) -> f64 {
    let guard = client(agent);
    thread::scope(|scope| {
        for share in 0..4 {
            let client = guard.client().clone();
            scope.spawn(move || {
                for n in 0..50 {
                    let timing = client.timing("took").tag("n", &(50 * share + n).to_string()).register();
                    (1..=20).for_each(|value| timing.record(f64::from(value)));
                }
            });
        }
    });
    flush(&guard);
    resident()
}

/// Bytes of memory that this process has.
pub fn resident() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    // SAFETY: It only answers.
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as f64
}
