//! One round: everything is asked once.

use super::plan::Plan;
use super::reachability::{no_answer, tell};
use super::reporter::runtime;
use super::source::{Answer, Source};
use crate::outcome::Failure;
use crate::readable::readable;
use crate::stop::Stop;
use std::io::{self, Write};
use std::time::Duration;
use tasktag::testing::Capture;
use tasktag::{ClientBuilder, Guard, SoleReporter};

/// Nothing leaves by itself: each client flushes once, at its end.
const NEVER: Duration = Duration::from_secs(3600);

type Answered<'a> = (&'a Source, Answer);

/// Asks everything once, prints what is reported, and sends it. The status is 1 if something did not answer, or if
/// something was lost.
pub(super) fn ask_once(plan: &Plan) -> Result<(), Failure> {
    let stop = Stop::by_signals().map_err(|error| Failure::of("signals", &error))?;
    let answers = ask_all(plan)?;
    print(plan, &answers)?;
    send(plan, &answers, &stop)?;
    if answers.len() == plan.sources.len() { Ok(()) } else { Err(Failure::silent()) }
}

/// Asks all at the same time, and tells who did not answer.
fn ask_all(plan: &Plan) -> Result<Vec<Answered<'_>>, Failure> {
    let runtime = runtime()?;
    let answers = runtime.block_on(async {
        let asked: Vec<_> = plan.sources.iter().map(|source| tokio::spawn(source.clone().ask())).collect();
        let mut answers = Vec::new();
        for (source, asked) in plan.sources.iter().zip(asked) {
            match asked.await.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(answer) => answers.push((source, answer)),
                Err(reason) => tell(&no_answer(source, &reason)),
            }
        }
        answers
    });
    runtime.shutdown_background();
    Ok(answers)
}

/// Prints the lines that an agent gets.
fn print(plan: &Plan, answers: &[Answered<'_>]) -> Result<(), Failure> {
    let capture = Capture::new();
    let guard = quiet(plan.client().capture(&capture)).build()?;
    report(guard, answers, None)?;
    let mut out = io::stdout().lock();
    for line in capture.take_lines() {
        writeln!(out, "{}", readable(line.as_bytes()))?;
    }
    Ok(out.flush()?)
}

fn send(plan: &Plan, answers: &[Answered<'_>], stop: &Stop) -> Result<(), Failure> {
    let guard = quiet(plan.client()).build()?;
    let sole = plan.take_part(guard.client(), stop)?;
    if sole.as_ref().is_some_and(|sole| !sole.is_held()) {
        tell("not sent: another process has the lease, and reports");
    }
    report(guard, answers, sole.as_ref())
}

fn quiet(builder: ClientBuilder) -> ClientBuilder {
    builder.telemetry(false).flush_interval(NEVER).collect_interval(NEVER)
}

/// Reports all answers, and ends the client.
fn report(guard: Guard, answers: &[Answered<'_>], sole: Option<&SoleReporter>) -> Result<(), Failure> {
    let report = |(source, answer): &Answered<'_>| source.report(guard.client(), sole, answer.clone());
    let watches: Vec<_> = answers.iter().map(report).collect();
    let ended = crate::send::end(guard);
    drop(watches);
    ended
}
