//! Prints how far threads carry jobs that wait, how long queues wait, and what the workers of a queue can promise. It
//! needs no client and no agent.
//!
//! `cargo run --example capacity`

use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};
use std::time::Duration;
use tasktag::capacity::{self, ArgumentError, CapacityReport, SplitQueues};

fn main() -> Result<(), Box<dyn Error>> {
    match print(&mut stdout()) {
        // A reader like `head` may stop early.
        Err(error) if is_closed(&*error) => Ok(()),
        ended => ended,
    }
}

fn print(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    print_speedups(out)?;
    print_waits(out)?;

    writeln!(out, "\nFour queues, or one:\n  {}", SplitQueues::new(18.0, Duration::from_secs(1), 4, 5)?)?;

    let (job, promise) = (Duration::from_secs(3), Duration::from_secs(60));
    let queue = CapacityReport::new(3.0, job, 12, promise)?.waiting_share(0.8)?;
    writeln!(out, "\nA queue that promises a minute:\n{queue:#}")?;
    Ok(())
}

/// Amdahl: a queue whose jobs compute gains little from more threads, and one whose jobs wait gains much.
fn print_speedups(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    writeln!(out, "Jobs done by threads that share a processor, compared with one thread:")?;
    writeln!(out, "  {:>10} {:>10} {:>10} {:>10}", "waiting", "5 threads", "25 threads", "at most")?;
    for waiting in [0.25, 0.5, 0.75, 0.9, 0.95] {
        let [five, many] = [5, 25].map(|threads| capacity::speedup(waiting, threads));
        let most = capacity::highest_speedup(waiting)?;
        let percent = waiting * 100.0;
        writeln!(out, "  {percent:>8.0} % {:>8.2} × {:>8.2} × {most:>8.2} ×", five?, many?)?;
    }
    Ok(())
}

/// Erlang: the same utilization is a long wait for few workers and a short one for many.
fn print_waits(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    writeln!(out, "\nMean wait, in mean times of a job:")?;
    writeln!(out, "  {:>8} {:>10} {:>10} {:>10}", "busy", "1 worker", "5 workers", "25 workers")?;
    for busy in [0.5, 0.7, 0.8, 0.9, 0.95] {
        let wait = |workers: u32| -> Result<f64, ArgumentError> {
            let rate = busy * f64::from(workers);
            Ok(capacity::mean_wait(rate, Duration::from_secs(1), workers)?.as_secs_f64())
        };
        let percent = busy * 100.0;
        writeln!(out, "  {percent:>6.0} % {:>10.2} {:>10.2} {:>10.2}", wait(1)?, wait(5)?, wait(25)?)?;
    }
    Ok(())
}

fn is_closed(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
