//! Instructions and allocations of a call, counted by callgrind: exact where times are not.

use divan::black_box;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, process};
use tasktag::testing::Capture;
use tasktag::{
    Admission, BoundedFamily, Client, ClosedTag, Counter, Distribution, Family, FrequentFamily, Gate,
    GateClass, Gauge, Guard, Holder, HttpMethod, Load, Occupancy, Outcome, QueueDepth, StatusClass,
    WorkQueue,
};

/// Set-up cancels out between the two.
const FEW: u32 = 10_000;
const MANY: u32 = 210_000;
/// Calls between two flushes at the start, and how many such times until no timing's table grows any more.
const BUSY: u32 = 45_000;
const SETTLING: u32 = 8;
const HALF_LIFE: Duration = Duration::from_secs(60);
const TEXTS: [&str; 8] =
    ["primary", "replica-1", "replica-2", "/cart", "/cart/items", "/login", "/pay", "reports"];

/// With these each place of a bounded tag is taken.
const NEVER_CALLED: [&str; 42] = {
    let mut texts = ["/never/called/.."; 42];
    let mut at = 0;
    while at < texts.len() {
        (texts[at], _) = "/never/called/but/there/are/42/of/these/that/differ".split_at(at + 1);
        at += 1;
    }
    texts
};

/// A call site as a function of its own: a handle is found in memory, and what it is called with is in registers. All
/// are given the same, so that what surrounds the call cancels out, too.
type Call = fn(&Handles, f64, Outcome, StatusClass, HttpMethod, &&str, Zone);

tasktag::tags! {
    enum Zone: "zone" { North, East, South, West }
}

/// A fifth value beside the zones, and so a family of 300 members.
#[derive(Clone, Copy)]
struct Area(Zone);

impl ClosedTag for Area {
    const KEY: &'static str = "area";
    const VALUES: &'static [&'static str] = &["north", "east", "south", "west", "middle"];

    fn index(self) -> usize {
        self.0.index()
    }
}

type Many<M> = Family<M, (Area, StatusClass, HttpMethod)>;

/// What there is of one kind.
struct Of<M> {
    plain: M,
    one: Family<M, Outcome>,
    two: Family<M, (Outcome, StatusClass)>,
    three: Family<M, (Outcome, StatusClass, HttpMethod)>,
    large: Family<M, (Zone, StatusClass, HttpMethod)>,
    bounded: BoundedFamily<M>,
    folding: BoundedFamily<M>,
    frequent: FrequentFamily<M>,
    frequent_folding: FrequentFamily<M>,
}

struct Handles {
    guard: Guard,
    gauge: Of<Gauge>,
    many_gauges: Many<Gauge>,
    many_counters: Many<Counter>,
    counter: Of<Counter>,
    timing: Of<Distribution>,
    occupancy: Occupancy,
    with_oldest: Occupancy,
    holder: Holder,
    depth: QueueDepth,
    queue: WorkQueue,
    gate: Gate,
    open: GateClass,
    shed: GateClass,
}

macro_rules! of {
    ($client:ident, $kind:ident) => {
        Of {
            plain: $client.$kind(concat!(stringify!($kind), ".plain")).tag("pool", "primary").register(),
            one: $client.$kind(concat!(stringify!($kind), ".one")).register_family(),
            two: $client.$kind(concat!(stringify!($kind), ".two")).register_family(),
            three: $client.$kind(concat!(stringify!($kind), ".three")).register_family(),
            large: $client.$kind(concat!(stringify!($kind), ".large")).register_family(),
            bounded: $client
                .$kind(concat!(stringify!($kind), ".bounded"))
                .bounded("pool", 50)
                .allow(&NEVER_CALLED)
                .register(),
            folding: $client.$kind(concat!(stringify!($kind), ".folding")).bounded("pool", 0).register(),
            frequent: $client
                .$kind(concat!(stringify!($kind), ".frequent"))
                .bounded("pool", 50)
                .allow(&NEVER_CALLED)
                .most_frequent(HALF_LIFE)
                .register(),
            frequent_folding: $client
                .$kind(concat!(stringify!($kind), ".frequent.folding"))
                .bounded("pool", 0)
                .most_frequent(HALF_LIFE)
                .register(),
        }
    };
}

macro_rules! calls {
    ($kind:ident, $value:ident, $($verb:tt)+) => {
        [
            (concat!(stringify!($kind), ", plain handle"), |all, $value, _, _, _, _, _| all.$kind.plain.$($verb)+),
            (concat!(stringify!($kind), ", family of one closed tag"), |all, $value, a, _, _, _, _| {
                all.$kind.one.at(a).$($verb)+
            }),
            (concat!(stringify!($kind), ", family of two"), |all, $value, a, b, _, _, _| {
                all.$kind.two.at((a, b)).$($verb)+
            }),
            (concat!(stringify!($kind), ", family of two, a literal"), |all, $value, _, _, _, _, _| {
                all.$kind.two.at((Outcome::Error, StatusClass::ServerError)).$($verb)+
            }),
            (concat!(stringify!($kind), ", family of three"), |all, $value, a, b, c, _, _| {
                all.$kind.three.at((a, b, c)).$($verb)+
            }),
            (concat!(stringify!($kind), ", family of three with 240 members"), |all, $value, _, b, c, _, zone| {
                all.$kind.large.at((zone, b, c)).$($verb)+
            }),
            (concat!(stringify!($kind), " by name, one tag"), |all, $value, _, _, _, text, _| {
                all.guard.client().$kind(concat!(stringify!($kind), ".by_name")).tag("pool", *text).$($verb)+
            }),
            (concat!(stringify!($kind), ", bounded tag"), |all, $value, _, _, _, text, _| {
                all.$kind.bounded.at(*text).$($verb)+
            }),
            (concat!(stringify!($kind), ", bounded tag, folded"), |all, $value, _, _, _, text, _| {
                all.$kind.folding.at(*text).$($verb)+
            }),
            (concat!(stringify!($kind), ", most frequent"), |all, $value, _, _, _, text, _| {
                all.$kind.frequent.at(*text).$($verb)+
            }),
            (concat!(stringify!($kind), ", most frequent, folded"), |all, $value, _, _, _, text, _| {
                all.$kind.frequent_folding.at(*text).$($verb)+
            }),
        ]
    };
}

const NOTHING: (&str, Call) = ("nothing", |_, _, _, _, _, _, _| {});
/// The readings of the clock are in them: two of an occupancy, and three of a queue.
const TIMED: [(&str, Call); 5] = [
    ("occupancy, acquire and release", |all, _, _, _, _, _, _| drop(black_box(all.occupancy.acquire()))),
    ("occupancy with its oldest, acquire and release", |all, _, _, _, _, _, _| {
        drop(black_box(all.with_oldest.acquire()));
    }),
    ("holder, wait, acquire and give back", |all, _, _, _, _, _, _| {
        drop(black_box(all.holder.wait().acquired(())));
    }),
    ("queue depth, enter, start and end", |all, _, outcome, _, _, _, _| {
        black_box(black_box(all.depth.enter()).start()).end(outcome);
    }),
    ("work queue, enter, start and end", |all, _, outcome, _, _, _, _| {
        black_box(black_box(all.queue.enter()).start()).end(outcome);
    }),
];

/// A decision, with its count.
const GATES: [(&str, Call); 3] = [
    ("gate, admits, open", |all, _, _, _, _, _, _| {
        black_box(all.open.admits());
    }),
    ("gate, admits, shedding", |all, _, _, _, _, _, _| {
        black_box(all.shed.admits());
    }),
    ("gate, admits by the name of one of two classes", |all, _, _, _, _, _, _| {
        black_box(all.gate.admits(black_box("within_5_minutes")));
    }),
];

fn calls() -> [Vec<(&'static str, Call)>; 3] {
    let gauges: [(_, Call); 11] = calls!(gauge, value, set(value));
    let counters: [(_, Call); 11] = calls!(counter, _value, increment(1));
    let timings: [(_, Call); 11] = calls!(timing, value, record(value));
    let [mut gauges, mut counters, mut timings] = [gauges, counters, timings].map(Vec::from);
    gauges.push(("gauge, macro", |_, value, _, _, _, _, _| {
        tasktag::gauge!("gauge.macro", "pool" => "primary").set(value);
    }));
    counters.push(("counter, macro", |_, _, _, _, _, _, _| {
        tasktag::counter!("counter.macro", "pool" => "primary").increment(1);
    }));
    timings.push(("timing, macro", |_, value, _, _, _, _, _| {
        tasktag::timing!("timing.macro", "pool" => "primary").record(value);
    }));
    // Timings can't be so many.
    gauges.push(("gauge, family of three with 300 members", |all, value, _, b, c, _, zone| {
        all.many_gauges.at((Area(zone), b, c)).set(value);
    }));
    counters.push(("counter, family of three with 300 members", |all, _, _, b, c, _, zone| {
        all.many_counters.at((Area(zone), b, c)).increment(1);
    }));
    [gauges, counters, timings]
}

impl Handles {
    /// A client that does nothing by itself: only call sites are measured.
    fn new() -> Self {
        let never = Duration::from_secs(3600);
        let builder = Client::builder()
            .capture(&Capture::new())
            .context_limit(10_000)
            .flush_interval(never)
            .collect_interval(never);
        // The macros find it.
        let guard = builder.install().expect("the settings are good");
        let client = guard.client();
        let many_gauges = client.gauge("gauge.many").register_family();
        let gate = client.gate("database").class("within_24_hours", Admission::below(0.5));
        let gate =
            gate.class("within_5_minutes", Admission::below(1.5)).register().expect("the settings are good");
        gate.set_load(Load::of(1.0));
        let many_counters = client.counter("counter.many").register_family();
        Self {
            many_gauges,
            many_counters,
            gauge: of!(client, gauge),
            counter: of!(client, counter),
            timing: of!(client, timing),
            occupancy: client.occupancy("occupancy", 10).tag("pool", "primary").register(),
            with_oldest: client.occupancy("occupancy.oldest", 10).tag("pool", "primary").oldest().register(),
            holder: client.holders("primary", 10).of("checkout"),
            depth: QueueDepth::default(),
            queue: client.work_queue("queue").register(),
            open: gate.class("within_5_minutes"),
            shed: gate.class("within_24_hours"),
            gate,
            guard,
        }
    }

    fn run(&self, call: Call, turns: u32) {
        for i in 0..turns {
            let outcome = Outcome::ALL[i as usize % Outcome::ALL.len()];
            let class = StatusClass::ALL[i as usize % StatusClass::ALL.len()];
            let method = HttpMethod::ALL[i as usize % HttpMethod::ALL.len()];
            let text = &TEXTS[i as usize % TEXTS.len()];
            let zone = Zone::ALL[i as usize % Zone::ALL.len()];
            black_box(call)(self, f64::from(i % 256), outcome, class, method, text, zone);
        }
    }
}

/// The process that is counted.
pub(crate) fn one(name: &str, turns: u32) {
    let call = calls()
        .into_iter()
        .flatten()
        .chain(TIMED)
        .chain(GATES)
        .chain([NOTHING])
        .find(|(known, _)| *known == name);
    let (_, call) = call.expect("a call's name");
    let handles = Handles::new();
    // A text has a context, and a timing the table that a busy one has, before it is counted.
    for _ in 0..SETTLING {
        handles.run(call, BUSY);
        handles.guard.client().flush(Duration::from_secs(60)).expect("the capture takes everything");
    }
    // What a flush leaves empty is written again.
    handles.run(call, BUSY);
    handles.run(call, turns);
    process::exit(0);
}

/// Prints what each call costs, as the table that is in the README.
pub(crate) fn print() {
    let nothing = per_call(NOTHING.0);
    println!("| operation | instructions | of a plain handle | of a call by name | allocations |");
    println!("|---|---|---|---|---|");
    for kind in calls() {
        let costs: Vec<_> = kind.into_iter().map(|(name, _)| (name, per_call(name))).collect();
        let cost = |what: &str| {
            let found = costs.iter().find(|(name, _)| name.contains(what)).expect("it is in the table");
            found.1.instructions - nothing.instructions
        };
        let (plain, by_name) = (cost("plain"), cost("by name"));
        for (name, Cost { instructions, allocations }) in costs {
            let (own, allocations) = (instructions - nothing.instructions, allocations - nothing.allocations);
            println!("| {name} | {own:.0} | {:.2} | {:.2} | {allocations:.0} |", own / plain, own / by_name);
        }
    }
    for (name, _) in TIMED.into_iter().chain(GATES) {
        let Cost { instructions, allocations } = per_call(name);
        let (own, allocations) = (instructions - nothing.instructions, allocations - nothing.allocations);
        println!("| {name} | {own:.0} | – | – | {allocations:.0} |");
    }
}

#[derive(Clone, Copy)]
struct Cost {
    instructions: f64,
    allocations: f64,
}

/// What a call costs. Where its texts are hashed with a key by chance, and now and then two of them meet in a place,
/// the median of three processes.
fn per_call(name: &str) -> Cost {
    if !name.contains("bounded") && !name.contains("frequent") {
        return per_call_of_one(name);
    }
    let mut costs = [(); 3].map(|()| per_call_of_one(name));
    costs.sort_by(|a, b| a.instructions.total_cmp(&b.instructions));
    costs[1]
}

fn per_call_of_one(name: &str) -> Cost {
    let (few, many) = (count(name, FEW), count(name, MANY));
    let per_turn = |part: fn(&Cost) -> f64| (part(&many) - part(&few)) / f64::from(MANY - FEW);
    assert!(few.allocations > 0.0, "setting up allocates: what counts that does not");
    Cost { instructions: per_turn(|cost| cost.instructions), allocations: per_turn(|cost| cost.allocations) }
}

fn count(name: &str, turns: u32) -> Cost {
    let out = env::temp_dir().join(format!("tasktag-instructions-{}", process::id()));
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes", "-q"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe().expect("it runs"))
        .args(["--one", name, &turns.to_string()])
        .stdout(Stdio::null())
        .status()
        .expect("valgrind is installed");
    assert!(status.success(), "callgrind: {status}");
    // The first thread is the one that calls.
    let first = out.with_file_name(format!("{}-01", out.file_name().expect("it has one").display()));
    let profile = fs::read_to_string(first).expect("callgrind wrote it");
    remove_all(&out);
    read(&profile)
}

/// Removes the files of all threads.
fn remove_all(out: &Path) {
    let name = out.file_name().expect("it has one").to_string_lossy();
    let entries = out.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&*name)) {
        let _ = fs::remove_file(entry.path());
    }
}

/// Reads the sum of all instructions, and how often the C library was asked for memory. A function is named once, and
/// from then on by its number.
fn read(profile: &str) -> Cost {
    let mut cost = Cost { instructions: 0.0, allocations: 0.0 };
    let mut names = HashMap::new();
    let mut called = "";
    for line in profile.lines() {
        if let Some((what, function)) = line.split_once('=').filter(|(what, _)| ["fn", "cfn"].contains(what))
        {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            if what == "cfn" {
                called = names.get(number).copied().unwrap_or_default();
            }
        } else if let Some(calls) = line.strip_prefix("calls=") {
            if ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"].contains(&called) {
                let times = calls.split(' ').next().and_then(|times| times.parse().ok());
                cost.allocations += times.unwrap_or(0.0);
            }
        } else if let Some(total) = line.strip_prefix("totals:") {
            cost.instructions = total.trim().parse().expect("a number");
        }
    }
    cost
}
