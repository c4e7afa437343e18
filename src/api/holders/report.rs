//! A report of who holds how much, for people to read.

use super::metrics::HolderMetrics;
use std::fmt;
use std::time::Duration;

/// Who holds how much of something, for how long, and who waits. [`Holders::report`](crate::Holders::report) returns
/// one.
///
/// Its display is one line, meant for the log when a pool has timed out. It lists only holders that hold something or
/// wait.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let holders = client.holders("primary", 10);
/// let _held = holders.of("reports").hold("a connection");
/// let _wait = holders.of("checkout").wait();
/// let report = holders.report();
/// let line = report.to_string(); // primary: 1 held, 1 waiting; reports: 1 held, oldest 0.0 s; checkout: 1 waiting
/// assert!(line.starts_with("primary: 1 held, 1 waiting; reports: 1 held, oldest "));
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HoldersReport {
    /// The name of what is held.
    pub name: String,
    /// All holders, those that hold the most first.
    pub holders: Vec<HolderReport>,
}

/// What one holder holds, and how many of its callers wait.
///
/// The numbers are read one after the other while they change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HolderReport {
    /// The name of the holder.
    pub name: String,
    /// The number of units that it holds.
    pub held: u64,
    /// The number of its callers that wait.
    pub waiting: u64,
    /// The age of its oldest hold. If there are [`untracked`](Self::untracked) holds, one of them may be older.
    pub oldest: Option<Duration>,
    /// The number of holds whose age is not known, because the holder had 128 others when they began.
    pub untracked: u64,
}

impl HoldersReport {
    pub(super) fn new<'a>(name: &str, holders: impl Iterator<Item = &'a HolderMetrics>) -> Self {
        let mut holders: Vec<_> = holders.map(HolderReport::new).collect();
        holders.sort_by(|a, b| (b.held, b.waiting, &a.name).cmp(&(a.held, a.waiting, &b.name)));
        Self { name: name.to_owned(), holders }
    }

    /// Returns the number of units that all holders hold.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.holders.iter().map(|holder| holder.held).sum()
    }

    /// Returns the number of callers that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.holders.iter().map(|holder| holder.waiting).sum()
    }
}

impl HolderReport {
    fn new(metrics: &HolderMetrics) -> Self {
        Self {
            name: metrics.name().to_owned(),
            held: metrics.held(),
            waiting: metrics.waiting(),
            oldest: metrics.oldest_hold(),
            untracked: metrics.untracked(),
        }
    }
}

impl fmt::Display for HoldersReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} held, {} waiting", on_one_line(&self.name), self.held(), self.waiting())?;
        let mut busy = self.holders.iter().filter(|holder| holder.held > 0 || holder.waiting > 0);
        busy.try_for_each(|holder| write!(f, "; {holder}"))
    }
}

impl fmt::Display for HolderReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", on_one_line(&self.name))?;
        if self.held == 0 {
            return write!(f, "{} waiting", self.waiting);
        }
        write!(f, "{} held", self.held)?;
        if let Some(oldest) = self.oldest {
            let at_least = if self.untracked > 0 { "at least " } else { "" };
            write!(f, ", oldest {at_least}{:.1} s", oldest.as_secs_f64())?;
        }
        if self.waiting > 0 {
            write!(f, ", {} waiting", self.waiting)?;
        }
        Ok(())
    }
}

/// A name may come from outside, and a line break in it would look like another line of the log.
fn on_one_line(name: &str) -> String {
    name.replace(char::is_control, " ")
}
