//! Looks at an objective at every collection, and reports its course.

use super::counts::Counts;
use super::course::{Course, Rule};
use super::grid::Grid;
use super::history::History;
use super::history_file::{FileError, HistoryFile};
use super::metrics::{CourseMetrics, Naming};
use super::slice::SliceCounts;
use super::standing::Standing;
use crate::api::client::Client;
use crate::api::sole::SoleReporter;
use crate::callback::probe::{Collect, Levels};
use crate::callback::watch_name::WatchName;
use std::path::PathBuf;
use std::sync::Arc;

/// Where an objective's counts are from.
pub(super) trait Source: Send {
    /// Returns what was seen since the last call, or `None` if nobody can see anything any more.
    fn take(&mut self) -> Option<Counts>;

    /// Returns whether it is good at this moment, if the source is one that is asked.
    fn ask(&mut self) -> Option<bool> {
        None
    }
}

/// What a probe looks at, for whom.
pub(super) struct Subject<S> {
    pub(super) source: S,
    /// The lease of the task that reports for all, if it is not each task for itself.
    pub(super) sole: Option<SoleReporter>,
    /// Where a handle reads the slices, if there is one that does.
    pub(super) standing: Option<Arc<Standing>>,
}

/// What the probes of one objective have in common, in a process and its forked children.
pub(super) struct Plan {
    pub(super) rule: Rule,
    pub(super) watch_name: Arc<WatchName>,
    // What a probe is called in reports of late ones.
    pub(super) name: String,
    pub(super) naming: Naming,
    pub(super) history_file: Option<PathBuf>,
}

impl Plan {
    /// Returns a probe. The file belongs to the process that registered the objective, and not to its children.
    pub(super) fn probe<S>(&self, client: &Client, subject: Subject<S>, is_child: bool) -> ObjectiveProbe<S> {
        let path = self.history_file.as_ref().filter(|_| !is_child);
        ObjectiveProbe {
            _watch_name: Arc::clone(&self.watch_name),
            name: self.name.clone(),
            subject,
            course: Course::new(self.rule),
            grid: Grid::new(&client.shared().clock, self.rule.span.slice),
            metrics: Arc::new(CourseMetrics::new(client, &self.naming, &self.rule, path.is_some())),
            file: path.map(|path| HistoryFile::new(path, self.rule)),
            over: false,
        }
    }
}

/// The probe of one objective.
pub(super) struct ObjectiveProbe<S> {
    // The name is taken for as long as this is polled.
    _watch_name: Arc<WatchName>,
    name: String,
    subject: Subject<S>,
    course: Course,
    grid: Grid,
    metrics: Arc<CourseMetrics>,
    file: Option<HistoryFile>,
    over: bool,
}

impl<S: Source> Collect for ObjectiveProbe<S> {
    fn collect(&mut self) {
        let Some(seen) = self.subject.source.take() else {
            self.over = true;
            return;
        };
        if !self.may_report() {
            return self.stop();
        }
        let slice = self.grid.now();
        if !self.course.has_begun() {
            let history = self.read(slice);
            self.course.begin(slice, history);
        }
        // What was seen since the last look belongs to the slice of that look.
        self.course.see(seen);
        if let Some(over) = self.course.turn_to(slice) {
            self.report(over, slice);
        }
        // The lease may be lost by the time a slow answer is known.
        if let Some(is_good) = self.subject.source.ask().filter(|_| self.may_report()) {
            self.course.see(Counts::one(is_good));
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn levels(&self) -> Option<Arc<dyn Levels>> {
        Some(Arc::clone(&self.metrics) as Arc<dyn Levels>)
    }
}

impl<S> ObjectiveProbe<S> {
    /// Returns whether it is this task that reports.
    fn may_report(&self) -> bool {
        self.subject.sole.as_ref().is_none_or(SoleReporter::is_held)
    }

    fn stop(&mut self) {
        if self.course.has_begun() {
            self.course.stop();
            self.metrics.make_absent();
        }
    }

    fn report(&mut self, over: SliceCounts, slice: u64) {
        self.metrics.count(over);
        self.metrics.report(&self.course);
        if let Some(standing) = &self.subject.standing {
            standing.set(self.course.slices());
        }
        let written = self.file.as_mut().map(|file| file.write_in_time(self.course.history(), slice));
        self.note(written);
    }

    /// Returns what a former process or task knew.
    fn read(&self, slice: u64) -> Option<History> {
        let read = self.file.as_ref().map(|file| file.read(slice));
        self.note(read).flatten()
    }

    /// Counts an error.
    fn note<T>(&self, result: Option<Result<T, FileError>>) -> Option<T> {
        match result? {
            Ok(value) => Some(value),
            Err(error) => {
                self.metrics.count_file_error(error);
                None
            }
        }
    }
}

impl<S> Drop for ObjectiveProbe<S> {
    fn drop(&mut self) {
        if self.course.has_begun() && self.may_report() {
            let written = self.file.as_ref().map(|file| file.write(self.course.history()));
            self.note(written);
        }
    }
}
