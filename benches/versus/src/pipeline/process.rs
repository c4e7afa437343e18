//! A contestant's million updates, in a process of its own.

use super::check::{Received, check, lines};
use crate::contestant::{Agent, Contestant, Setup};
use crate::peers;
use crate::receiver::Receiver;
use crate::traffic::{Style, Traffic, UPDATES};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

/// For the contestants that only flush by themselves.
const INTERVAL: Duration = Duration::from_millis(500);
/// What the process says when there is nothing like it.
const NOTHING: &str = "-";

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    pub cpu_ms: f64,
    pub peak_kb: f64,
    pub bytes: f64,
    pub lines: f64,
    pub packets: f64,
    /// What is not as it was counted.
    pub wrong: Received,
}

/// Runs a contestant in a process of its own, and checks what came.
pub fn run(contestant: &str, style: Style, threads: u32) -> Option<Run> {
    let receiver = Receiver::udp(true);
    let output = Command::new(env::current_exe().expect("it runs"))
        .args(["--traffic", contestant, style.name(), &threads.to_string(), &receiver.agent().to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("it can be run again");
    let packets = receiver.finish();
    let told = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || told.trim() == NOTHING {
        return None;
    }
    let mut told = told.split_whitespace().filter_map(|number| number.parse().ok());
    Some(Run {
        cpu_ms: told.next()?,
        peak_kb: told.next()?,
        bytes: packets.iter().map(Vec::len).sum::<usize>() as f64,
        lines: packets.iter().map(|packet| lines(packet).count()).sum::<usize>() as f64,
        packets: packets.len() as f64,
        wrong: check(&packets),
    })
}

/// The process that [`run`] starts.
pub fn child(contestant: &str, style: Style, threads: u32, agent: Agent) {
    let setup = Setup { agent, interval: Some(INTERVAL) };
    let entry = peers::find(contestant).expect("a contestant's name");
    let traffic = Traffic::new();
    let contestant = (entry.build)(&setup).expect("it sends to UDP");
    if !replay(&*contestant, style, &traffic, threads) {
        println!("{NOTHING}");
        return;
    }
    contestant.finish();
    println!("{} {}", cpu_ms(), peak_kb());
}

fn replay(contestant: &dyn Contestant, style: Style, traffic: &Traffic, threads: u32) -> bool {
    if threads == 1 {
        return contestant.replay(style, traffic, 0..UPDATES);
    }
    let share = UPDATES / threads;
    thread::scope(|scope| {
        let start = |thread| {
            scope.spawn(move || contestant.replay(style, traffic, thread * share..(thread + 1) * share))
        };
        let running: Vec<_> = (0..threads).map(start).collect();
        running.into_iter().all(|thread| thread.join().expect("nothing panics"))
    })
}

/// What the process used, all threads.
fn cpu_ms() -> f64 {
    // SAFETY: the struct is plain data, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let ms = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3;
    ms(usage.ru_utime) + ms(usage.ru_stime)
}

/// The most memory that the process ever had; 0 where the system does not say.
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
