//! Reports how many time series a program creates, and which tags create them.

use crate::api::client::Client;
use crate::cell::Cell;
use crate::context::Context;
use crate::context::index::Index;
use crate::mailbox::shared::SeriesRules;
use crate::task_id::TaskIdPool;
use crate::vocabulary::kind::Kind;
use crate::wire::encode::SUFFIXES;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The time series that the Datadog Agent creates for a histogram: maximum, median, average, count and 95th percentile.
const HISTOGRAM_SERIES: u64 = 5;
/// The time series that Datadog creates for a distribution: count, sum, minimum, maximum and average.
const DISTRIBUTION_SERIES: u64 = 5;

/// The contexts that a client knows, by metric. [`Client::cardinality`](crate::Client::cardinality) returns it.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let _primary = client.gauge("pool.in_use").tag("pool", "primary").register();
/// let _replica = client.gauge("pool.in_use").tag("pool", "replica").register();
/// let report = client.cardinality();
/// let in_use = &report.metrics()[0];
/// assert_eq!((in_use.contexts(), in_use.widest_tag()), (2, Some(("pool", 2))));
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardinalityReport {
    metrics: Vec<MetricCardinality>,
    clashing: usize,
}

/// Cardinality.
impl Client {
    /// Returns the contexts that this client knows now, with the number of their time series and the tags that create
    /// them. It copies all names and tags, and is meant for start-up checks, debug pages and tests.
    #[must_use]
    pub fn cardinality(&self) -> CardinalityReport {
        CardinalityReport::of(&self.shared().index, self.shared().series)
    }
}

/// The contexts of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricCardinality {
    name: String,
    kind: Kind,
    contexts: usize,
    series: Series,
    // The number of values per key, in descending order.
    tags: Vec<(String, usize)>,
}

impl CardinalityReport {
    /// `rules` say which kinds carry the task id, and whether the main agent gets distributions as summaries.
    pub(crate) fn of(index: &Index, rules: SeriesRules) -> Self {
        let SeriesRules { task_id_on, sends_summaries: summaries } = rules;
        let mut contexts = index.contexts();
        // If several contexts write the same line, the first one in this order has it. The order makes that the same
        // one each time.
        contexts.sort_unstable_by(|a, b| {
            let names = a.identity.name().cmp(b.identity.name());
            let names = names.then_with(|| a.identity.tags().cmp(b.identity.tags()));
            let rest = |context: &Context| (context.kind as u8, context.identity.without_task_id());
            names.then_with(|| rest(a).cmp(&rest(b)))
        });
        let mut written = HashSet::new();
        let mut metrics: HashMap<(&str, Kind), Counted> = HashMap::new();
        for context in &contexts {
            let counted = metrics.entry((context.identity.name(), context.kind)).or_default();
            counted.add(context);
            for line in lines(context, summaries) {
                if written.insert(index.main_line(context, line.suffix, line.kind)) {
                    let with_task_id = !context.identity.without_task_id() && task_id_on.includes(line.kind);
                    counted.series.add(line.series, with_task_id);
                }
            }
        }
        let mut metrics: Vec<_> =
            metrics.into_iter().map(|((name, kind), counted)| counted.report(name, kind)).collect();
        metrics.sort_by(|a, b| {
            let series = b.series().cmp(&a.series()).then_with(|| a.name.cmp(&b.name));
            series.then_with(|| (a.kind as u8).cmp(&(b.kind as u8)))
        });
        Self { metrics, clashing: index.clashing(0) }
    }

    /// Returns the metrics, in descending order of their time series.
    #[must_use]
    pub fn metrics(&self) -> &[MetricCardinality] {
        &self.metrics
    }

    /// Returns the number of contexts of all metrics.
    #[must_use]
    pub fn contexts(&self) -> usize {
        self.metrics.iter().map(|metric| metric.contexts).sum()
    }

    /// Returns the number of contexts that the main agent can't tell apart from another one, because their lines are
    /// the same. See [`Stats::clashing_contexts`](crate::Stats::clashing_contexts).
    #[must_use]
    pub fn clashing_contexts(&self) -> usize {
        self.clashing
    }

    /// Returns the number of time series that one task creates at the main agent. Contexts that write the same line
    /// create one together.
    #[must_use]
    pub fn series(&self) -> u64 {
        self.metrics.iter().map(MetricCardinality::series).sum()
    }

    /// Returns the number of time series that a fleet of `tasks` creates if their ids are drawn from `pool`.
    ///
    /// Several tasks may share an id, so the number of different ids is an expected value. Metrics without the task id
    /// are counted once for all tasks, and not at all for 0 tasks.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use tasktag::TaskIdPool;
    ///
    /// let _in_use = client.gauge("pool.in_use").tag("pool", "primary").register();
    /// let report = client.cardinality();
    /// assert_eq!(report.series(), 1);
    /// // A hundred tasks have 95 different ids on average.
    /// assert_eq!(report.fleet_series(100, TaskIdPool::DEFAULT).round(), 95.0);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[must_use]
    pub fn fleet_series(&self, tasks: u32, pool: TaskIdPool) -> f64 {
        let of_each = self.metrics.iter().map(|metric| metric.series.with_task_id).sum::<u64>();
        let of_all = if tasks == 0 { 0 } else { self.series() - of_each };
        of_each as f64 * pool.expected_distinct(tasks) + of_all as f64
    }
}

impl MetricCardinality {
    /// Returns the metric's name as it is written, without the prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the metric's kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the number of different combinations of its tags.
    #[must_use]
    pub fn contexts(&self) -> usize {
        self.contexts
    }

    /// Returns the number of time series that one task creates for this metric at Datadog.
    ///
    /// A gauge with a peak creates two, an occupancy up to four, and a histogram or a timing five. A distribution
    /// without percentiles creates five, too. If the main agent has [`Weights::Summaries`](crate::Weights::Summaries),
    /// each of the last three kinds creates seven.
    ///
    /// Source: <https://docs.datadoghq.com/account_management/billing/custom_metrics/>.
    #[must_use]
    pub fn series(&self) -> u64 {
        self.series.with_task_id + self.series.without
    }

    /// Returns the number of its [time series](Self::series) that carry the task id. Each task creates its own ones.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let _done = client.counter("jobs.done").without_task_id().register();
    /// let _waiting = client.gauge("jobs.waiting").peak().register();
    /// let report = client.cardinality();
    /// let of_each_task: Vec<_> = report.metrics().iter().map(|metric| metric.series_of_each_task()).collect();
    /// assert_eq!(of_each_task, [2, 0]);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[must_use]
    pub fn series_of_each_task(&self) -> u64 {
        self.series.with_task_id
    }

    /// Iterates over the keys of its tags with the number of their values, in descending order of that number.
    pub fn tags(&self) -> impl Iterator<Item = (&str, usize)> {
        self.tags.iter().map(|(key, values)| (key.as_str(), *values))
    }

    /// Returns the tag with the most values, and their number.
    #[must_use]
    pub fn widest_tag(&self) -> Option<(&str, usize)> {
        self.tags().next()
    }
}

/// The time series that one task creates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Series {
    with_task_id: u64,
    without: u64,
}

impl Series {
    fn add(&mut self, series: u64, with_task_id: bool) {
        *(if with_task_id { &mut self.with_task_id } else { &mut self.without }) += series;
    }
}

#[derive(Debug, Default)]
struct Counted {
    contexts: usize,
    series: Series,
    values: BTreeMap<String, BTreeSet<String>>,
}

impl Counted {
    fn add(&mut self, context: &Context) {
        self.contexts += 1;
        for (key, value) in context.identity.tags() {
            self.values.entry(key.to_owned()).or_default().insert(value.to_owned());
        }
    }

    fn report(self, name: &str, kind: Kind) -> MetricCardinality {
        let mut tags: Vec<_> = self.values.into_iter().map(|(key, values)| (key, values.len())).collect();
        tags.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        MetricCardinality { name: name.to_owned(), kind, contexts: self.contexts, series: self.series, tags }
    }
}

/// One of the lines that a context writes.
struct Line {
    // The suffix of the name.
    suffix: &'static str,
    kind: Kind,
    // The number of time series that a server creates from the line.
    series: u64,
}

/// Returns the lines that a context writes. `summaries` says whether the agent gets distributions as summaries.
fn lines(context: &Context, summaries: bool) -> Vec<Line> {
    let line = |suffix, kind, series| Line { suffix, kind, series };
    let gauge = |suffix| line(suffix, Kind::Gauge, 1);
    match (&context.cell, context.kind) {
        (Cell::Gauge(cell), _) if cell.keeps_peak() => vec![gauge(""), gauge(".max")],
        (Cell::Occupancy(cell), _) => {
            let utilization = (cell.capacity() > 0).then_some(".utilization");
            let oldest = cell.keeps_oldest().then_some(".oldest_seconds");
            [".in_use", ".in_use.max"].into_iter().chain(utilization).chain(oldest).map(gauge).collect()
        }
        (Cell::Distribution(_), _) if summaries => {
            [line(".count", Kind::Counter, 1)].into_iter().chain(SUFFIXES.map(gauge)).collect()
        }
        (Cell::Distribution(_), Kind::Distribution) => vec![line("", context.kind, DISTRIBUTION_SERIES)],
        (Cell::Distribution(_), _) => vec![line("", context.kind, HISTOGRAM_SERIES)],
        (Cell::Gauge(_) | Cell::Counter(_) | Cell::Set(_), _) => vec![line("", context.kind, 1)],
    }
}
