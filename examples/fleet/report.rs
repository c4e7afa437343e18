//! The printed report, and the same as CSV.

use crate::Options;
use crate::fleet::{Average, CRASHES_A_TASK_A_DAY, DAYS, DEPLOY_PARTS, Found, Plan};
use crate::source::Source;
use std::io::{self, Write};
use tasktag::TaskIdPool;

pub(crate) const CSV_HEAD: &str = "source,pool,tasks,months,measured,any,any_error,any_formula,\
    sharing,sharing_error,sharing_formula,lost,lost_error,lost_formula,starts,buckets,buckets_formula,series,series_formula,names,series_of_names\n";

pub(crate) fn print_model(out: &mut impl Write, options: &Options) -> io::Result<()> {
    let ids = options.seed.map_or_else(
        || {
            "Random ids are drawn by TaskIdPool::draw, differently each time; --seed N repeats a run."
                .to_owned()
        },
        |seed| format!("All ids and names come from the seed {seed}."),
    );
    writeln!(
        out,
        "A fleet over {DAYS} days, with a pool of {} ids and {} series per task.",
        options.pool.size(),
        options.series
    )?;
    writeln!(
        out,
        "By night (20:00 to 8:00) half of the tasks run: autoscaling stops random tasks and starts new ones."
    )?;
    writeln!(
        out,
        "Deploys at 10:00 and 16:00 replace all tasks in {DEPLOY_PARTS} parts. A part's new tasks start before its old"
    )?;
    writeln!(
        out,
        "ones stop. {CRASHES_A_TASK_A_DAY} crashes per task and day: the process restarts, and its pod keeps its name."
    )?;
    writeln!(
        out,
        "hashed: the crate's hash of the pod's name. leased: a set of slots, one pool for the whole fleet,"
    )?;
    writeln!(
        out,
        "instead of locked files (a directory's leases are those of one host); a slot is free at once."
    )?;
    writeln!(out, "{ids}")?;
    writeln!(
        out,
        "Tasks are compared at noon, when all run. To the right of each figure is the value that TaskIdPool computes."
    )
}

pub(crate) fn print_head(out: &mut impl Write, source: Source) -> io::Result<()> {
    let name = source.as_str();
    writeln!(
        out,
        "\n{name:<8}{:>18}{:>18}{:>18}{:>20}{:>14}",
        "any two", "tasks that", "gauges", "series", "series by"
    )?;
    writeln!(
        out,
        "{:>8}{:>18}{:>18}{:>18}{:>20}{:>14}",
        "tasks", "share", "share", "overwritten", "minted", "pods' names"
    )
}

/// The computed figures, which cover random draws and no leases.
struct Formula {
    any: f64,
    sharing: f64,
    lost: f64,
    buckets: f64,
}

impl Formula {
    fn of(plan: &Plan, found: &Found) -> Option<Self> {
        let tasks = f64::from(plan.tasks);
        (plan.source != Source::Leased).then(|| Self {
            any: plan.pool.collision_probability(plan.tasks),
            sharing: plan.pool.expected_sharing(plan.tasks) / tasks,
            lost: 1.0 - plan.pool.expected_distinct(plan.tasks) / tasks,
            buckets: found.buckets_drawn.mean(),
        })
    }
}

pub(crate) fn print_row(out: &mut impl Write, plan: &Plan, found: &Found, series: u32) -> io::Result<()> {
    let series = f64::from(series);
    let formula = Formula::of(plan, found);
    let beside = |text: fn(f64) -> String, of: fn(&Formula) -> f64, factor: f64| {
        formula.as_ref().map_or_else(|| "–".to_owned(), |formula| text(of(formula) * factor))
    };
    write!(out, "{:>8}", plan.tasks)?;
    write!(out, "{:>9}{:>9}", percent(found.any.mean()), beside(percent, |formula| formula.any, 1.0))?;
    write!(
        out,
        "{:>9}{:>9}",
        percent(found.sharing.mean()),
        beside(percent, |formula| formula.sharing, 1.0)
    )?;
    write!(out, "{:>9}{:>9}", percent(found.lost.mean()), beside(percent, |formula| formula.lost, 1.0))?;
    write!(
        out,
        "{:>10}{:>10}",
        short(found.buckets.mean() * series),
        beside(short, |formula| formula.buckets, series)
    )?;
    writeln!(out, "{:>14}", short(found.names.mean() * series))
}

pub(crate) fn print_foot(out: &mut impl Write, pool: TaskIdPool) -> io::Result<()> {
    writeln!(
        out,
        "\nLeases never collide if every task that a deploy starts before it stops the old ones finds a free slot:"
    )?;
    writeln!(
        out,
        "up to {} tasks here. Above that, a task without a slot shares an id until it ends.",
        apart(pool)
    )
}

/// The largest fleet whose deploys find a free slot for every new task.
fn apart(pool: TaskIdPool) -> usize {
    let fits = |tasks: &usize| tasks + tasks.div_ceil(DEPLOY_PARTS) <= pool.size() as usize;
    (0..=pool.size() as usize).rev().find(fits).unwrap_or(0)
}

pub(crate) fn csv_row(plan: &Plan, found: &Found, series: u32) -> String {
    let series = f64::from(series);
    let formula = Formula::of(plan, found);
    let live = |average: Average, of: fn(&Formula) -> f64| {
        let formula = formula.as_ref().map_or_else(String::new, |formula| format!("{:.6}", of(formula)));
        format!("{:.6},{:.6},{formula}", average.mean(), average.error())
    };
    let drawn = |factor: f64| {
        formula.as_ref().map_or_else(String::new, |formula| format!("{:.1}", formula.buckets * factor))
    };
    let Plan { source, pool, tasks, months, .. } = plan;
    let (source, size, measured) = (source.as_str(), pool.size(), found.any.count());
    let (starts, buckets, names) = (found.starts.mean(), found.buckets.mean(), found.names.mean());
    let any = live(found.any, |formula| formula.any);
    let sharing = live(found.sharing, |formula| formula.sharing);
    let lost = live(found.lost, |formula| formula.lost);
    let used = format!("{buckets:.1},{},{:.1},{}", drawn(1.0), buckets * series, drawn(series));
    let tagged = format!("{names:.1},{:.1}", names * series);
    format!(
        "{source},{size},{tasks},{months},{measured},{any},{sharing},{lost},{starts:.1},{used},{tagged}\n"
    )
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if percent < 9.995 { 2 } else { 1 };
    format!("{percent:.digits$} %")
}

/// Three digits: `64.5 M`.
fn short(number: f64) -> String {
    let (number, unit) = match number {
        big if big >= 999.5e6 => (big / 1e9, " G"),
        big if big >= 999.5e3 => (big / 1e6, " M"),
        big if big >= 999.5 => (big / 1e3, " k"),
        small => (small, ""),
    };
    let digits = match number {
        ones if ones < 9.995 => 2,
        tens if tens < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.digits$}{unit}")
}
