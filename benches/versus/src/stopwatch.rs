//! Nanoseconds per operation, of one thread or of two at once.

use crate::contestant::{Contestant, Operation};
use crate::samples::Summary;
use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Pieces that a share is done in. What the middle one took counts, so that whoever else wants the processor for a
/// while is not counted with it.
const PIECES: u32 = 16;
/// Looks at how far the other thread is, a piece.
const STEPS: u32 = 16;
/// The longest that two threads are given.
const PATIENCE: Duration = Duration::from_secs(1);
const MOST: u32 = 1 << 28;

/// How many operations take about `time`; 0 where the contestant has none like it.
pub fn calibrate(contestant: &dyn Contestant, operation: Operation, time: Duration) -> u32 {
    if !contestant.run(operation, 0) {
        return 0;
    }
    let mut n = 1_000;
    loop {
        let start = Instant::now();
        contestant.run(operation, n);
        let took = start.elapsed();
        contestant.settle();
        if took >= time / 4 || n >= MOST {
            let scale = time.as_secs_f64() / took.as_secs_f64().max(1e-9);
            return ((f64::from(n) * scale) as u32).clamp(PIECES * STEPS, MOST);
        }
        n *= 2;
    }
}

/// Nanoseconds per operation on the calling thread.
pub fn alone(contestant: &dyn Contestant, operation: Operation, n: u32) -> f64 {
    let took = (0..PIECES).map(|_| piece(contestant, operation, n / PIECES)).collect();
    contestant.settle();
    middle(took)
}

/// Nanoseconds per operation of each of two threads that are at it at the same time. Only pieces count during which the
/// thread kept its processor and the other got on about as well: on a machine that others use too, either may wait for
/// one.
pub fn together(contestant: &dyn Contestant, operation: Operation, n: u32) -> f64 {
    let (ready, done) = (AtomicU32::new(0), AtomicU32::new(0));
    let progress = [Progress::default(), Progress::default()];
    let work = |me: usize| {
        let (mine, others) = (&progress[me].0, &progress[1 - me].0);
        let (mut took, end) = (Vec::with_capacity(1024), Instant::now() + PATIENCE);
        pin(me);
        ready.fetch_add(1, Ordering::AcqRel);
        while ready.load(Ordering::Acquire) < 2 {
            hint::spin_loop();
        }
        while done.load(Ordering::Relaxed) < 2 && Instant::now() < end {
            let (before, switches) = (others.load(Ordering::Relaxed), switches());
            let start = Instant::now();
            for _ in 0..STEPS {
                contestant.run(operation, n / PIECES / STEPS);
                mine.fetch_add(1, Ordering::Relaxed);
            }
            let nanos = start.elapsed().as_nanos() as f64;
            let others_steps = others.load(Ordering::Relaxed).wrapping_sub(before);
            if others_steps < STEPS / 2 || self::switches() != switches {
                continue;
            }
            took.push(nanos / f64::from(n / PIECES / STEPS * STEPS));
            if took.len() == PIECES as usize {
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
        middle(took)
    };
    let (a, b) = thread::scope(|scope| {
        let (a, b) = (scope.spawn(|| work(0)), scope.spawn(|| work(1)));
        (a.join().expect("nothing panics"), b.join().expect("nothing panics"))
    });
    contestant.settle();
    f64::midpoint(a, b)
}

/// How often another took the calling thread's processor.
#[cfg(target_os = "linux")]
fn switches() -> i64 {
    // SAFETY: the struct is plain data, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
        usage
    };
    usage.ru_nvcsw + usage.ru_nivcsw
}

#[cfg(not(target_os = "linux"))]
fn switches() -> i64 {
    0
}

/// How far a thread is, where no other reads anything else.
#[derive(Default)]
#[repr(align(128))]
struct Progress(AtomicU32);

fn piece(contestant: &dyn Contestant, operation: Operation, n: u32) -> f64 {
    let start = Instant::now();
    contestant.run(operation, n);
    start.elapsed().as_nanos() as f64 / f64::from(n)
}

fn middle(took: Vec<f64>) -> f64 {
    Summary::of(took).map_or(f64::NAN, |summary| summary.median)
}

/// Keeps the calling thread on one of the processors that it may use: two threads take turns on one otherwise, now and
/// then, and contend for nothing.
#[cfg(target_os = "linux")]
pub fn pin(nth: usize) {
    // SAFETY: a set of processors is plain data, and both calls get one of the size that they are told.
    unsafe {
        let size = size_of::<libc::cpu_set_t>();
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size, &raw mut allowed);
        let mut cpus = (0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &allowed));
        if let Some(cpu) = cpus.nth(nth) {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut one);
            libc::sched_setaffinity(0, size, &raw const one);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub fn pin(_: usize) {}
