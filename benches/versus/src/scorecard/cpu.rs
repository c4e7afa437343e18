//! CPU time of a million updates.

use super::score::Score;
use crate::contestant::Sort;
use crate::peers::{self, OURS};
use crate::pipeline;
use crate::traffic::Style;

const RUNS: usize = 5;
const THREADS: u32 = 2;

/// Beside the best peer that pushes, run by run, and how many of ours lost or made up anything.
pub fn of_a_million_updates() -> Vec<Score> {
    let peers: Vec<&'static str> =
        peers::ALL.iter().filter(|entry| entry.sort == Sort::Push).map(|entry| entry.name).collect();
    let (mut scores, mut inexact) = (Vec::new(), 0);
    for run in 1..=RUNS {
        let ours = pipeline::run(OURS, Style::Handle, THREADS);
        inexact += usize::from(ours.as_ref().is_some_and(|run| !run.wrong.is_exact()));
        scores.push(of_run(run, ours.map(|run| run.cpu_ms), &peers));
    }
    scores.push(Score::new("… runs in which not everything arrived", Some(inexact as f64), "", 0.0));
    scores
}

fn of_run(run: usize, ours: Option<f64>, peers: &[&'static str]) -> Score {
    let cpu_ms = |name| pipeline::run(name, Style::Handle, THREADS).map(|run| run.cpu_ms);
    let theirs = peers.iter().filter_map(|name| Some((*name, cpu_ms(name)?)));
    let best = theirs.min_by(|(_, a), (_, b)| a.total_cmp(b));
    let what = format!("1,000,000 updates by handle, 2 threads, CPU relative to the best peer, run {run}");
    let ratio = ours.zip(best).map(|(ours, (_, best))| ours / best);
    let note = match (ours, best) {
        (Some(ours), Some((name, best))) => format!("{ours:.1} ms beside {best:.1} ms of {name}"),
        _ => String::new(),
    };
    Score::new(&what, ratio, "×", 0.5).note(note)
}
