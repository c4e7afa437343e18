//! The route to one agent: its dialect, its packets, and its statistics.

mod rendered;

pub(crate) use self::rendered::Rendered;

use self::rendered::Beside;
use crate::context::Context;
use crate::ledger::{DropReason, Ledger};
use crate::task_id::TaskId;
use crate::vocabulary::event::{Event, ServiceCheck};
use crate::vocabulary::kind::Kind;
use crate::vocabulary::member::Member;
use crate::vocabulary::unit::TimeUnit;
use crate::wire::encode::{
    Encoder, Group, Line, SUFFIXES, Unencodable, Weights, groups, split_counts, summary,
};
use crate::wire::packet::Outbox;
use crate::worker::aggregate::{Timed, thin};
use crate::worker::telemetry::{Taken, Telemetry};
use std::sync::Arc;

/// The maximum number of values of one distribution that a flush writes if each needs its own line.
const MAX_REPEATED: u64 = 1_000;

/// What follows the name in the line of the oldest unit of an occupancy.
const OLDEST: &str = ".oldest_seconds";

/// One agent, as the worker sees it. Every value goes to every route, and each route has its own statistics.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) encoder: Encoder,
    pub(crate) outbox: Outbox,
    pub(crate) telemetry: Option<Telemetry>,
    pub(crate) taken: Taken,
    pub(crate) ledger: Arc<Ledger>,
}

impl Route {
    /// Renders the lines of a context. A gauge has one of its peak, and an occupancy one of its oldest, if it is kept.
    pub(crate) fn render(&mut self, context: &Context) -> Rendered {
        let own = self.encoder.counted_own_tags(&context.identity);
        let line = |suffix, kind| self.encoder.line(context.identity.name(), suffix, &own, kind);
        let is_occupancy = context.kind == Kind::Occupancy;
        let summary = if context.kind.is_spread() && self.encoder.weights() == Weights::Summaries {
            let gauges = SUFFIXES.map(|suffix| line(suffix, Kind::Gauge));
            [line(".count", Kind::Counter)].into_iter().chain(gauges).collect()
        } else {
            Box::default()
        };
        let beside = Beside {
            peak: (is_occupancy || context.cell.keeps_peak()).then(|| line(peak_of(context), Kind::Gauge)),
            utilization: is_occupancy.then(|| line(".utilization", Kind::Gauge)),
            oldest: context.cell.keeps_oldest().then(|| line(OLDEST, Kind::Gauge)),
            folded: context.is_overflow().then(|| line(".folded", Kind::Counter)),
            summary,
        };
        Rendered::new(line(if is_occupancy { ".in_use" } else { "" }, context.kind), beside)
    }

    /// Adds the line of a peak or an oldest that is kept only since the others were rendered.
    pub(crate) fn render_late(&self, context: &Context, lines: &mut Rendered) {
        let line = |suffix| {
            let own = self.encoder.own_tags(&context.identity);
            self.encoder.line(context.identity.name(), suffix, &own, Kind::Gauge)
        };
        if context.cell.keeps_peak() && lines.peak().is_none() {
            lines.set_peak(line(peak_of(context)));
        }
        if context.cell.keeps_oldest() && lines.oldest().is_none() {
            lines.set_oldest(line(OLDEST));
        }
    }

    /// Everything that is rendered from now on has another task id.
    pub(crate) fn rename(&mut self, task_id: TaskId) {
        self.ledger.refused_tags.add(self.encoder.take_refused_tags());
        self.encoder.rename(task_id.as_str());
        self.outbox.rename(task_id);
        if let Some(telemetry) = &mut self.telemetry {
            telemetry.rename(&mut self.encoder, self.outbox.transport_name(), task_id);
        }
    }

    pub(crate) fn forget_refused_tags(&mut self) {
        self.encoder.take_refused_tags();
    }

    /// Accepts values, which the next calls write to lines or refuse.
    pub(crate) fn take_in(&mut self, values: u64) {
        self.outbox.take_in(values);
    }

    pub(crate) fn gauge(&mut self, line: &Line, level: f64) {
        self.outbox.put(self.encoder.gauge(line, level), 1);
    }

    /// Reports a level in a line that a context has beside its main one.
    pub(crate) fn gauge_beside(&mut self, line: Option<&Line>, level: f64) {
        match line {
            Some(line) => self.gauge(line, level),
            None => self.outbox.refuse(DropReason::Unsupported, 1),
        }
    }

    pub(crate) fn count(&mut self, line: &Line, n: i128) {
        self.outbox.put(self.encoder.count(line, n), 1);
    }

    /// Reports how often something was folded into an overflow context. This is the client's own metric, and not a
    /// user's value.
    pub(crate) fn folded(&mut self, lines: &Rendered, times: u64) {
        if let Some(line) = lines.folded() {
            self.outbox.put(self.encoder.count(line, times), 0);
        }
    }

    /// Reports levels with explicit timestamps.
    pub(crate) fn gauge_at(&mut self, line: &Line, levels: &[Timed<f64>]) {
        for &Timed { seconds, value: level, times } in levels {
            if self.encoder.has_timestamps() {
                self.outbox.put(self.encoder.gauge_at(line, level, seconds), times);
            } else {
                // Without its timestamp the value would say something else.
                self.outbox.refuse(DropReason::Unsupported, times);
            }
        }
    }

    /// Reports counts with explicit timestamps.
    pub(crate) fn count_at(&mut self, line: &Line, counts: &[Timed<u64>]) {
        for &Timed { seconds, value: n, times } in counts {
            if self.encoder.has_timestamps() {
                self.outbox.put(self.encoder.count_at(line, n, seconds), times);
            } else {
                self.outbox.refuse(DropReason::Unsupported, times);
            }
        }
    }

    /// Reports a distribution's values, and how often each was seen. Their unit may be known.
    pub(crate) fn values(&mut self, lines: &Rendered, values: &[(f64, u64)], unit: Option<TimeUnit>) {
        let unit = unit.filter(|_| self.encoder.writes_milliseconds(&lines.main));
        let written = |value| unit.map_or(value, |unit| unit.scale().apply(value));
        let values = values.iter().map(|&(value, n)| (written(value), n));
        let (mut values, refused): (Vec<_>, Vec<_>) =
            values.partition(|(value, _)| value.is_finite() && self.encoder.takes(*value));
        self.outbox.refuse(DropReason::Invalid, total(&refused));
        match self.encoder.weights() {
            Weights::Rates => self.rates(&lines.main, &mut values),
            Weights::Repeats => self.repeats(&lines.main, &mut values),
            Weights::Summaries => self.summary(lines, &mut values),
        }
    }

    fn rates(&mut self, line: &Line, values: &mut Vec<(f64, u64)>) {
        split_counts(values);
        if self.encoder.packs_values() {
            for Group { weight, values } in groups(values, self.encoder.frame_bytes(line)) {
                self.pack(line, &values, weight);
            }
        } else {
            for &(value, n) in &*values {
                self.pack(line, &[value], n);
            }
        }
    }

    /// Writes values of one weight to as few lines as possible.
    fn pack(&mut self, line: &Line, mut values: &[f64], weight: u64) {
        while !values.is_empty() {
            let room = self.outbox.room(self.encoder.frame_bytes(line));
            let (lines, taken) = self.encoder.values(line, values, weight, room);
            self.outbox.put(lines, weight.wrapping_mul(taken as u64));
            values = values.get(taken..).unwrap_or_default();
        }
    }

    fn repeats(&mut self, line: &Line, values: &mut Vec<(f64, u64)>) {
        self.outbox.refuse(DropReason::Sampled, thin(values, MAX_REPEATED));
        for &(value, n) in &*values {
            let (encoded, _) = self.encoder.values(line, &[value], 1, usize::MAX);
            for _ in 0..n {
                self.outbox.put(encoded, 1);
            }
        }
    }

    fn summary(&mut self, lines: &Rendered, values: &mut [(f64, u64)]) {
        let (Some((count, numbers)), Some((first, others))) =
            (summary(values), lines.summary().split_first())
        else {
            return;
        };
        self.outbox.put(self.encoder.count(first, count), total(values));
        for (line, number) in others.iter().zip(numbers) {
            self.outbox.put(self.encoder.gauge(line, number), 0);
        }
    }

    /// Reports a set's members, and how often each was seen.
    pub(crate) fn members(&mut self, line: &Line, members: &[(Member, u64)]) {
        for (member, times) in members {
            match self.encoder.member(line, member) {
                Ok(encoded) => self.outbox.put(encoded, *times),
                Err(why) => self.refuse(why, *times),
            }
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        self.taken.events += 1;
        match self.encoder.event(event, self.outbox.text_room()) {
            Ok(line) => self.outbox.put_text(line, 1),
            Err(why) => self.refuse(why, 1),
        }
    }

    pub(crate) fn service_check(&mut self, check: &ServiceCheck) {
        self.taken.service_checks += 1;
        match self.encoder.service_check(check, self.outbox.text_room()) {
            Ok(line) => self.outbox.put_text(line, 1),
            Err(why) => self.refuse(why, 1),
        }
    }

    fn refuse(&mut self, why: Unencodable, values: u64) {
        let reason = match why {
            Unencodable::Empty => DropReason::Invalid,
            Unencodable::Unsupported => DropReason::Unsupported,
        };
        self.outbox.refuse(reason, values);
    }

    /// Ends the flush, and sends its last packet. With `report_itself`, it also sends the client's own counts, and the
    /// number of leased task ids if that is known.
    pub(crate) fn finish(&mut self, report_itself: bool, leased: Option<u32>) {
        self.ledger.refused_tags.add(self.encoder.take_refused_tags());
        self.ledger.truncated_texts.add(self.encoder.take_truncated_texts());
        if let Some(telemetry) = self.telemetry.as_mut().filter(|_| report_itself) {
            // The flush's own packets are sent first, so that the statistics include them.
            self.outbox.settle_counts();
            telemetry.flush(&self.ledger.stats(0), &self.taken, leased, &mut self.encoder, &mut self.outbox);
        }
        self.outbox.finish();
        self.ledger.flushes.add(1);
    }
}

/// What follows the name in the line of a peak.
fn peak_of(context: &Context) -> &'static str {
    if context.kind == Kind::Occupancy { ".in_use.max" } else { ".max" }
}

fn total(values: &[(f64, u64)]) -> u64 {
    values.iter().map(|(_, n)| *n).fold(0, u64::wrapping_add)
}
