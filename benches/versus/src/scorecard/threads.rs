//! Two threads beside one, on one timing.

use super::score::Score;
use crate::contended;
use crate::samples::median;

const PROCESSES: usize = 5;

/// After its first flush and after each later one, the median of several processes.
pub fn on_one_timing() -> Vec<Score> {
    let runs: Vec<Vec<f64>> = (0..PROCESSES).map(|_| contended::run()).collect();
    let ratio = |run: &Vec<f64>, at: usize| run.get(at).zip(run.first()).map(|(two, one)| two / one);
    let after = |flush: usize| median(runs.iter().filter_map(|run| ratio(run, flush + 1)));
    let score = |flush: usize| {
        let what = format!("timing, 2 threads after flush {flush}, relative to 1 thread");
        Score::new(&what, after(flush), "×", 1.3)
    };
    (1..=contended::FLUSHES).map(score).collect()
}
