//! `tasktag replay`: sends what was recorded, as fast as it came or faster.

use super::recording::Recording;
use crate::arguments::Replay;
use crate::endpoint::Outlet;
use crate::outcome::Failure;
use crate::stop::Stop;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest sleep at a time, so that a signal ends it.
const LOOK: Duration = Duration::from_millis(50);

/// Sends all packets of a recording.
pub(crate) fn replay(arguments: &Replay) -> Result<(), Failure> {
    let stop = Stop::by_signals()?;
    let of_file = |error| Failure::of(arguments.file.display(), &error);
    let mut recording = Recording::open(&arguments.file).map_err(of_file)?;
    let of_agent = |error| Failure::of(&arguments.to, &error);
    let mut outlet = Outlet::connect(&arguments.to, PATIENCE).map_err(of_agent)?;
    let (start, mut packets, mut refused) = (Instant::now(), 0_u64, 0_u64);
    while let Some((at, packet)) = recording.next().map_err(of_file)? {
        let at = scaled(at, arguments.speed);
        wait_until(start + at, &stop);
        if stop.is_told() {
            break;
        }
        match outlet.send(&packet) {
            Ok(()) => packets += 1,
            // A UDP socket tells by the next packet that nobody listens, which that one can't be blamed for.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => refused += 1,
            Err(error) => return Err(of_agent(error)),
        }
    }
    writeln!(io::stdout(), "{packets} packets sent to {}, {refused} refused", arguments.to)?;
    if refused > 0 { Err(Failure::silent()) } else { Ok(()) }
}

fn wait_until(due: Instant, stop: &Stop) {
    while !stop.is_told() {
        match due.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return,
            left => thread::sleep(left.min(LOOK)),
        }
    }
}

/// The time at a speed. A file may say any time: one that is too far away is a year.
fn scaled(at: Duration, speed: f64) -> Duration {
    const LONGEST: f64 = 86_400.0 * 365.0;
    Duration::from_secs_f64((at.as_secs_f64() / speed).min(LONGEST))
}
