//! The worker's view of all contexts, and what each has to report at a flush. Contexts are registered in `index`.

mod lines;
mod room;

use self::lines::Lines;
use crate::cell::{Buckets, Cell, Counted, CounterCell, GaugeCell, OccupancyCell, Reading, SetCell};
use crate::context::Context;
use crate::context::handle_cache::{FlushInfo, HandleCaches, IdleGauges};
use crate::context::index::Index;
use crate::mailbox::post::Remains;
use crate::process::clock::Clock;
use crate::vocabulary::kind::Kind;
use crate::worker::aggregate::{Aggregate, Timed};
use crate::worker::route::{Rendered, Route};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// The number of flushes after which an idle context that was only called by name is forgotten, which is 5 minutes at
/// the default interval. A gauge is not forgotten, because it has something to send as long as it is known.
pub(crate) const IDLE_FLUSHES: u32 = 150;

/// The same number if there was no room for another context. It is also the minimum for a gauge to leave.
pub(crate) const IDLE_FLUSHES_IN_A_CROWD: u32 = 2;

/// All contexts, owned by the worker.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    contexts: Vec<Tracked>,
}

#[derive(Debug)]
struct Tracked {
    context: Arc<Context>,
    lines: Lines,
    reported: Reported,
    idle_flushes: u32,
    // Whether it was called by name, and therefore outlives its handles.
    by_name: bool,
}

/// What the last report of a context said, which the next one goes on from.
#[derive(Debug)]
enum Reported {
    Gauge {
        /// The bits of its level, if it was reported.
        level: Option<u64>,
        /// The time of the last flush that found it in use.
        used_at: u64,
    },
    /// A counter's counts.
    Counted(Counted),
    /// An occupancy's reading. It is large, and few contexts have one.
    Occupied(Box<Reading>),
    /// Nothing that matters: a report takes everything that a distribution or a set has.
    Nothing,
}

/// What a context's values are written with.
#[derive(Clone, Copy, Debug)]
struct Written<'a> {
    kind: Kind,
    /// For each route its own.
    lines: &'a [Rendered],
}

/// What a flush uses.
#[derive(Debug)]
pub(crate) struct Flush<'a> {
    pub(crate) clock: &'a Clock,
    pub(crate) index: &'a Index,
    pub(crate) handle_caches: &'a HandleCaches,
    pub(crate) routes: &'a mut [Route],
    pub(crate) aggregate: &'a mut Aggregate,
    pub(crate) now: u64,
    pub(crate) idle_gauges: IdleGauges,
}

/// Whether a context is still needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// A handle exists, there was a call by name since the last flush, or it is a gauge that was called by name before.
    Live,
    /// Nothing uses it. It may be called again, or a thread that remembers it may be in the middle of a call.
    Idle,
    /// It was removed from the index, and no thread remembers it. This is its last flush.
    Gone,
}

impl Registry {
    /// Returns the contexts of a client in a forked child, without their inherited values.
    pub(crate) fn inherited(contexts: Vec<Arc<Context>>, clock: &Clock) -> Self {
        Self { contexts: contexts.into_iter().map(|context| Tracked::inherited(context, clock)).collect() }
    }

    /// Adds new contexts.
    pub(crate) fn welcome(&mut self, arrivals: Vec<Arc<Context>>) {
        self.contexts.extend(arrivals.into_iter().map(Tracked::new));
    }

    /// Reports every context, and forgets those that nothing holds.
    pub(crate) fn flush(&mut self, flush: &mut Flush<'_>) {
        let shortage = flush.index.take_shortage();
        // This must happen before the calls are checked.
        flush.index.pass_on_calls();
        // What the handle caches drop is reported once more, and has made room by the next flush.
        flush.handle_caches.on_flush(FlushInfo {
            now: flush.now,
            shortage: shortage.as_ref(),
            idle_gauges: flush.idle_gauges,
            index: flush.index,
        });
        if let Some(shortage) = &shortage {
            self.make_room(shortage, flush.index, flush.handle_caches);
        }
        self.contexts.retain_mut(|tracked| tracked.flush(flush) != Life::Gone);
    }

    /// Renders all lines again, because the task id has changed.
    pub(crate) fn render_anew(&mut self, routes: &mut [Route]) {
        for tracked in self.contexts.iter_mut().filter(|tracked| tracked.lines.is_rendered()) {
            tracked.render(routes);
        }
        // Tags that are left out were already counted the first time.
        routes.iter_mut().for_each(Route::forget_refused_tags);
    }

    /// Takes what is in the cells without reporting it, and returns the number of values.
    fn take_late_values(&mut self) -> u64 {
        self.contexts.iter_mut().map(Tracked::take_values).fold(0, u64::wrapping_add)
    }
}

impl Tracked {
    fn new(context: Arc<Context>) -> Self {
        let reported = match &context.cell {
            Cell::Gauge(_) => Reported::Gauge { level: None, used_at: 0 },
            Cell::Counter(_) => Reported::Counted(Counted::default()),
            Cell::Occupancy(cell) => Reported::Occupied(Box::new(cell.first_reading())),
            Cell::Distribution(_) | Cell::Set(_) => Reported::Nothing,
        };
        Self { context, lines: Lines::default(), reported, idle_flushes: 0, by_name: false }
    }

    fn inherited(context: Arc<Context>, clock: &Clock) -> Self {
        let mut tracked = Self::new(context);
        tracked.take_values();
        // A note of a call stays: it may be of the call that sets this process up, whose value is still to come.
        tracked.context.take_registered();
        match &tracked.context.cell {
            Cell::Gauge(cell) => {
                cell.start_over();
                tracked.reported = Reported::Gauge { level: None, used_at: 0 };
            }
            Cell::Occupancy(cell) => {
                tracked.reported = Reported::Occupied(Box::new(cell.start_over(clock.now())));
            }
            Cell::Distribution(cell) => cell.start_over(),
            Cell::Counter(_) | Cell::Set(_) => {}
        }
        tracked
    }

    fn flush(&mut self, flush: &mut Flush<'_>) -> Life {
        // This is decided before the cell is read, so that everything put into the cell until then is reported now.
        let life = self.life(flush);
        if !self.lines.is_rendered() {
            self.render(flush.routes);
        } else if self.context.cell.keeps_peak() || self.context.cell.keeps_oldest() {
            self.render_late(flush.routes);
        }
        let written = Written { kind: self.context.kind, lines: self.lines.as_slice() };
        let folded = self.context.take_folded();
        if folded != 0 {
            flush.report(written, 0, |route, lines| route.folded(lines, folded));
        }
        match (&self.context.cell, &mut self.reported) {
            (Cell::Gauge(cell), Reported::Gauge { level, .. }) => {
                *level = flush.gauge(written, cell, life, *level);
            }
            (Cell::Counter(cell), Reported::Counted(counted)) => flush.counter(written, cell, counted),
            (Cell::Occupancy(cell), Reported::Occupied(reading)) => flush.occupancy(written, cell, reading),
            (Cell::Distribution(cell), _) => flush.distribution(written, cell),
            (Cell::Set(cell), _) => flush.set(written, cell),
            // A context keeps its cell, so that what it reported is of the same kind.
            (Cell::Gauge(_) | Cell::Counter(_) | Cell::Occupancy(_), _) => {}
        }
        life
    }

    fn render(&mut self, routes: &mut [Route]) {
        self.lines = routes.iter_mut().map(|route| route.render(&self.context)).collect();
    }

    /// Renders the lines that were asked for only after the others were rendered.
    fn render_late(&mut self, routes: &[Route]) {
        for (lines, route) in self.lines.as_mut_slice().iter_mut().zip(routes) {
            route.render_late(&self.context, lines);
        }
    }

    fn life(&mut self, flush: &Flush<'_>) -> Life {
        let called = self.context.take_called();
        let is_gauge = matches!(self.context.cell, Cell::Gauge(_));
        let is_held = self.context.is_held();
        // Dropping a gauge's last handle ends it, unless it was called since.
        let was_dropped = !is_held && self.context.take_registered() && is_gauge;
        self.by_name = called || self.by_name && !was_dropped;
        if called || is_held {
            self.idle_flushes = 0;
            if let Reported::Gauge { used_at, .. } = &mut self.reported {
                *used_at = flush.now;
            }
            return Life::Live;
        }
        self.idle_flushes = self.idle_flushes.saturating_add(1);
        if !self.context.is_retired() {
            let is_wanted = self.is_wanted(flush);
            if is_wanted && is_gauge {
                return Life::Live;
            }
            if !is_wanted {
                flush.index.remove(&self.context);
            }
        }
        // A thread that remembers a retired context may be in the middle of a call, and its value must not be lost.
        let forgotten = self.context.is_retired() && Arc::get_mut(&mut self.context).is_some();
        if forgotten { Life::Gone } else { Life::Idle }
    }

    /// Returns whether it stays although nothing uses it.
    fn is_wanted(&self, flush: &Flush<'_>) -> bool {
        let is_lasting = self.is_lasting_gauge();
        let ended = |used_at| flush.idle_gauges.end(used_at, flush.now);
        let is_late = matches!(self.reported, Reported::Gauge { used_at, .. } if ended(used_at));
        self.by_name && (is_lasting || self.idle_flushes < IDLE_FLUSHES) && !is_late
    }

    /// Returns whether it is a gauge with a level that stays as long as there is room. A gauge does not stay if it
    /// stands for many values, or for one that may lose its slot, because nothing would ever set it again.
    fn is_lasting_gauge(&self) -> bool {
        matches!(&self.context.cell, Cell::Gauge(cell) if !self.context.is_bounded && cell.value().is_some())
    }

    fn take_values(&mut self) -> u64 {
        match (&self.context.cell, &mut self.reported) {
            (Cell::Gauge(cell), Reported::Gauge { level: reported, .. }) => {
                let level = cell.value().map(f64::to_bits);
                let unreported = level.is_some() && level != *reported;
                *reported = level;
                u64::from(unreported)
            }
            (Cell::Counter(cell), Reported::Counted(counted)) => u64::from(added(cell, counted) != 0),
            (Cell::Distribution(cell), _) => {
                let mut values = 0;
                cell.take(|_, n| values = u64::wrapping_add(values, n));
                values
            }
            (Cell::Set(_) | Cell::Occupancy(_) | Cell::Gauge(_) | Cell::Counter(_), _) => 0,
        }
    }
}

/// Returns what was counted since `counted`, and updates `counted`.
fn added(cell: &CounterCell, counted: &mut Counted) -> i128 {
    let now = cell.counted();
    now.since(mem::replace(counted, now))
}

impl Flush<'_> {
    /// Reports `values` to all agents. All of them accept the values before the first one processes them, so that all
    /// statistics include them if that fails.
    fn report(&mut self, written: Written<'_>, values: u64, put: impl Fn(&mut Route, &Rendered)) {
        let Written { kind, lines } = written;
        for (route, _) in self.routes.iter_mut().zip(lines) {
            route.take_in(values);
            route.taken.note(kind, values);
        }
        for (route, lines) in self.routes.iter_mut().zip(lines) {
            put(route, lines);
        }
    }

    /// Returns the level that is now the last reported one.
    fn gauge(
        &mut self,
        written: Written<'_>,
        cell: &Arc<GaugeCell>,
        life: Life,
        reported: Option<u64>,
    ) -> Option<u64> {
        let timed = self.aggregate.levels.take(cell);
        if !timed.is_empty() {
            self.report(written, Timed::times(&timed), |route, lines| route.gauge_at(&lines.main, &timed));
        }
        // The peak is always taken, because it belongs to this interval. A gauge that is absent by now reports neither.
        // One whose peak is kept since a moment ago has no line for it yet.
        let reports_peak = written.lines.iter().all(|lines| lines.peak().is_some());
        let highest = if reports_peak { cell.take_peak() } else { None };
        let level = cell.value()?;
        let is_old = reported == Some(level.to_bits()) && highest.is_none_or(|highest| highest <= level);
        // A gauge that nothing holds any more is reported if it never was, and otherwise not again.
        if life != Life::Live && is_old {
            return reported;
        }
        self.report(written, 1, |route, lines| route.gauge(&lines.main, level));
        if reports_peak {
            // The interval began with the level that was last reported.
            let earlier = reported.map_or(level, f64::from_bits);
            let peak = highest.unwrap_or(level).max(level).max(earlier);
            self.report(written, 1, |route, lines| route.gauge_beside(lines.peak(), peak));
        }
        Some(level.to_bits())
    }

    fn counter(&mut self, written: Written<'_>, cell: &Arc<CounterCell>, counted: &mut Counted) {
        let timed = self.aggregate.counts.take(cell);
        if !timed.is_empty() {
            self.report(written, Timed::times(&timed), |route, lines| route.count_at(&lines.main, &timed));
        }
        // The count is taken here and not earlier. Between the cell and a route it would be lost uncounted if the
        // report above fails.
        let n = added(cell, counted);
        if n != 0 {
            self.report(written, 1, |route, lines| route.count(&lines.main, n));
        }
    }

    fn distribution(&mut self, written: Written<'_>, cell: &Arc<Buckets>) {
        let mut values = Vec::new();
        cell.take(|value, n| values.push((value, n)));
        self.aggregate.take_overflow(cell, &mut values);
        if !values.is_empty() {
            let n = values.iter().map(|(_, n)| *n).fold(0, u64::wrapping_add);
            let unit = cell.unit.get();
            self.report(written, n, |route, lines| route.values(lines, &values, unit));
        }
    }

    fn set(&mut self, written: Written<'_>, cell: &Arc<SetCell>) {
        let members = self.aggregate.take_members(cell);
        if !members.is_empty() {
            let times = members.iter().map(|(_, times)| times).sum();
            self.report(written, times, |route, lines| route.members(&lines.main, &members));
        }
    }

    fn occupancy(&mut self, written: Written<'_>, cell: &OccupancyCell, occupied: &mut Reading) {
        let last = *occupied;
        let mut reading = cell.read(last, || self.clock.now());
        let busy = reading.take_busy(last);
        // This comes before the report. If the report fails, its interval is lost with it, and the next one is
        // complete.
        *occupied = reading;
        self.report(written, 1, |route, lines| route.gauge(&lines.main, reading.in_use as f64));
        self.report(written, 1, |route, lines| route.gauge_beside(lines.peak(), reading.peak as f64));
        let room = reading.at.saturating_sub(last.at) as f64 * cell.capacity() as f64;
        if room > 0.0 {
            let utilization = busy as f64 / room;
            self.report(written, 1, |route, lines| route.gauge_beside(lines.utilization(), utilization));
        }
        // An oldest that was asked for a moment ago has no line yet.
        if cell.keeps_oldest() && written.lines.iter().all(|lines| lines.oldest().is_some()) {
            let seconds = Duration::from_nanos(cell.oldest(reading.at)).as_secs_f64();
            self.report(written, 1, |route, lines| route.gauge_beside(lines.oldest(), seconds));
        }
    }
}

impl Remains for Registry {
    fn take_values(&mut self, index: &Index) -> u64 {
        self.welcome(index.take_arrivals());
        self.take_late_values()
    }
}
