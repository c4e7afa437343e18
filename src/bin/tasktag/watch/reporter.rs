//! Reports all the time, until a signal comes.

use super::lease::Tenure;
use super::operator::tell;
use super::plan::Plan;
use super::source::Source;
use crate::outcome::Failure;
use crate::stop::Stop;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

/// The time between two looks for a signal.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// The longest that the last values are waited for.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that servers take to end the statements that were given up.
const TO_SETTLE: Duration = Duration::from_secs(1);

/// Watches everything until a signal comes, and sends what there is then.
pub(super) fn report(plan: &Plan) -> Result<(), Failure> {
    let stop = Stop::by_signals().map_err(|error| Failure::of("signals", &error))?;
    let runtime = runtime()?;
    let guard = plan.client().on_loss(|notice| tell(&notice.to_string())).build()?;
    let sole = plan.take_part(guard.client(), &stop)?;
    let watch = |source: &Source| source.watch(guard.client(), sole.as_ref(), runtime.handle());
    let watches = plan.sources.iter().map(watch).collect::<Result<Vec<_>, _>>()?;
    let unless = if guard.client().is_disabled() { "; a variable disables all reports" } else { "" };
    tell(&format!("watching: {}{unless}", watches.len()));
    let tenure = sole.as_ref().filter(|_| !guard.client().is_disabled()).map(Tenure::new);
    runtime.block_on(told_to_stop(&stop, tenure));
    // What is lost at the end has been told, and the signal is obeyed in any case.
    let _ = guard.shutdown(TIMEOUT);
    drop(watches);
    runtime.block_on(settle(&plan.sources));
    // A look-up of a name may take long, and is not waited for.
    runtime.shutdown_background();
    Ok(())
}

async fn told_to_stop(stop: &Stop, mut tenure: Option<Tenure<'_>>) {
    while !stop.is_told() {
        if let Some(tenure) = &mut tenure {
            tenure.look();
        }
        sleep(LOOK).await;
    }
}

/// Waits until no server has anything to do any more, for a limited time.
pub(super) async fn settle(sources: &[Source]) {
    let settled = async {
        for source in sources {
            source.settle().await;
        }
    };
    let _ = timeout(TO_SETTLE, settled).await;
}

/// A runtime for the questions, which are asked on the thread that waits in it.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    let built = Builder::new_current_thread().enable_io().enable_time().build();
    built.map_err(|error| Failure::of("runtime", &error))
}
