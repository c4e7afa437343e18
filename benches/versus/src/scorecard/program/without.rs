//! Prints the resident memory of a program whose four threads format and keep what `with` records.

use std::{env, fs, thread};

fn main() {
    let agent = env::args().nth(1).expect("an agent");
    let kept: Vec<Vec<String>> = thread::scope(|scope| {
        let agent = &agent;
        let line = move |share: u32, n: u32| format!("took:{n}|ms|#n:{} to {agent}", 50 * share + n);
        let spawn = |share| scope.spawn(move || (0..50).map(|n| line(share, n)).collect());
        let threads: Vec<_> = (0..4).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    println!("{}", resident());
    drop(kept);
}

/// Bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}
