//! Prints the resident memory of a program of four threads and 200 timings, after a flush.

use std::time::Duration;
use std::{env, fs, thread};
use tasktag::Client;

fn main() {
    let agent = env::args().nth(1).expect("an agent");
    let guard = Client::builder().agent(agent).build().expect("a client");
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
    guard.client().flush(Duration::from_secs(60)).expect("everything is sent");
    println!("{}", resident());
}

/// Bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}
