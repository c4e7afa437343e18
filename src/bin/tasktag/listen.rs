//! `tasktag listen`: receives what programs send, and shows it.

mod forward;
mod framing;
mod intake;
mod kernel_drops;
mod receiver;
mod recording;
mod replay;

pub(crate) use self::intake::Intake;
pub(crate) use self::replay::replay;

use self::forward::Forward;
use self::receiver::Receiver;
use self::recording::Recorder;
use crate::arguments::Listen;
use crate::outcome::Failure;
use crate::report::Report;
use crate::stop::Stop;
use crate::table::{self, Look};
use crate::traffic::Traffic;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked whether the command is to end.
const LOOK: Duration = Duration::from_millis(20);

/// Listens until a signal or a key ends it.
pub(crate) fn listen(arguments: &Listen) -> Result<(), Failure> {
    let stop = Stop::by_signals()?;
    let forward = arguments.forward.clone().map(Forward::to);
    let recorder = match &arguments.record {
        Some(path) => Some(Recorder::create(path).map_err(|error| Failure::of(path.display(), &error))?),
        None => None,
    };
    let traffic = Traffic::new(arguments.max_series(), arguments.differences);
    let intake = Arc::new(Intake::new(traffic, forward, recorder));
    let receivers = open(arguments, &intake, &stop)?;
    let ports: Vec<_> = receivers.iter().filter_map(Receiver::udp_port).collect();
    let look = || {
        let dropped = kernel_drops::dropped(&ports);
        let mut traffic = intake.traffic();
        traffic.note_kernel_drops(dropped);
        traffic
    };
    let mut report = Report::new(arguments.json, arguments.view());
    let shown = if arguments.is_table() {
        table::show(&look, arguments.view(), arguments.interval(), &stop)
    } else {
        tell(&mut report, arguments.interval(), &look, &stop)
    };
    stop.tell();
    // While the sockets are there.
    drop(look());
    receivers.into_iter().for_each(Receiver::end);
    shown?;
    if !arguments.is_table() {
        // What came since the last interval.
        intake.traffic().turn();
        report.tell(&intake.traffic())?;
    }
    let states = intake.states();
    report.tell_totals(&intake.traffic(), &states)?;
    report.print(io::stdout())?;
    Ok(())
}

/// Opens all sockets, or none.
fn open(arguments: &Listen, intake: &Arc<Intake>, stop: &Stop) -> Result<Vec<Receiver>, Failure> {
    let mut receivers = Vec::new();
    for endpoint in &arguments.addresses {
        match Receiver::open(endpoint, intake, stop) {
            Ok(receiver) => receivers.push(receiver),
            Err(error) => {
                stop.tell();
                receivers.into_iter().for_each(Receiver::end);
                return Err(Failure::of(endpoint, &error));
            }
        }
    }
    // For whoever waits for it: from here on nothing is missed.
    let mut told = io::stderr().lock();
    for receiver in &receivers {
        let _ = writeln!(told, "listening on {}", receiver.address());
    }
    Ok(receivers)
}

/// Reports each interval until the command is to end.
fn tell(report: &mut Report, interval: Duration, look: Look<'_>, stop: &Stop) -> io::Result<()> {
    let mut due = Instant::now() + interval;
    while !stop.is_told() {
        thread::sleep(LOOK.min(due.saturating_duration_since(Instant::now())));
        if Instant::now() >= due {
            due += interval;
            look().turn();
            report.tell(&look())?;
            report.print(io::stdout())?;
        }
    }
    Ok(())
}
