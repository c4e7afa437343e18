//! The output: a line for each flush, the table of the last one, and the final counts.

use crate::files::Files;
use crate::options::{HELP, Options};
use crate::receiver::{Metric, Received};
use crate::totals::{Pair, Totals};
use crate::units::{bar, bytes, count, elapsed, milliseconds, number, percent, seconds};
use crate::workload::{WORKERS, Workload};
use crate::{FLUSH_INTERVAL, Failure, PREFIX};
use std::io::{self, IsTerminal, Stdout, Write};
use std::time::Duration;
use tasktag::Stats;

type Shown = Result<(), Failure>;

/// Characters of a bar.
pub(crate) const BAR: u64 = 8;

pub(crate) fn help() -> Shown {
    Ok(io::stdout().write_all(HELP.as_bytes())?)
}

/// Standard output. On a terminal, the table is below the lines and is redrawn with each of them. Otherwise it is
/// written once, after the last line.
pub(crate) struct Screen {
    out: Stdout,
    live: bool,
    table: Vec<String>,
    // The number of the table's lines on the terminal.
    drawn: usize,
    headed: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let out = io::stdout();
        let known = |variable| std::env::var(variable).is_ok_and(|value| value != "dumb");
        // An old Windows console has no cursor control, and neither variable.
        let live = out.is_terminal() && (known("TERM") || known("WT_SESSION"));
        Self { out, live, table: Vec::new(), drawn: 0, headed: false }
    }

    pub(crate) fn opening(&mut self, files: &Files, options: &Options, agent: &str) -> Shown {
        let (number, size) = (count(files.len() as u64), bytes(files.bytes as f64));
        let passes = count(u64::from(files.passes));
        let jobs = milliseconds(files.job.as_secs_f64() * 1e3);
        self.line(&format!("{number} files ({size}) of {}", options.folder.display()))?;
        self.line(&format!(
            "{WORKERS} workers, a file at a time, each hashed {passes} times over: {jobs} on average"
        ))?;
        let every = FLUSH_INTERVAL.as_secs();
        self.line(&format!("{} s of load; a flush every {every} s to {agent}", options.seconds))
    }

    /// Writes a line that stays.
    pub(crate) fn line(&mut self, text: &str) -> Shown {
        self.erase()?;
        writeln!(self.out, "{text}")?;
        self.draw()
    }

    pub(crate) fn has_table(&self) -> bool {
        !self.table.is_empty()
    }

    /// Sets what is shown below the lines from now on.
    pub(crate) fn set_table(&mut self, table: Vec<String>) -> Shown {
        self.erase()?;
        self.table = table;
        self.draw()
    }

    fn erase(&mut self) -> Shown {
        if self.drawn > 0 {
            write!(self.out, "\x1b[{}A\x1b[J", self.drawn)?;
            self.drawn = 0;
        }
        Ok(())
    }

    fn draw(&mut self) -> Shown {
        if self.live && !self.table.is_empty() {
            // A narrow terminal cuts lines off: if it broke them, there would be more to erase.
            writeln!(self.out, "\x1b[?7l{}\x1b[?7h", self.table.join("\n"))?;
            self.drawn = self.table.len();
        }
        Ok(self.out.flush()?)
    }

    /// Writes the heading above the lines, once.
    pub(crate) fn head(&mut self, titles: &str) -> Shown {
        if !self.headed {
            self.headed = true;
            self.line("")?;
            self.line(titles)?;
        }
        Ok(())
    }

    /// Writes what was received in a flush, in one line.
    pub(crate) fn flush(&mut self, at: Duration, received: &Received) -> Shown {
        self.head("  time  wanted  busy workers    queue          oldest  files     p50     p99")?;
        let Some(task) = received.tasks.values().next() else { return Ok(()) };
        let gauge = |name| task.number(name).unwrap_or(0.0);
        let quantile = |q| task.metric("files.hash_time")?.quantile(q);
        let times = [0.5, 0.99].map(|q| quantile(q).map_or_else(|| "–".to_owned(), milliseconds));
        let tail = format!(" {:>5}  {:>6}  {:>6}", number(gauge("files.hashed")), times[0], times[1]);
        let line = progress(
            at,
            gauge("producers.rate"),
            gauge("workers.utilization"),
            (gauge("queue.depth"), gauge("queue.capacity")),
            gauge("queue.oldest_age_seconds"),
        );
        self.line(&format!("{line} {tail}"))
    }

    /// Writes the current state of the pool and the client, if nothing of what is sent can be seen.
    pub(crate) fn sent(&mut self, at: Duration, workload: &Workload, stats: &Stats) -> Shown {
        self.head("  time  wanted  busy workers    queue          oldest  files    sent dropped")?;
        let (pool, queue, hashed) = workload.status();
        let level = |value: Option<u64>| value.unwrap_or(0) as f64;
        let line = progress(
            at,
            workload.rate(),
            level(pool.used()) / f64::from(WORKERS),
            (level(queue.depth), level(queue.capacity)),
            queue.oldest_age.unwrap_or_default().as_secs_f64(),
        );
        let [files, sent, dropped] =
            [hashed.files, stats.sent.values, stats.dropped_total().values].map(count);
        self.line(&format!("{line}  {files:>5}  {sent:>6}  {dropped:>6}"))
    }

    /// Shows what was received in the last flush, in full.
    pub(crate) fn table(&mut self, at: Duration, received: &Received) -> Shown {
        let Some((id, task)) = received.tasks.iter().next() else { return Ok(()) };
        let mut table = vec![
            String::new(),
            format!("the flush at {}, as received: {PREFIX}.… with task_id:{id}", elapsed(at)),
            format!("  {:<24}  {:<7}  {:<18} {:>9}   tags", "metric", "kind", "value", "max"),
        ];
        table.extend(task.metrics.iter().map(|((name, tags), metric)| row(name, tags, metric)));
        table.extend(
            received.words.iter().map(|[kind, title, text]| format!("  {title:<24}  {kind:<7}  {text}")),
        );
        self.set_table(table)
    }

    /// Ends the lines. The table, which a terminal has shown all the time, is now written to other outputs.
    pub(crate) fn settle(&mut self, received: &Received) -> Shown {
        let table = std::mem::take(&mut self.table);
        if !self.live {
            table.iter().try_for_each(|line| writeln!(self.out, "{line}"))?;
        }
        self.drawn = 0;
        if received.telemetry > 0 {
            let lines = count(received.telemetry);
            self.line(&format!("  and {lines} lines of the client about itself"))?;
        }
        Ok(())
    }

    /// Writes what was counted and what was received.
    pub(crate) fn comparison(&mut self, pairs: &[Pair]) -> Shown {
        self.line(&format!("\n{:<20} {:>18} {:>18}", "", "counted", "received"))?;
        for pair in pairs {
            let verdict = if pair.agrees() { "=" } else { "DIFFERS" };
            let (counted, received) = (count(pair.counted), number(pair.received));
            self.line(&format!("{:<20} {counted:>18} {received:>18}  {verdict}", pair.what))?;
        }
        Ok(())
    }

    /// Writes the statistics of the client.
    pub(crate) fn summary(&mut self, tag: &str, totals: &Totals, took: Duration) -> Shown {
        if totals.unreadable > 0 {
            self.line(&format!("\n{} files could not be read", count(totals.unreadable)))?;
        }
        let [accepted, sent] = [totals.accepted, totals.sent].map(count);
        self.line(&format!("\naccepted {accepted} values, sent {sent}, {totals}"))?;
        let [packets, lines, size] = [totals.packets, totals.lines, totals.bytes].map(count);
        self.line(&format!("{packets} packets, {lines} lines, {size} bytes"))?;
        self.line(&format!("{tag}, {} in all", elapsed(took)))
    }
}

fn progress(at: Duration, rate: f64, busy: f64, (depth, capacity): (f64, f64), oldest: f64) -> String {
    let fill = if capacity > 0.0 { depth / capacity } else { 0.0 };
    format!(
        "{:>6} {:>5.0}/s  {} {:>5}  {} {:>2.0}/{:<2.0} {:>7}",
        elapsed(at),
        rate,
        bar(busy, BAR),
        percent(busy),
        bar(fill, BAR),
        depth,
        capacity,
        seconds(oldest),
    )
}

fn row(name: &str, tags: &str, metric: &Metric) -> String {
    let max = metric.peak.map_or_else(String::new, |peak| level(name, peak));
    let (kind, value) = match metric.code.as_str() {
        "g" => ("gauge", reading(name, metric)),
        "c" => ("counter", reading(name, metric)),
        "s" => ("set", format!("{:>7}  {}", metric.members.len(), members(metric))),
        _ => ("timing", timing(metric)),
    };
    format!("  {name:<24}  {kind:<7}  {value:<18} {max:>9}   {tags}").trim_end().to_owned()
}

fn members(metric: &Metric) -> String {
    let all = metric.members.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    if all.chars().count() <= 30 { all } else { format!("{}…", all.chars().take(29).collect::<String>()) }
}

fn timing(metric: &Metric) -> String {
    let quantile = |q| metric.quantile(q).map_or_else(|| "–".to_owned(), milliseconds);
    format!("{:>7}  p50 {}  p99 {}", count(metric.count()), quantile(0.5), quantile(0.99))
}

/// A number, with a bar if it is a share.
fn reading(name: &str, metric: &Metric) -> String {
    let Some(value) = metric.number else { return format!("{:>7}", "–") };
    let bar = if name.ends_with("utilization") { bar(value, BAR) } else { String::new() };
    format!("{:>7}  {bar}", level(name, value))
}

/// A number in the unit that its name tells.
pub(crate) fn level(name: &str, value: f64) -> String {
    match name {
        share if share.ends_with("utilization") => percent(value),
        age if age.ends_with("_seconds") => seconds(value),
        size if size.ends_with("_bytes") => bytes(value),
        rate if rate.ends_with("rate") => format!("{value:.0}/s"),
        _ => number(value),
    }
}
