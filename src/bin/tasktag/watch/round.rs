//! One round: everything is asked once.

use super::operator::tell;
use super::plan::Plan;
use super::reachability::no_answer;
use super::reporter::{LOOK, runtime, settle};
use super::source::{Answer, Source};
use crate::outcome::Failure;
use crate::readable::readable;
use crate::stop::Stop;
use std::io::{self, Write};
use std::time::Duration;
use tasktag::testing::Capture;
use tasktag::{ClientBuilder, Guard, SoleReporter};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nothing leaves by itself: each client flushes once, at its end.
const NEVER: Duration = Duration::from_secs(3600);

type Answered<'a> = (&'a Source, Answer);
type Asked = JoinHandle<Result<Answer, String>>;

/// Asks everything once, sends what is reported, and prints it. The status is 1 if something did not answer, or if
/// something was lost.
pub(super) fn ask_once(plan: &Plan) -> Result<(), Failure> {
    let stop = Stop::by_signals().map_err(|error| Failure::of("signals", &error))?;
    let answers = ask_all(plan, &stop)?;
    let lines = lines(plan, &answers)?;
    // It is sent first: who reads the lines may have read enough, as `head` has.
    let sent = send(plan, &answers);
    let printed = print(&lines);
    sent?;
    if answers.len() == plan.sources.len() { printed } else { Err(Failure::silent()) }
}

/// Asks all at the same time, and tells who did not answer.
fn ask_all<'a>(plan: &'a Plan, stop: &Stop) -> Result<Vec<Answered<'a>>, Failure> {
    let runtime = runtime()?;
    let answers = runtime.block_on(async {
        let mut asked: Vec<_> =
            plan.sources.iter().map(|source| tokio::spawn(source.clone().ask())).collect();
        let answers = hear_all(plan, &mut asked, stop).await;
        asked.iter().for_each(JoinHandle::abort);
        settle(&plan.sources).await;
        answers
    });
    // A look-up of a name may take long, and is not waited for.
    runtime.shutdown_background();
    answers.ok_or_else(|| Failure::lost("not sent: a signal came before the answers"))
}

/// Returns the answers, or `None` if a signal comes before.
async fn hear_all<'a>(plan: &'a Plan, asked: &mut [Asked], stop: &Stop) -> Option<Vec<Answered<'a>>> {
    let mut answers = Vec::new();
    for (source, asked) in plan.sources.iter().zip(asked) {
        match hear(asked, stop).await? {
            Ok(answer) => answers.push((source, answer)),
            Err(reason) => tell(&no_answer(source, &reason)),
        }
    }
    Some(answers)
}

async fn hear(asked: &mut Asked, stop: &Stop) -> Option<Result<Answer, String>> {
    while !stop.is_told() {
        if let Ok(ended) = timeout(LOOK, &mut *asked).await {
            return Some(ended.unwrap_or_else(|error| Err(error.to_string())));
        }
    }
    None
}

/// Returns the lines that an agent gets.
fn lines(plan: &Plan, answers: &[Answered<'_>]) -> Result<Vec<String>, Failure> {
    let capture = Capture::new();
    // They are printed even if a variable disables all reports.
    let guard = quiet(plan.client().capture(&capture)).disabled(false).build()?;
    report(guard, answers, None)?;
    Ok(capture.take_lines())
}

fn print(lines: &[String]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{}", readable(line.as_bytes()))?;
    }
    Ok(out.flush()?)
}

fn send(plan: &Plan, answers: &[Answered<'_>]) -> Result<(), Failure> {
    let guard = quiet(plan.client()).build()?;
    if guard.client().is_disabled() {
        tell("not sent: a variable disables all reports");
        return Ok(());
    }
    let sole = plan.lease.as_ref().map(|lease| lease.take_part_now(guard.client())).transpose()?;
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
