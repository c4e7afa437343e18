//! CPU time of compiling what a program depends on.

use super::package::{Package, tasktag};
use super::reference::COMPILE_PER_CADENCE;
use super::score::Score;

/// The default build in release, beside the same of cadence.
pub fn cpu_seconds() -> Vec<Score> {
    let ours = of(&tasktag());
    let cadence = of("cadence = \"1.8.0\"");
    let ratio = ours.zip(cadence).map(|(ours, cadence)| ours / cadence);
    let at_most = 0.6 * COMPILE_PER_CADENCE;
    vec![
        Score::plain("compiling the default build, release, CPU", ours, "s"),
        Score::plain("… cadence", cadence, "s"),
        Score::new("… relative to that", ratio, "×", at_most).note("0.6 of 0.1.0: 21.2 s beside 2.5 s"),
    ]
}

/// CPU seconds of building an empty library with a dependency.
fn of(dependency: &str) -> Option<f64> {
    let package = Package::new("dependent", dependency, None).ok()?;
    let before = children_cpu_seconds();
    package.build().then(|| children_cpu_seconds() - before)
}

/// What all processes used that this one waited for, and those that they waited for.
fn children_cpu_seconds() -> f64 {
    // SAFETY: the struct is plain data, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
