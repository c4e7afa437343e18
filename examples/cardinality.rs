//! How many time series a program makes: by metric, for a fleet, and against a tag with the pod's name.
//!
//! `cargo run --example cardinality -- --tasks 50 --deploys 60`

use std::error::Error;
use std::time::Duration;
use tasktag::testing::Capture;
use tasktag::{CardinalityReport, Client, MetricCardinality, TaskIdPool};

/// What is assumed about the month, and of Datadog's two price lists as far as they are public.
const HOURS: f64 = 730.0;
const CUSTOM_METRICS_A_HOST: f64 = 100.0;
const DOLLARS_A_HUNDRED: f64 = 5.0;
const POINTS_A_NAME: f64 = 10e6;
const SECONDS_A_POINT: f64 = 10.0;

fn main() -> Result<(), Box<dyn Error>> {
    let (tasks, deploys) = (argument("--tasks", 50)?, argument("--deploys", 60)?);
    let guard = Client::builder().prefix("shop").capture(&Capture::new()).build()?;
    use_metrics(guard.client());
    guard.client().flush(Duration::from_secs(5))?;

    let report = guard.client().cardinality();
    print_metrics(&report);
    print_fleet(&report, tasks, deploys);
    print_prices(&report, tasks, deploys);
    Ok(())
}

/// A number behind a flag.
fn argument(flag: &str, default: u32) -> Result<u32, Box<dyn Error>> {
    let mut arguments = std::env::args().skip_while(|argument| argument != flag).skip(1);
    arguments.next().map_or(Ok(default), |text| {
        text.parse().map_err(|_| format!("{flag} takes a number, not {text:?}").into())
    })
}

/// The metrics of a service with two pools, three queues and ten routes. Handles are let go: the report is of the
/// contexts that are known, and these are until the flushes after.
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

fn print_metrics(report: &CardinalityReport) {
    println!("{:<20}{:<14}{:>9}{:>8}  the tag that multiplies most", "metric", "kind", "contexts", "series");
    for metric in report.metrics() {
        let widest = metric.widest_tag().map(|(key, values)| format!("{key}, {values} values"));
        print!("{:<20}{:<14}", metric.name(), metric.kind());
        println!("{:>9}{:>8}  {}", metric.contexts(), metric.series(), widest.unwrap_or_default());
    }
    println!("{:<34}{:>9}{:>8}  a task\n", "", report.contexts(), report.series());
}

/// Time series in a month: those of the ids ever drawn, and those of the pods ever started.
fn print_fleet(report: &CardinalityReport, tasks: u32, deploys: u32) {
    let pool = TaskIdPool::DEFAULT;
    let pods = tasks.saturating_mul(deploys);
    let (ids, series) = (pool.expected_distinct(pods), report.series() as f64);
    println!("{tasks} tasks, {deploys} deploys a month, each task drawing an id of {}:", pool.size());
    println!("  at a time  {:>10.0} series with task ids", report.fleet_series(tasks, pool));
    println!("  in a month {:>10.0} series with task ids ({ids:.0} of them ever drawn)", ids * series);
    println!(
        "             {:>10.0} series with the pods' names, and more every month",
        f64::from(pods) * series
    );
    let shared = 100.0 * pool.collision_probability(tasks);
    println!(
        "  the odds that two live tasks share an id, and overwrite each other's gauges: {shared:.1} %\n"
    );
}

fn print_prices(report: &CardinalityReport, tasks: u32, deploys: u32) {
    let (pool, series) = (TaskIdPool::DEFAULT, report.series() as f64);
    // In the hour of a deploy there are the old tasks and the new ones.
    let share = (f64::from(deploys) / HOURS).min(1.0);
    let hourly = |distinct: &dyn Fn(u32) -> f64| {
        series * (distinct(tasks) * (1.0 - share) + distinct(tasks.saturating_mul(2)) * share)
    };
    let averages =
        [("task ids", hourly(&|tasks| pool.expected_distinct(tasks))), ("pods' names", hourly(&f64::from))];
    let tasks = f64::from(tasks);
    println!(
        "By custom metrics, the average of the hours' distinct series ({CUSTOM_METRICS_A_HOST} included a host,"
    );
    println!("one task a host assumed, {DOLLARS_A_HUNDRED} dollars a month for each further 100 assumed):");
    for (tag, average) in averages {
        let paid = (average - CUSTOM_METRICS_A_HOST * tasks).max(0.0);
        println!(
            "  {tag:<12}{average:>9.0} on average{:>9.0} dollars a month",
            paid / 100.0 * DOLLARS_A_HUNDRED
        );
    }
    println!(
        "By metric names ({:.0} million indexed points included a name, a point a series every {SECONDS_A_POINT} s",
        POINTS_A_NAME / 1e6
    );
    println!("assumed; points are the same under either tag):");
    for metric in report.metrics().iter().take(3) {
        let points = points(metric, tasks);
        println!(
            "  {:<20}{:>9.1} million points a month, {:.1} times what is included",
            metric.name(),
            points / 1e6,
            points / POINTS_A_NAME
        );
    }
}

fn points(metric: &MetricCardinality, tasks: f64) -> f64 {
    metric.series() as f64 * tasks * HOURS * 3600.0 / SECONDS_A_POINT
}
