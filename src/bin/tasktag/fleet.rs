//! `tasktag fleet`: the arithmetic of task ids, time series and their price, for a number of tasks.

use crate::arguments::Fleet;
use crate::outcome::Failure;
use crate::report::number;
use serde_json::json;
use std::io::{self, Write};
use tasktag::TaskIdPool;

/// The odds that one may accept, for which a pool is looked for.
const ACCEPTED: f64 = 0.01;

/// What a fleet costs and risks.
#[derive(Debug)]
struct Estimate {
    /// The probability that two tasks share a random id.
    odds: f64,
    /// How many tasks share theirs with another, on average.
    sharing: f64,
    /// The ids that are in use at a time, on average.
    ids: f64,
    /// The smallest pool in which the odds are 1 %. `None` if it would be no pool any more.
    pool_for_one_percent: Option<u32>,
    /// The time series of a month with an id of the pool, which is never more than the pool has.
    series: f64,
    /// The same with the name of each pod or container in place of an id.
    series_by_name: f64,
}

impl Estimate {
    fn of(fleet: &Fleet, pool: TaskIdPool) -> Self {
        // Each start draws anew, so that a month meets as many ids as that many tasks.
        let starts = f64::from(fleet.tasks) * (f64::from(fleet.deploys) + 1.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "so many have every id")]
        let draws = starts as u32;
        let per_id = f64::from(fleet.series);
        Self {
            odds: pool.collision_probability(fleet.tasks),
            sharing: pool.expected_sharing(fleet.tasks),
            ids: pool.expected_distinct(fleet.tasks),
            pool_for_one_percent: TaskIdPool::smallest_for(fleet.tasks, ACCEPTED).map(TaskIdPool::size),
            series: pool.expected_distinct(draws) * per_id,
            series_by_name: starts * per_id,
        }
    }
}

pub(crate) fn fleet(arguments: &Fleet) -> Result<(), Failure> {
    let pool = TaskIdPool::new(arguments.pool)?;
    let estimate = Estimate::of(arguments, pool);
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", object(arguments, &estimate))?;
    } else {
        rows(arguments, &estimate).iter().try_for_each(|(what, text)| writeln!(out, "{what:<46} {text}"))?;
    }
    out.flush()?;
    Ok(())
}

fn rows(fleet: &Fleet, estimate: &Estimate) -> Vec<(String, String)> {
    let Fleet { tasks, pool, deploys, .. } = fleet;
    let for_one_percent = estimate.pool_for_one_percent.map_or_else(
        || format!("none of up to {}: use a lease or an ordinal", TaskIdPool::MAX_SIZE),
        |pool| pool.to_string(),
    );
    let priced = |series: f64| {
        let price =
            fleet.price.map(|price| format!(", {}", number((series * price * 100.0).round() / 100.0)));
        number(series.round()) + &price.unwrap_or_default()
    };
    let of = |what: &str, text: String| (what.to_owned(), text);
    vec![
        of("tasks, buckets", format!("{tasks}, {pool}")),
        of("odds that two tasks share a random id", format!("{:.1} %", estimate.odds * 100.0)),
        of("tasks that share theirs, on average", format!("{:.1}", estimate.sharing)),
        of("buckets for odds of 1 %", for_one_percent),
        of(
            "shared ids with an ordinal or a lease",
            if tasks > pool { (tasks - pool).to_string() } else { "0".to_owned() },
        ),
        of("ids in use at a time, on average", format!("{:.1}", estimate.ids)),
        (format!("time series in a month of {deploys} deploys"), priced(estimate.series)),
        of("the same, by the names of pods", priced(estimate.series_by_name)),
    ]
}

fn object(fleet: &Fleet, estimate: &Estimate) -> serde_json::Value {
    let price = |series: f64| fleet.price.map(|price| series * price);
    json!({
        "tasks": fleet.tasks, "pool": fleet.pool, "odds": estimate.odds, "sharing": estimate.sharing,
        "pool_for_one_percent": estimate.pool_for_one_percent, "ids": estimate.ids,
        "series": estimate.series, "price": price(estimate.series),
        "series_by_name": estimate.series_by_name, "price_by_name": price(estimate.series_by_name),
    })
}
