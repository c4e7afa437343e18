//! The probe of a watched status, and its gauges.

use super::scope::Scope;
use super::{Count, Field, Group, Promise, Watchable};
use crate::api::handle::{Counter, Gauge};
use crate::callback::probe::{Collect, Levels};
use crate::callback::watch_name::WatchName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Polls a status, and sets a gauge for each of its fields.
#[derive(Debug)]
pub(super) struct StatusProbe<F> {
    // The name is taken for as long as this is polled.
    _name: Arc<WatchName>,
    levels: Arc<StatusLevels>,
    promise: Option<Promise>,
    status: F,
    // In the order of the status's counts. A count that was never above 0 has no counter.
    counters: Vec<Option<Counter>>,
    over: bool,
}

/// The gauges of a status.
#[derive(Debug)]
struct StatusLevels {
    scope: Scope,
    // In the order of the status's fields. A field that was never known has no gauge. The lock is not held while a
    // status is polled.
    gauges: Mutex<Vec<Option<Gauge>>>,
    groups: Mutex<BTreeMap<GroupName, Gauge>>,
}

/// A name, and the tags of a group.
type GroupName = (&'static str, Vec<(&'static str, String)>);

impl StatusLevels {
    /// Returns whether it is this task that reports, and makes the gauges absent if not.
    fn may_report(&self) -> bool {
        let may = self.scope.may_report();
        if !may {
            self.make_absent();
        }
        may
    }

    fn report(&self, fields: Vec<Field>) {
        let mut gauges = self.gauges();
        gauges.resize_with(fields.len(), || None);
        for (gauge, field) in gauges.iter_mut().zip(fields) {
            match (field.value, gauge) {
                (Some(value), gauge) => gauge.get_or_insert_with(|| self.scope.gauge(field)).set(value),
                (None, Some(gauge)) => gauge.unset(),
                (None, None) => {}
            }
        }
    }

    /// Reports what there is. The gauges of groups that are gone are dropped, which ends them.
    fn report_groups(&self, groups: Vec<Group>) {
        let mut known = self.groups();
        let mut current = BTreeMap::new();
        for group in groups {
            let name = (group.name, group.tags.clone());
            let gauge = known.remove(&name).unwrap_or_else(|| self.scope.group_gauge(&group));
            gauge.set(group.value);
            current.insert(name, gauge);
        }
        *known = current;
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<GroupName, Gauge>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gauges(&self) -> MutexGuard<'_, Vec<Option<Gauge>>> {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Levels for StatusLevels {
    fn make_absent(&self) {
        self.gauges().iter().flatten().for_each(Gauge::unset);
        self.groups().clear();
    }
}

impl<F> StatusProbe<F> {
    pub(super) fn new(name: &Arc<WatchName>, scope: Scope, promise: Option<Promise>, status: F) -> Self {
        let levels = Arc::new(StatusLevels { scope, gauges: Mutex::default(), groups: Mutex::default() });
        Self { _name: Arc::clone(name), levels, promise, status, counters: Vec::new(), over: false }
    }

    fn report_counts(&mut self, counts: Vec<Count>) {
        self.counters.resize_with(counts.len(), || None);
        for (counter, count) in self.counters.iter_mut().zip(counts).filter(|(_, count)| count.added > 0) {
            counter.get_or_insert_with(|| self.levels.scope.counter(count.name)).increment(count.added);
        }
    }
}

impl<S: Watchable, F: FnMut() -> Option<S> + Send> Collect for StatusProbe<F> {
    fn collect(&mut self) {
        if !self.levels.may_report() {
            return;
        }
        let Some(status) = (self.status)() else {
            self.over = true;
            return;
        };
        // The lease may be lost by the time a slow status is known.
        if !self.levels.may_report() {
            return;
        }
        let status = status.with_promise(self.promise);
        self.levels.report(status.fields());
        self.levels.report_groups(status.groups());
        self.report_counts(status.counts());
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn name(&self) -> String {
        let first = self.levels.scope.tags().into_iter().next();
        first.map(|(noun, name)| format!("{noun}:{name}")).unwrap_or_default()
    }

    fn levels(&self) -> Option<Arc<dyn Levels>> {
        Some(Arc::clone(&self.levels) as Arc<dyn Levels>)
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::api::client::Client;
    use crate::api::watch::{Reported, WatchBuilder};
    use crate::testing::{Capture, ManualClock};
    use std::time::Duration;

    struct Counted([u64; 2]);

    impl Watchable for Counted {}

    impl Reported for Counted {
        const NOUN: &'static str = "door";

        fn fields(&self) -> Vec<Field> {
            Vec::new()
        }

        fn counts(&self) -> Vec<Count> {
            let [opened, forced] = self.0;
            vec![Count { name: "opened", added: opened }, Count { name: "forced", added: forced }]
        }
    }

    #[test]
    fn what_a_status_counted_adds_up_and_0_is_not_sent() {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false);
        let guard = builder.flush_interval(Duration::from_secs(3600)).build().unwrap();
        let client = guard.client();
        let mut statuses = [[2, 0], [3, 0], [0, 0], [0, 1]].into_iter();
        let _watch = WatchBuilder::new(client, "front").watch_while(move || statuses.next().map(Counted));
        let flushed = || {
            client.flush(Duration::from_secs(60)).unwrap();
            let metrics = capture.take_metrics().unwrap();
            metrics
                .iter()
                .map(|metric| {
                    assert_eq!((metric.code.as_str(), metric.tag("door")), ("c", Some("front")));
                    (metric.name.clone(), metric.value.number().unwrap())
                })
                .collect::<Vec<_>>()
        };
        clock.advance(Duration::from_secs(1));
        assert_eq!(flushed(), [("door.opened".to_owned(), 5.0)]);
        assert_eq!(client.stats().contexts, 1, "what was never counted has no context");
        assert_eq!(flushed(), []);
        assert_eq!(flushed(), [("door.forced".to_owned(), 1.0)]);
        assert_eq!(flushed(), []);
        assert_eq!(client.stats().contexts, 0, "it is over");
    }
}
