//! Tasks side by side: one column for each task id seen on the wire.

use crate::PREFIX;
use crate::receiver::{Metric, Received};
use crate::report::{BAR, level};
use crate::totals::{Pair, Totals};
use crate::units::{bar, count, elapsed, milliseconds, percent};
use std::collections::BTreeSet;
use std::time::Duration;
use tasktag::TaskIdPool;

const QUANTILES: [(&str, f64); 2] = [(" p50", 0.5), (" p99", 0.99)];

/// The task ids, each with the tasks that drew it.
pub(crate) struct Columns(Vec<(String, Vec<usize>)>);

impl Columns {
    /// Of the ids in the order of their tasks.
    pub(crate) fn new<'a>(ids: impl Iterator<Item = &'a str>) -> Self {
        let mut columns = Self(Vec::new());
        for (task, id) in ids.enumerate() {
            match columns.0.iter_mut().find(|(known, _)| known == id) {
                Some((_, tasks)) => tasks.push(task),
                None => columns.0.push((id.to_owned(), vec![task])),
            }
        }
        columns
    }

    /// Whether chance kept the tasks apart, and how probable that was.
    pub(crate) fn sharing(&self, tasks: u32) -> String {
        let pool = TaskIdPool::DEFAULT;
        let odds = pool.collision_probability(tasks) * 100.0;
        let shared = self.0.iter().filter(|(_, tasks)| tasks.len() > 1).map(|(id, tasks)| {
            let numbers = tasks.iter().map(|task| (task + 1).to_string()).collect::<Vec<_>>().join(", ");
            format!("\nNOTE: tasks {numbers} share task_id:{id}, so their gauges overwrite each other")
        });
        let buckets = count(u64::from(pool.size()));
        format!(
            "{buckets} task ids: two of {tasks} tasks share one in {odds:.1} % of runs{}",
            shared.collect::<String>()
        )
    }

    /// `task_id:0042 task_id:0117`
    pub(crate) fn tags(&self) -> String {
        let tags = self.0.iter().map(|(id, _)| format!("task_id:{id}"));
        tags.collect::<Vec<_>>().join(" ")
    }

    fn across(&self, first: String, text: impl Fn(&str) -> String) -> String {
        self.0.iter().fold(first, |line, (id, _)| line + "  " + &text(id)).trim_end().to_owned()
    }

    pub(crate) fn head(&self) -> String {
        let titles = self.across(format!("{:>6}", ""), |id| format!("{:<21}", format!("task_id:{id}")));
        let below =
            self.across(format!("{:>6}", "time"), |_| format!("{:<16}{:<5}", "busy workers", "queue"));
        format!("{titles}\n{below}")
    }

    /// The most important gauges of all tasks in one line.
    pub(crate) fn progress(&self, at: Duration, received: &Received) -> String {
        self.across(format!("{:>6}", elapsed(at)), |id| {
            let gauge = |name| received.tasks.get(id).and_then(|task| task.number(name));
            let [Some(busy), Some(depth), Some(capacity)] =
                ["workers.utilization", "queue.depth", "queue.capacity"].map(gauge)
            else {
                return format!("{:<21}", "nothing yet");
            };
            format!("{} {:>5} {depth:>3.0}/{capacity:<2.0}", bar(busy, BAR), percent(busy))
        })
    }

    /// Every metric of every task, as last received.
    pub(crate) fn table(&self, at: Duration, received: &Received) -> Vec<String> {
        let mut table = vec![
            String::new(),
            format!("the last flushes at {}, as received: {PREFIX}.…", elapsed(at)),
            self.across(format!("  {:<24}", "metric"), |id| format!("{:>16}", format!("task_id:{id}"))),
        ];
        let metrics: BTreeSet<_> = received.tasks.values().flat_map(|task| task.metrics.keys()).collect();
        for key in metrics {
            let all =
                self.0.iter().map(|(id, _)| Some(cells(&key.0, received.tasks.get(id)?.metrics.get(key)?)));
            let all: Vec<_> = all.map(Option::unwrap_or_default).collect();
            for (place, part) in all.iter().max_by_key(|cells| cells.len()).into_iter().flatten().enumerate()
            {
                let title = format!("{}{}", key.0, part.0);
                table.push(all.iter().fold(format!("  {title:<24}"), |line, cells| {
                    line + &format!("  {:>16}", cells.get(place).map_or("–", |(_, text)| text.as_str()))
                }));
            }
        }
        table
    }

    /// For each task id, what its pool counted and what arrived under it.
    pub(crate) fn pairs(&self, books: &[Totals], received: &Received) -> Vec<Pair> {
        let pair = |(id, tasks): &(String, Vec<usize>)| Pair {
            what: format!("files, task_id:{id}"),
            counted: tasks.iter().filter_map(|task| books.get(*task)).map(|totals| totals.files).sum(),
            received: received.tasks.get(id).map_or(0.0, |task| task.total("files.hashed")),
        };
        self.0.iter().map(pair).collect()
    }
}

/// A metric in one cell, or a timing in several.
fn cells(name: &str, metric: &Metric) -> Vec<(&'static str, String)> {
    match (metric.code.as_str(), metric.number) {
        ("ms", _) => [("", count(metric.count()))]
            .into_iter()
            .chain(
                QUANTILES.map(|(title, q)| (title, metric.quantile(q).map_or("–".to_owned(), milliseconds))),
            )
            .collect(),
        ("s", _) => vec![("", count(metric.members.len() as u64))],
        (_, Some(share)) if name.ends_with("utilization") => {
            vec![("", format!("{} {:>5}", bar(share, BAR), level(name, share)))]
        }
        (_, Some(value)) => vec![("", level(name, value))],
        (_, None) => vec![("", "–".to_owned())],
    }
}
