//! The arithmetic of capacity: how many threads, workers and queues a promise needs.
//!
//! These are plain functions of numbers. They need no client, and none of them waits or panics. A rate is in
//! items a second, a time is a [`Duration`](std::time::Duration), and a share is a number from 0 to 1. What is out of
//! its range is an [`ArgumentError`], which names the argument and its value.
//!
//! | question | function | source |
//! |---|---|---|
//! | how many times faster do threads make jobs that wait? | [`speedup`], [`highest_speedup`] | Amdahl 1967 |
//! | how many threads does that take? | [`threads_for_speedup`] | the same, solved for the threads |
//! | how many threads keep the processors busy? | [`threads_to_keep_busy`] | utilization law |
//! | how many items are in progress at once? | [`items_in_progress`] | Little 1961 |
//! | how busy are the workers? | [`utilization`] | utilization law |
//! | how likely is it that an item waits, and for how long? | [`waiting_probability`], [`mean_wait`] | Erlang 1917 |
//! | how many items start in time? | [`share_within`] | Erlang 1917 |
//! | how many workers does a promise need? | [`workers_for`] | the same, solved for the workers |
//! | should queues have workers of their own? | [`SplitQueues`] | Erlang 1917, twice |
//! | all of that for one queue | [`CapacityReport`] | |
//!
//! * G. M. Amdahl, *Validity of the single processor approach to achieving large scale computing capabilities*, AFIPS
//!   Spring Joint Computer Conference, 1967.
//! * J. D. C. Little, *A proof for the queuing formula L = λW*, Operations Research 9 (3), 1961.
//! * A. K. Erlang, *Solution of some problems in the theory of probabilities of significance in automatic telephone
//!   exchanges*, 1917: the queue M/M/c.
//!
//! # What M/M/c assumes
//!
//! Items come at random and independently of each other, at a constant rate. The time of a job is random too, as the
//! exponential distribution has it. All workers take from one queue, the oldest item first. The rate is that of the
//! busiest minutes: a mean over a day hides them.
//!
//! Real jobs differ. Where all jobs take the same time, the waits are about half as long. Where a few jobs take very
//! much longer than the others, and where a scheduler enqueues thousands of jobs at once, they are longer than computed
//! here, without a bound. Measure the waits (`queue.wait`, `queue.promise_used.max`), and use these numbers to choose
//! what to try.
//!
//! ```
//! use std::time::Duration;
//! use tasktag::capacity;
//!
//! // Jobs that wait for 90 % of their time gain from more than five threads:
//! assert_eq!(format!("{:.2}", capacity::speedup(0.9, 5)?), "3.57");
//! assert_eq!(format!("{:.2}", capacity::speedup(0.9, 25)?), "7.35");
//!
//! // 10 jobs a second of 400 ms each, of which 99 % are to start within 2 s:
//! let (job, promise) = (Duration::from_millis(400), Duration::from_secs(2));
//! assert_eq!(capacity::workers_for(10.0, job, promise, 0.99)?, 5);
//! # Ok::<(), tasktag::capacity::ArgumentError>(())
//! ```

mod amdahl;
mod argument;
mod erlang;
mod report;
mod split;

pub use self::amdahl::{highest_speedup, speedup, threads_for_speedup, threads_to_keep_busy};
pub use self::argument::ArgumentError;
pub use self::erlang::{
    MAX_WORKERS, items_in_progress, mean_wait, share_within, utilization, waiting_probability, workers_for,
};
pub use self::report::{CapacityReport, DEFAULT_SHARE};
pub use self::split::SplitQueues;
