//! What can be said to the command.

use crate::endpoint::Endpoint;
use crate::traffic::View;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;
use tasktag::{AlertType, Dialect, Priority, Status};

const DEFAULT_ADDRESS: &str = "udp://127.0.0.1:8125";
const WHERE: &str = "Where to listen: udp://host:port, tcp://host:port, unix:///path (datagrams), unixstream:///path \
                     (each packet behind its length). Port 0 is one that is free";
const REDIS: &str = "Look at a Redis in which task ids are leased: redis://[user:password@]host[:port], rediss://… over TLS, or \
     unix:///path";
/// The interval of a flush of the Datadog Agent, and that of a client.
const LINES_INTERVAL: f64 = 10.0;
const TABLE_INTERVAL: f64 = 2.0;
const MAX_INTERVAL: f64 = 86_400.0;

/// See what metrics arrive, and why none do.
#[derive(Debug, Parser)]
#[command(name = "tasktag", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Listen(Listen),
    Replay(Replay),
    Send(Send),
    Time(Time),
    Doctor(Doctor),
    Watch(Watch),
    Fleet(Fleet),
    Capacity(Capacity),
}

/// Receive metrics, and show them: as a table, or as lines if the output is no terminal
#[derive(Args, Debug)]
pub(crate) struct Listen {
    #[arg(value_name = "ADDRESS", default_value = DEFAULT_ADDRESS, value_parser = Endpoint::parse, help = WHERE)]
    pub(crate) addresses: Vec<Endpoint>,
    /// Print an object of JSON a line, also on a terminal
    #[arg(long)]
    pub(crate) json: bool,
    /// Print lines, also on a terminal
    #[arg(long)]
    pub(crate) lines: bool,
    /// The seconds between two reports [default: 10, or 2 in the table]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    interval: Option<f64>,
    /// Leave out a tag, and show the series that differ only there as one: sums of counters, means of gauges' levels
    #[arg(long, value_name = "KEY")]
    fold: Vec<String>,
    /// Show only metrics whose name or tag contains this
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// The tag by which tasks are counted
    #[arg(long, value_name = "KEY", default_value = "task_id")]
    task_id_key: String,
    /// The series that are kept. Each takes about 2 KiB if it is a gauge or a counter, and at most 100 KiB
    #[arg(long, value_name = "SERIES", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_series: u32,
    /// Take a gauge's value with a sign for a difference, as servers of StatsD do and the Datadog Agent does not
    #[arg(long)]
    pub(crate) differences: bool,
    /// Pass every packet on to an agent, unchanged
    #[arg(long, value_name = "ADDRESS", value_parser = Endpoint::parse)]
    pub(crate) forward: Option<Endpoint>,
    /// Write every packet to a new file, for `tasktag replay`
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

impl Listen {
    /// Whether a table is shown, and not lines.
    pub(crate) fn is_table(&self) -> bool {
        !self.json && !self.lines && std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
    }

    pub(crate) fn interval(&self) -> Duration {
        let default = if self.is_table() { TABLE_INTERVAL } else { LINES_INTERVAL };
        Duration::from_secs_f64(self.interval.unwrap_or(default))
    }

    /// What is shown at first.
    pub(crate) fn view(&self) -> View {
        View {
            folded: self.fold.clone(),
            grouped_by: None,
            task_id_key: self.task_id_key.clone(),
            filter: self.filter.clone(),
        }
    }

    pub(crate) fn max_series(&self) -> usize {
        self.max_series as usize
    }
}

/// Send what `tasktag listen --record` recorded
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// The recording
    pub(crate) file: PathBuf,
    /// Where to send it
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_ADDRESS, value_parser = Endpoint::parse)]
    pub(crate) to: Endpoint,
    /// How many times as fast as it was recorded
    #[arg(long, default_value = "1", value_parser = speed)]
    pub(crate) speed: f64,
}

/// Send one metric, event or service check
#[derive(Args, Debug)]
pub(crate) struct Send {
    #[command(subcommand)]
    pub(crate) what: Sent,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sent {
    /// Send the level of a gauge
    Gauge(Number),
    /// Add to a counter
    Counter(Count),
    /// Record a value of a distribution
    Distribution(Number),
    /// Record a value of a histogram
    Histogram(Number),
    /// Record a timing in milliseconds
    Timing(Number),
    /// Insert a member into a set
    Set(Insertion),
    /// Send an event
    Event(Event),
    /// Send a service check
    Check(Check),
}

/// A metric with a number.
#[derive(Args, Debug)]
pub(crate) struct Number {
    pub(crate) name: String,
    #[arg(allow_negative_numbers = true, value_parser = finite)]
    pub(crate) value: f64,
    #[command(flatten)]
    pub(crate) sender: Sender,
}

/// A counter.
#[derive(Args, Debug)]
pub(crate) struct Count {
    pub(crate) name: String,
    #[arg(default_value_t = 1)]
    pub(crate) value: u64,
    #[command(flatten)]
    pub(crate) sender: Sender,
}

/// A set, and what is inserted.
#[derive(Args, Debug)]
pub(crate) struct Insertion {
    pub(crate) name: String,
    pub(crate) member: String,
    #[command(flatten)]
    pub(crate) sender: Sender,
}

/// An event.
#[derive(Args, Debug)]
pub(crate) struct Event {
    pub(crate) title: String,
    #[arg(default_value = "")]
    pub(crate) text: String,
    /// info, success, warning or error
    #[arg(long, value_name = "TYPE", default_value = "info")]
    pub(crate) alert_type: AlertType,
    /// normal or low
    #[arg(long, default_value = "normal")]
    pub(crate) priority: Priority,
    /// Events with the same key are shown as one
    #[arg(long, value_name = "KEY")]
    pub(crate) aggregation_key: Option<String>,
    #[command(flatten)]
    pub(crate) sender: Sender,
}

/// A service check.
#[derive(Args, Debug)]
pub(crate) struct Check {
    pub(crate) name: String,
    /// ok, warning, critical or unknown
    pub(crate) status: Status,
    #[arg(long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    #[command(flatten)]
    pub(crate) sender: Sender,
}

/// How anything is sent. What is not said here, the environment says, as to every program.
#[derive(Args, Clone, Debug)]
pub(crate) struct Sender {
    /// Add a tag
    #[arg(long = "tag", value_name = "KEY:VALUE")]
    pub(crate) tags: Vec<String>,
    /// Put a prefix and a `.` in front of the name
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// Send to this address, and not to the environment's
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) agent: Option<String>,
    /// Send in this dialect, and not in the environment's
    #[arg(long)]
    pub(crate) dialect: Option<Dialect>,
    /// Leave out the task id, as for a script of which there is only one
    #[arg(long)]
    pub(crate) without_task_id: bool,
    /// Where the task id comes from, unless `TASKTAG_TASK_ID` says it
    #[arg(long, value_name = "SOURCE", default_value = "random")]
    pub(crate) task_id_from: IdSource,
}

/// A source of task ids that needs nothing else.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum IdSource {
    /// Another bucket for each run
    Random,
    /// The ordinal that the platform gives
    Platform,
    /// A hash of the task's name, or the host's
    Hashed,
    /// The strongest that is there
    Detect,
}

/// Run a command and send how long it took, in milliseconds, with the tag `outcome`. Ends as the command does
#[derive(Args, Debug)]
pub(crate) struct Time {
    pub(crate) name: String,
    /// Send seconds, as a distribution, and not milliseconds as a timing
    #[arg(long)]
    pub(crate) seconds: bool,
    #[command(flatten)]
    pub(crate) sender: Sender,
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Find out why metrics do not arrive. Ends with 0 if all is well, with 1 after a warning, and with 2 after a fault
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Print an object of JSON a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Take the variables and the container of another process
    #[arg(long, value_name = "PID")]
    pub(crate) env_of: Option<u32>,
    /// Send no test metric
    #[arg(long)]
    pub(crate) no_send: bool,
    /// Tell the odds for this many tasks
    #[arg(long, value_name = "TASKS")]
    pub(crate) fleet: Option<u32>,
    /// The buckets of task ids
    #[arg(long, value_name = "BUCKETS", default_value_t = 1000)]
    pub(crate) pool: u32,
    /// Look at a directory in which task ids are leased, with --env-of as that process finds it [default: the first of
    /// `RUNTIME_DIRECTORY`]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) lease_directory: Option<PathBuf>,
    #[arg(long, value_name = "URL", help = REDIS)]
    pub(crate) redis: Option<String>,
    /// The key of the leases, whose holders are listed
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    pub(crate) redis_key: String,
}

/// Report pools and queues without changing any program: `PgBouncer`, connections of `PostgreSQL`, queues in Redis and
/// `PostgreSQL`
#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// What to watch, in TOML
    pub(crate) file: PathBuf,
    /// Print what would be watched, and exit: with 0, or with 2 after a mistake in the file
    #[arg(long, conflicts_with = "once")]
    pub(crate) check: bool,
    /// Ask everything once, print the lines that are sent, and exit: with 0, or with 1 if something did not answer or
    /// was not sent
    #[arg(long)]
    pub(crate) once: bool,
}

/// Compute the odds that tasks share an id, and the time series that they make
#[derive(Args, Debug)]
pub(crate) struct Fleet {
    /// The tasks that run at a time
    pub(crate) tasks: u32,
    /// The buckets of task ids
    #[arg(long, value_name = "BUCKETS", default_value_t = 1000)]
    pub(crate) pool: u32,
    /// The time series of one task
    #[arg(long, default_value_t = 100)]
    pub(crate) series: u32,
    /// How often in a month all tasks are replaced
    #[arg(long, default_value_t = 30)]
    pub(crate) deploys: u32,
    /// The price of a time series in a month
    #[arg(long, value_parser = finite)]
    pub(crate) price: Option<f64>,
    /// Print an object of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Compute how many workers keep the promise of a queue. Ends with 1 if those that there are do not
#[derive(Args, Debug)]
pub(crate) struct Capacity {
    /// The items a second, in the busiest minutes of a day
    #[arg(long, value_parser = finite)]
    pub(crate) rate: f64,
    /// The mean seconds of a job
    #[arg(long, value_name = "SECONDS", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) job: Duration,
    /// The workers, over all tasks
    #[arg(long)]
    pub(crate) workers: u32,
    /// The seconds within which items are to start
    #[arg(long, value_name = "SECONDS", value_parser = duration)]
    pub(crate) promise: Duration,
    /// The share of items that are to start in time, from 0 to below 1
    #[arg(long, value_parser = finite, default_value_t = tasktag::capacity::DEFAULT_SHARE)]
    pub(crate) share: f64,
    /// The share of a job's time in which it waits for something other than a processor, from 0 to 1
    #[arg(long, value_name = "SHARE", value_parser = finite)]
    pub(crate) waiting_share: Option<f64>,
    /// Print an object of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = finite(text)?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| "it must be a number".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=MAX_INTERVAL).contains(seconds));
    seconds.ok_or_else(|| format!("it must be a number of seconds from 0.1 to {MAX_INTERVAL}"))
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| (0.001..=1e6).contains(speed));
    speed.ok_or_else(|| "it must be a number from 0.001 to 1000000".to_owned())
}
