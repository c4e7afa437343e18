//! Threads for jobs that wait.

use super::argument::{ArgumentError, check, check_count, check_share, check_share_below_1};

/// The most threads, which bounds a result and not any computation.
const MAX_THREADS: u32 = 1_000_000;

/// Returns how many times the jobs of one thread a number of threads do, if the threads share one processor: that of an
/// interpreter with a global lock, or a task with one CPU. This is Amdahl's law, `1 / ((1 - w) + w / n)`. Here the part
/// that can be done at once is the waiting.
///
/// `waiting_share` is the share of a job's time in which it waits for something other than the processor, such as a
/// database or a network, from 0 to 1. `threads` is from 1 to 1,000,000.
///
/// It assumes that what the jobs wait for does not become slower by having more of them. A pool with fewer connections
/// than there are threads, or a database at its limit, breaks that.
///
/// # Errors
///
/// Fails if an argument is out of its range.
///
/// ```
/// use tasktag::capacity::speedup;
///
/// assert_eq!(format!("{:.2}", speedup(0.5, 5)?), "1.67");
/// assert_eq!(format!("{:.2}", speedup(0.9, 5)?), "3.57");
/// assert_eq!(format!("{:.2}", speedup(0.9, 25)?), "7.35");
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
pub fn speedup(waiting_share: f64, threads: u32) -> Result<f64, ArgumentError> {
    check_share("waiting_share", waiting_share)?;
    check_count("threads", threads, MAX_THREADS)?;
    Ok(((1.0 - waiting_share) + waiting_share / f64::from(threads)).recip())
}

/// Returns what [`speedup`] comes near to with ever more threads: `1 / (1 - w)`. It is infinite for a share of 1.
///
/// `waiting_share` is from 0 to 1.
///
/// # Errors
///
/// Fails if the argument is out of its range.
///
/// ```
/// use tasktag::capacity::highest_speedup;
///
/// assert_eq!(highest_speedup(0.75)?, 4.0);
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
pub fn highest_speedup(waiting_share: f64) -> Result<f64, ArgumentError> {
    check_share("waiting_share", waiting_share)?;
    Ok((1.0 - waiting_share).recip())
}

/// Returns the least number of threads with which [`speedup`] is at least `speedup`.
///
/// `waiting_share` is from 0 to 1. `speedup` is at least 1 and below the [highest](highest_speedup), and 1,000,000
/// threads must reach it.
///
/// # Errors
///
/// Fails if an argument is out of its range.
///
/// ```
/// use tasktag::capacity::threads_for_speedup;
///
/// assert_eq!(threads_for_speedup(0.9, 5.0)?, 9);
/// let error = threads_for_speedup(0.9, 10.0).unwrap_err();
/// assert_eq!(error.argument(), "speedup");
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
pub fn threads_for_speedup(waiting_share: f64, speedup: f64) -> Result<u32, ArgumentError> {
    const REASON: &str = "it must be at least 1, and 1,000,000 threads must reach it";
    check(speedup >= 1.0, "speedup", speedup, REASON)?;
    let highest = self::speedup(waiting_share, MAX_THREADS)?;
    check(speedup <= highest, "speedup", speedup, REASON)?;
    let (mut below, mut reaches) = (0, MAX_THREADS);
    // Solving the formula would leave its rounding to decide where a speedup is reached exactly.
    while reaches - below > 1 {
        let between = below + (reaches - below) / 2;
        if self::speedup(waiting_share, between)? >= speedup {
            reaches = between;
        } else {
            below = between;
        }
    }
    Ok(reaches)
}

/// Returns how many threads keep `cpus` processors busy for a share of the time: `cpus × utilization / (1 - w)`,
/// rounded up. Each thread computes for `1 - w` of its time, so that many of them together compute as much as that.
///
/// `waiting_share` is from 0 to below 1, `utilization` is from 0 to 1, and `cpus` is from 1 to 1,000,000. The result is
/// at least 1. It assumes that there is always a job for a thread that is free, and threads that run at once. With a
/// global lock `cpus` is 1.
///
/// # Errors
///
/// Fails if an argument is out of its range, or if the result is above 1,000,000.
///
/// ```
/// use tasktag::capacity::threads_to_keep_busy;
///
/// assert_eq!(threads_to_keep_busy(0.9, 2, 0.8)?, 16);
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
pub fn threads_to_keep_busy(waiting_share: f64, cpus: u32, utilization: f64) -> Result<u32, ArgumentError> {
    check_share_below_1("waiting_share", waiting_share)?;
    check_share("utilization", utilization)?;
    check_count("cpus", cpus, MAX_THREADS)?;
    let threads = f64::from(cpus) * utilization / (1.0 - waiting_share);
    // What is 16 but for the last digits is not 17.
    let threads = (threads - 1e-9).ceil().max(1.0);
    let reason = "no more than 1,000,000 threads must be needed";
    check(threads <= f64::from(MAX_THREADS), "waiting_share", waiting_share, reason)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 1 to 1,000,000")]
    Ok(threads as u32)
}
