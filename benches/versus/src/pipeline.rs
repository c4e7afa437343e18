//! A million updates over a hundred series, from the call sites to the agent, each contestant in a process of its own.

mod check;
mod process;

use crate::contestant::Sort;
use crate::peers::{self, FLOOR, OURS};
use crate::pipeline::check::Received;
use crate::pipeline::process::Run;
use crate::report::{self, Csv, Table, short};
use crate::samples::Samples;
use crate::targets::{BRIDGES, Bridge};
use crate::traffic::Style;
use std::collections::BTreeMap;

pub use crate::pipeline::process::{child, run};

/// Contestant, style, threads.
type Flow = (&'static str, Style, u32);

const PEAK_MB: f64 = 8.0;
const BYTES_KB: f64 = 200.0;

pub fn measure(rounds: usize, csv: &mut Csv) {
    let mut flows = flows();
    let mut cpu = Samples::new();
    let mut runs: BTreeMap<Flow, Vec<Run>> = BTreeMap::new();
    for _ in 0..rounds {
        for &flow @ (name, style, threads) in &flows {
            if let Some(run) = run(name, style, threads) {
                cpu.push(flow, run.cpu_ms);
                runs.entry(flow).or_default().push(run);
            }
        }
        // Another one is first in the next round.
        flows.rotate_left(3);
    }
    let flows = self::flows().into_iter().filter(|flow| runs.contains_key(flow)).collect::<Vec<_>>();
    print_table(&flows, &cpu, &runs, rounds);
    print_ratios(&flows, &cpu, &runs);
    for &flow @ (name, style, threads) in &flows {
        if let Some((entry, summary)) = peers::find(name).zip(cpu.summary(flow)) {
            csv.add("traffic", name, entry.sort.name(), style.name(), threads, summary);
        }
    }
}

fn flows() -> Vec<Flow> {
    let mut flows = Vec::new();
    for entry in peers::ALL.iter().filter(|entry| entry.sort != Sort::Pull) {
        for style in Style::ALL {
            flows.extend([1, 2].map(|threads| (entry.name, style, threads)));
        }
    }
    flows
}

fn median(runs: &[Run], field: impl Fn(&Run) -> f64) -> Option<f64> {
    crate::samples::Summary::of(runs.iter().map(field)).map(|summary| summary.median)
}

/// The worst of all rounds.
fn wrong(runs: &[Run]) -> Received {
    runs.iter().fold(Received::default(), |worst, run| worst.worse(run.wrong))
}

fn print_table(flows: &[Flow], cpu: &Samples<Flow>, runs: &BTreeMap<Flow, Vec<Run>>, rounds: usize) {
    report::title(&format!("1,000,000 updates over 100 series, median of {rounds} rounds"));
    println!("Missing are gauges, counted and timed events, in the worst round.\n");
    let head = [
        "contestant",
        "style",
        "threads",
        "CPU ms",
        "least",
        "peak MB",
        "bytes",
        "lines",
        "packets",
        "missing",
    ];
    let mut table = Table::new(&head);
    for flow @ (name, style, threads) in flows {
        let Some((runs, summary)) = runs.get(flow).zip(cpu.summary(*flow)) else { continue };
        let whole = |value: Option<f64>| value.map_or_else(|| short(None), |value| format!("{value:.0}"));
        table.row(vec![
            peers::find(name).map(crate::contestant::Entry::label).unwrap_or_default(),
            style.name().to_owned(),
            threads.to_string(),
            short(Some(summary.median)),
            short(Some(summary.min)),
            short(median(runs, |run| run.peak_kb / 1024.0)),
            whole(median(runs, |run| run.bytes)),
            whole(median(runs, |run| run.lines)),
            whole(median(runs, |run| run.packets)),
            wrong(runs).to_string(),
        ]);
    }
    table.print();
}

fn print_ratios(flows: &[Flow], cpu: &Samples<Flow>, runs: &BTreeMap<Flow, Vec<Run>>) {
    report::title("1,000,000 updates: ratios and values");
    for style in Style::ALL {
        for threads in [1, 2] {
            let ours = (OURS, style, threads);
            let operation = format!("traffic-cpu-{}/{threads}", style.name());
            let is_push = |name| peers::find(name).is_some_and(|entry| entry.sort == Sort::Push);
            let is_peer = |&&(name, s, t): &&Flow| is_push(name) && (s, t) == (style, threads);
            let best = flows.iter().filter(is_peer).min_by(|a, b| {
                cpu.median(**a).unwrap_or(f64::MAX).total_cmp(&cpu.median(**b).unwrap_or(f64::MAX))
            });
            if let Some(best) = best {
                report::ratio(&operation, &format!("tasktag/{}", best.0), cpu.ratio(ours, *best), Some(0.5));
            }
            if let Some(floor) = cpu.ratio(ours, (FLOOR, style, threads)) {
                report::ratio(&operation, "tasktag/smallest-program", Some(floor), None);
            }
            let Some(runs) = runs.get(&ours) else { continue };
            let what = |name| format!("traffic-{name}-{}/{threads}", style.name());
            report::value(&what("peak"), median(runs, |run| run.peak_kb / 1024.0), "MB", PEAK_MB);
            report::value(&what("bytes"), median(runs, |run| run.bytes / 1e3), "kB", BYTES_KB);
            let inexact = runs.iter().filter(|run| !run.wrong.is_exact()).count();
            report::value(&what("inexact"), Some(inexact as f64), "runs", 0.0);
        }
    }
    for bridge in &BRIDGES {
        print_bridge(bridge, flows, cpu, runs);
    }
    println!();
}

fn print_bridge(bridge: &Bridge, flows: &[Flow], cpu: &Samples<Flow>, runs: &BTreeMap<Flow, Vec<Run>>) {
    let names = format!("{}/{}", bridge.bridged, bridge.peer);
    for &ours @ (_, style, threads) in flows.iter().filter(|(name, ..)| *name == bridge.bridged) {
        let peer = (bridge.peer, style, threads);
        let what = |name| format!("bridge-{name}-{}/{threads}", style.name());
        report::ratio(&what("cpu"), &names, cpu.ratio(ours, peer), Some(bridge.cpu_at_most));
        let bytes = |flow| runs.get(flow).and_then(|runs| median(runs, |run| run.bytes));
        let percent = bytes(&ours).zip(bytes(&peer)).map(|(ours, peers)| 100.0 * ours / peers);
        report::value(&what("bytes"), percent, "% of the peer's", bridge.percent_of_bytes_at_most);
        let inexact = runs.get(&ours).map(|runs| runs.iter().filter(|run| !run.wrong.is_exact()).count());
        report::value(&what("inexact"), inexact.map(|n| n as f64), "runs", 0.0);
    }
}
