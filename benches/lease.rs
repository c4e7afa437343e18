//! What a leased task id costs a start: in an empty directory, and where every slot is taken.
//!
//! `cargo bench --bench lease --features testing`. Interleaved, each figure the median of the rounds. The directories
//! are in the one for temporary files, or in that given by `LEASE_BENCH_DIRECTORY`.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tasktag::testing::Capture;
use tasktag::{Client, TaskIdClaim, TaskIdPool, TaskIdSource, TaskIdSourceKind};

const ROUNDS: usize = 201;
/// Where the notes of who was seen begin, and how long one is.
const NOTES: &str = "last-seen";

fn claim(directory: &Path) -> TaskIdClaim {
    TaskIdSource::leased(directory).claim(TaskIdPool::DEFAULT).expect("a claim")
}

fn timed<T>(start: impl FnOnce() -> T) -> (Duration, T) {
    let begin = Instant::now();
    let started = black_box(start());
    (begin.elapsed(), started)
}

fn build(directory: &Path) -> tasktag::Guard {
    let source = TaskIdSource::leased(directory);
    Client::builder().capture(&Capture::new()).task_id_from(source).build().expect("a client")
}

fn empty(path: &Path) {
    let _ = fs::remove_dir_all(path);
    fs::create_dir(path).expect("a directory");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let base = std::env::var_os("LEASE_BENCH_DIRECTORY").map_or_else(std::env::temp_dir, PathBuf::from);
    let base = base.join(format!("tasktag-lease-bench-{}", std::process::id()));
    let (first, full) = (base.join("first"), base.join("full"));
    fs::create_dir_all(&full).expect("a directory");
    let held: Vec<_> = (0..TaskIdPool::DEFAULT.size()).map(|_| claim(&full)).collect();
    assert!(held.iter().all(|claim| claim.task_id().source() == TaskIdSourceKind::Leased));

    let [mut firsts, mut lates, mut sweeps, mut built, mut built_late, mut shows] =
        [(); 6].map(|()| Vec::new());
    for _ in 0..ROUNDS {
        empty(&first);
        let (time, _claim) = timed(|| claim(&first));
        firsts.push(time);
        let (time, late) = timed(|| claim(&full));
        assert_eq!(late.task_id().source(), TaskIdSourceKind::Shared);
        lates.push(time);
        empty(&first);
        let (time, guard) = timed(|| build(&first));
        built.push(time);
        drop(guard);
        let (time, guard) = timed(|| build(&full));
        built_late.push(time);
        drop(guard);
        let (time, _) = timed(|| fs::read(full.join(NOTES)));
        shows.push(time);
    }
    for _ in 0..ROUNDS / 10 {
        // As if nobody had been seen for long.
        fs::remove_file(full.join(NOTES)).expect("notes");
        let (time, _late) = timed(|| claim(&full));
        sweeps.push(time);
    }
    drop(held);
    let _ = fs::remove_dir_all(&base);
    let rows = [firsts, lates, built, built_late, sweeps, shows].map(median);
    let [first, late, built, built_late, sweep, show] = rows;
    let ratio = |late: Duration, first: Duration| late.as_secs_f64() / first.as_secs_f64();
    println!("a lease in an empty directory             {first:>10.1?}");
    println!("the 1001st of 1000, its holders seen      {late:>10.1?}  ratio {:.2}", ratio(late, first));
    println!("a client with the first lease             {built:>10.1?}");
    println!(
        "a client with the 1001st                  {built_late:>10.1?}  ratio {:.2}",
        ratio(built_late, built)
    );
    println!("the 1001st where no holder was seen       {sweep:>10.1?}  ratio {:.2}", ratio(sweep, first));
    println!("reading who was seen                      {show:>10.1?}");
}
