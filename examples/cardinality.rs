//! Shows how many time series a program makes: by metric, for a fleet, and compared with a tag of the pod's name.
//!
//! `cargo run --example cardinality --features testing -- --tasks 50 --deploys 60`

use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};
use std::time::Duration;
use tasktag::testing::Capture;
use tasktag::{CardinalityReport, Client, Kind, MetricCardinality, TaskIdPool};

const USAGE: &str = "cardinality [--tasks N] [--deploys N]";

/// Assumptions about the month, and about Datadog's two price lists as far as they are public.
const HOURS: f64 = 730.0;
const CUSTOM_METRICS_A_HOST: f64 = 100.0;
const DOLLARS_A_HUNDRED: f64 = 5.0;
const POINTS_A_NAME: f64 = 10e6;
const SECONDS_A_POINT: f64 = 10.0;
const LARGEST: usize = 3;

/// A fleet over a month.
struct Fleet {
    tasks: u32,
    /// Each deploy replaces all tasks.
    deploys: u32,
    /// The pool from which each task draws its id.
    pool: TaskIdPool,
}

impl Fleet {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut fleet = Self { tasks: 50, deploys: 60, pool: TaskIdPool::DEFAULT };
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            let number = value.parse().map_err(|_| format!("{flag} takes a number, not {value:?}"))?;
            match flag.as_str() {
                "--tasks" => fleet.tasks = number,
                "--deploys" => fleet.deploys = number,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(fleet)
    }

    /// The pods of a month: those that ran when it began, and those of each deploy.
    fn pods(&self) -> u32 {
        self.tasks.saturating_mul(self.deploys.saturating_add(1))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::read(std::env::args().skip(1))?;
    let guard = Client::builder().prefix("shop").capture(&Capture::new()).build()?;
    use_metrics(guard.client());
    guard.client().flush(Duration::from_secs(5))?;

    match print(&mut stdout(), &guard.client().cardinality(), &fleet) {
        // A reader like `head` may stop early.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// The metrics of a service with two pools, three queues and ten routes. No handle is kept: the report has all contexts
/// that the client knows, and the client forgets a context only after many flushes without a call.
fn use_metrics(client: &Client) {
    for pool in ["primary", "replica"] {
        client.gauge("pool.in_use").tag("pool", pool).peak().set(7.0);
        client.gauge("pool.utilization").tag("pool", pool).set(0.7);
        client.gauge("pool.waiting").tag("pool", pool).peak().set(0.0);
        client.timing("pool.wait").tag("pool", pool).record(1.5);
    }
    for queue in ["within_1_minute", "within_5_minutes", "within_1_day"] {
        client.gauge("queue.oldest_s").tag("queue", queue).set(3.0);
        for outcome in ["ok", "failed"] {
            client.counter("jobs.done").tag("queue", queue).tag("outcome", outcome).increment(1);
        }
    }
    for route in 0..10 {
        for status in ["2xx", "4xx", "5xx"] {
            let route = format!("route-{route}");
            client.distribution("http.request").tag("route", &route).tag("status", status).record(12.5);
        }
    }
}

fn print(out: &mut impl Write, report: &CardinalityReport, fleet: &Fleet) -> io::Result<()> {
    print_metrics(out, report)?;
    print_fleet(out, report, fleet)?;
    print_custom_metrics(out, report, fleet)?;
    print_metric_names(out, report, fleet)
}

fn print_metrics(out: &mut impl Write, report: &CardinalityReport) -> io::Result<()> {
    writeln!(
        out,
        "{:<20}{:<14}{:>9}{:>8}  the tag that multiplies most",
        "metric", "kind", "contexts", "series"
    )?;
    for metric in report.metrics() {
        let widest = metric.widest_tag().map(|(key, values)| format!("{key}, {values} values"));
        write!(out, "{:<20}{:<14}", metric.name(), metric.kind())?;
        writeln!(out, "{:>9}{:>8}  {}", metric.contexts(), metric.series(), widest.unwrap_or_default())?;
    }
    writeln!(out, "{:<34}{:>9}{:>8}  a task\n", "", report.contexts(), report.series())
}

/// Time series of the ids that are drawn, and of the pods that are started.
fn print_fleet(out: &mut impl Write, report: &CardinalityReport, fleet: &Fleet) -> io::Result<()> {
    let Fleet { tasks, deploys, pool } = fleet;
    let (series, pods) = (report.series() as f64, fleet.pods());
    let (now, month) = (pool.expected_distinct(*tasks), pool.expected_distinct(pods));
    writeln!(
        out,
        "{tasks} tasks and {deploys} deploys a month; each task draws an id from 1 to {}:",
        pool.size()
    )?;
    let mut line =
        |when: &str, series: f64, of: &str| writeln!(out, "  {when:<12}{series:>12.0} series {of}");
    line("at a time", report.fleet_series(*tasks, *pool), &format!("of {now:.0} ids"))?;
    line("", f64::from(*tasks) * series, &format!("of {tasks} pods' names"))?;
    line("in a month", month * series, &format!("of {month:.0} ids"))?;
    line("", f64::from(pods) * series, &format!("of {pods} pods' names"))?;
    line("forever", f64::from(pool.size()) * series, &format!("of {} ids at most", pool.size()))?;
    writeln!(out, "  {:<12}{:>12} to pods' names: each deploy adds its own", "", "no limit")?;
    let shared = 100.0 * pool.collision_probability(*tasks);
    writeln!(
        out,
        "Probability that two live tasks share an id and overwrite each other's gauges: {shared:.1} %\n"
    )
}

fn print_custom_metrics(out: &mut impl Write, report: &CardinalityReport, fleet: &Fleet) -> io::Result<()> {
    // In the hour of a deploy, both the old and the new tasks run.
    let share = (f64::from(fleet.deploys) / HOURS).min(1.0);
    let (alone, both) = (fleet.tasks, fleet.tasks.saturating_mul(2));
    let average = |distinct: &dyn Fn(u32) -> f64| {
        report.series() as f64 * (distinct(alone) * (1.0 - share) + distinct(both) * share)
    };
    let ids = average(&|tasks| fleet.pool.expected_distinct(tasks));
    writeln!(out, "By custom metrics: the distinct series of an hour, averaged over the month. Assumed:")?;
    writeln!(out, "  {CUSTOM_METRICS_A_HOST} are included per host, and each task has its own host;")?;
    writeln!(out, "  each further 100 cost {DOLLARS_A_HUNDRED} dollars a month;")?;
    writeln!(out, "  the host is not a tag (if it is, an id counts once for each of its hosts).")?;
    for (tag, average) in [("task ids", ids), ("pods' names", average(&f64::from))] {
        let paid = (average - CUSTOM_METRICS_A_HOST * f64::from(fleet.tasks)).max(0.0);
        let dollars = paid / 100.0 * DOLLARS_A_HUNDRED;
        writeln!(out, "  {tag:<12}{average:>12.0} on average{dollars:>12.0} dollars a month")?;
    }
    writeln!(out)
}

fn print_metric_names(out: &mut impl Write, report: &CardinalityReport, fleet: &Fleet) -> io::Result<()> {
    let (ids, pods) = (fleet.pool.expected_distinct(fleet.tasks), f64::from(fleet.tasks));
    let included = POINTS_A_NAME / 1e6;
    writeln!(out, "By metric names: the indexed points of a name in a month, in millions. Assumed:")?;
    writeln!(out, "  {included} are included per name; each series has a point every {SECONDS_A_POINT} s.")?;
    writeln!(
        out,
        "  {:<20}{:>8}{:>16}{:>16}",
        format!("the {LARGEST} largest"),
        "names",
        "by task ids",
        "by pods' names"
    )?;
    for metric in report.metrics().iter().take(LARGEST) {
        let millions = |tasks: f64| points_a_name(metric, tasks) / 1e6;
        write!(out, "  {:<20}{:>8}", metric.name(), names(metric))?;
        writeln!(out, "{:>16.1}{:>16.1}  each", millions(ids), millions(pods))?;
    }
    Ok(())
}

/// The five points of a distribution share one name. Other kinds have a name per line: `pool.wait.avg`,
/// `pool.in_use.max`.
fn names(metric: &MetricCardinality) -> u64 {
    if metric.kind() == Kind::Distribution { 1 } else { metric.series() / metric.contexts() as u64 }
}

fn points_a_name(metric: &MetricCardinality, tasks: f64) -> f64 {
    metric.series() as f64 / names(metric) as f64 * tasks * HOURS * 3600.0 / SECONDS_A_POINT
}
