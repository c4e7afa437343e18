//! How long a single call takes: with the agent there and away, with other faults around it, and now and then from a
//! cold cache.

mod background;
mod process;

use crate::away::process::{Latency, run};
use crate::contestant::Operation;
use crate::peers::{self, DOGSTATSD, FLOOR, OURS, PROMETHEUS};
use crate::receiver::{Directory, Receiver, blackhole, closed_port, stalled};
use crate::report::{self, Csv, Table};
use crate::samples::{Samples, Summary};
use std::time::Duration;

pub use crate::away::background::Background;
pub use crate::away::process::{Condition, Pace, child};

const HOT: Pace = Pace::Hot(Duration::from_millis(150));
const COLD: Pace = Pace::Cold(500);

/// Contestant, operation, condition, percentile.
type Key = (&'static str, Operation, &'static str, &'static str);

/// Who is asked, and for what.
const GAUGES: [(&str, Operation); 5] = [
    (OURS, Operation::GaugeSet),
    (DOGSTATSD, Operation::GaugeSet),
    ("cadence", Operation::GaugeByName),
    ("rylv-metrics/shared", Operation::GaugeSet),
    (FLOOR, Operation::GaugeSet),
];
const FAULTY_CALLS: [(&str, Operation); 5] = [
    (OURS, Operation::GaugeSet),
    (OURS, Operation::CounterIncrement),
    (OURS, Operation::TimingRecord),
    (OURS, Operation::GaugeByName),
    (OURS, Operation::TimingByName),
];
const COLD_CALLS: [(&str, Operation); 10] = [
    (OURS, Operation::GaugeSet),
    (FLOOR, Operation::GaugeSet),
    (OURS, Operation::CounterIncrement),
    (FLOOR, Operation::CounterIncrement),
    (OURS, Operation::TimingRecord),
    (OURS, Operation::GaugeByName),
    (PROMETHEUS, Operation::GaugeByName),
    (DOGSTATSD, Operation::GaugeSet),
    ("rylv-metrics/shared", Operation::GaugeSet),
    ("cadence", Operation::GaugeByName),
];

pub fn measure(rounds: usize, csv: &mut Csv) {
    let directory = Directory::new();
    let (udp, unix) = (Receiver::udp(false), Receiver::unix(&directory, false));
    let (_full, stalled) = stalled(&directory);
    let conditions = [
        ("udp-present", udp.agent().clone().into()),
        ("udp-closed", closed_port().into()),
        ("unix-present", unix.agent().clone().into()),
        ("unix-missing", directory.missing().into()),
        ("unix-stalled", stalled.into()),
    ];
    let samples = sample(rounds, &GAUGES, &conditions);
    udp.finish();
    unix.finish();
    let names = conditions.map(|(name, _)| name);
    report::title(&format!(
        "A single gauge set with the agent away: middle / p99 / p99.99 ns, median of {rounds} rounds"
    ));
    println!(
        "Each call is timed by itself, the clock's own time included; flushes every 10 ms. The middle is the mean of the middle nine tenths.\n"
    );
    print_table(&GAUGES, &names, &samples);
    report::title("Agent away: ratios of the 99.99th percentile");
    for (away, present) in
        [("udp-closed", "udp-present"), ("unix-missing", "unix-present"), ("unix-stalled", "unix-present")]
    {
        print_ratio(&format!("away-{away}"), Operation::GaugeSet, away, present, &samples);
    }
    println!();
    write(&samples, "away", csv);
}

/// Our calls while something else goes wrong than the way to the agent.
pub fn measure_faults(rounds: usize, csv: &mut Csv) {
    let agent = Receiver::udp(false);
    let conditions = Background::COMPARED
        .map(|background| (background.name(), Condition { agent: agent.agent().clone(), background }));
    let samples = sample(rounds, &FAULTY_CALLS, &conditions);
    agent.finish();
    report::title(&format!(
        "A single call beside a fault: middle / p99 / p99.99 ns, median of {rounds} rounds"
    ));
    println!("Calm is with watches that answer, and with several packets a flush.\n");
    let names = conditions.map(|(name, _)| name);
    print_table(&FAULTY_CALLS, &names, &samples);
    report::title("Beside a fault: ratios of the 99.99th percentile");
    let [calm, faults @ ..] = names;
    for fault in faults {
        for (_, operation) in FAULTY_CALLS {
            print_ratio(&format!("{fault}-{}", operation.name()), operation, fault, calm, &samples);
        }
    }
    println!();
    write(&samples, "faults", csv);
}

/// Each call under each condition once a round, in turns.
fn sample(
    rounds: usize,
    calls: &[(&'static str, Operation)],
    conditions: &[(&'static str, Condition)],
) -> Samples<Key> {
    let mut samples = Samples::new();
    for round in 0..rounds {
        for &(name, operation) in calls {
            for turn in 0..conditions.len() {
                let (label, condition) = &conditions[(round + turn) % conditions.len()];
                if let Some(latency) = run(name, operation, condition, HOT) {
                    push(&mut samples, name, operation, label, latency);
                }
            }
        }
    }
    samples
}

/// The 99.99th percentile of our calls under one condition, divided by that under another.
fn print_ratio(
    what: &str,
    operation: Operation,
    over: &'static str,
    under: &'static str,
    samples: &Samples<Key>,
) {
    let key = |condition| (OURS, operation, condition, "p99.99");
    report::ratio(what, &format!("tasktag/{under}"), samples.ratio(key(over), key(under)), Some(2.0));
}

/// One update every 50 µs.
pub fn measure_cold(rounds: usize, csv: &mut Csv) {
    let (_socket, agent) = blackhole();
    let condition = Condition::from(agent);
    let mut samples = Samples::new();
    for round in 0..rounds {
        for turn in 0..COLD_CALLS.len() {
            let (name, operation) = COLD_CALLS[(round + turn) % COLD_CALLS.len()];
            if let Some(latency) = run(name, operation, &condition, COLD) {
                push(&mut samples, name, operation, "cold", latency);
            }
        }
    }
    report::title(&format!(
        "One update every 50 µs, cold: middle / p99 / p99.99 ns, median of {rounds} rounds"
    ));
    print_table(&COLD_CALLS, &["cold"], &samples);
    report::title("Cold: ratios");
    let key = |name, operation, percentile| (name, operation, "cold", percentile);
    for (operation, percentile, target) in [
        (Operation::GaugeSet, "middle", Some(2.0)),
        (Operation::GaugeSet, "p99", None),
        (Operation::CounterIncrement, "middle", None),
    ] {
        let (ours, floor) = (key(OURS, operation, percentile), key(FLOOR, operation, percentile));
        let over_under = if operation == Operation::GaugeSet { "tasktag/store" } else { "tasktag/fetch_add" };
        report::ratio(
            &format!("cold-{}-{percentile}", operation.name()),
            over_under,
            samples.ratio(ours, floor),
            target,
        );
    }
    println!();
    write(&samples, "cold", csv);
}

fn push(
    samples: &mut Samples<Key>,
    name: &'static str,
    operation: Operation,
    condition: &'static str,
    latency: Latency,
) {
    let Latency { middle, p99, p99_99 } = latency;
    for (percentile, value) in [("middle", middle), ("p99", p99), ("p99.99", p99_99)] {
        samples.push((name, operation, condition, percentile), value);
    }
}

fn print_table(rows: &[(&'static str, Operation)], conditions: &[&'static str], samples: &Samples<Key>) {
    let mut head = vec!["contestant", "operation"];
    head.extend(conditions);
    let mut table = Table::new(&head);
    for &(name, operation) in rows {
        let mut cells = vec![name.to_owned(), operation.name().to_owned()];
        cells.extend(conditions.iter().map(|&condition| {
            let cell = |percentile| {
                let median = samples.median((name, operation, condition, percentile));
                median.map_or_else(|| "–".to_owned(), |median| format!("{median:.0}"))
            };
            ["middle", "p99", "p99.99"].map(cell).join(" / ")
        }));
        table.row(cells);
    }
    table.print();
}

fn write(samples: &Samples<Key>, section: &str, csv: &mut Csv) {
    for key @ (name, operation, condition, percentile) in samples.keys() {
        let summary: Option<Summary> = samples.summary(key);
        if let Some((entry, summary)) = peers::find(name).zip(summary) {
            let what = format!("{}-{condition}-{percentile}", operation.name());
            csv.add(section, name, entry.sort.name(), &what, 1, summary);
        }
    }
}
