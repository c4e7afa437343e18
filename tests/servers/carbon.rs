//! Etsy's StatsD with a Graphite behind it: its `graphite` backend, Debian's carbon, and the whisper files that carbon
//! writes.

use crate::process::{Process, free_tcp_port, program, start};
use crate::program::{Program, RECORDS, UTILIZATION};
use crate::statsd::{self, Statsd, TAGS};
use crate::support::{self, PATIENCE, TempDir};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tasktag::Dialect;

const VARIABLE: &str = "TASKTAG_TEST_CARBON";
const FLUSH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/statsd_flush.js");

/// What a gauge is set to, a flush and so a second each.
const LEVELS: [f64; 5] = [4.0, -5.25, 0.0, -0.000_125, 1e9];

/// What the server flushes after, as it thinks: its rates are for this.
const FLUSH_SECONDS: f64 = 3600.0;

/// The two, running. The one flushes into the other when it is told to, and the other logs every series that it writes.
#[derive(Debug)]
struct Graphite {
    statsd: Statsd,
    carbon: Process,
    /// Of the last flush.
    second: u32,
    // Holds the configuration and the files.
    dir: TempDir,
}

impl Graphite {
    /// Nothing where one of the two is missing.
    fn start() -> Option<Self> {
        let (package, carbon) = (program(statsd::VARIABLE)?, program(VARIABLE)?);
        Some(start(|| Self::try_start(&package, &carbon)))
    }

    fn try_start(package: &Path, carbon: &Path) -> Result<Self, String> {
        let (dir, port) = (TempDir::new(), free_tcp_port());
        let config = dir.join("carbon.conf");
        std::fs::write(&config, settings(&dir, port)).map_err(|error| error.to_string())?;
        let schemas = "[all]\npattern = .*\nretentions = 1s:1h\n";
        std::fs::write(dir.join("storage-schemas.conf"), schemas).map_err(|error| error.to_string())?;
        let mut child = Command::new(carbon)
            .arg(format!("--config={}", config.display()))
            .args(["--debug", "start"])
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let mut carbon = Process::new(child, output);
        let listens = format!("CarbonReceiverFactory starting on {port}");
        carbon.read_until(|lines| lines.iter().any(|line| line.ends_with(&listens)))?;
        let settings = format!(
            "backends: ['./backends/graphite', {FLUSH:?}], graphiteHost: '127.0.0.1', graphitePort: {port},
             graphite: {{ legacyNamespace: false }}, deleteIdleStats: true, deleteGauges: false"
        );
        Ok(Self { statsd: Statsd::try_start(package, &settings)?, carbon, second: 0, dir })
    }

    /// Makes the server flush what was sent to it, and returns the second that this is for.
    fn flush(&mut self) -> u32 {
        let before = self.second;
        let newest = |lines: &[String]| {
            let second: u32 =
                lines.iter().rev().find_map(|line| line.strip_prefix("flushed ")?.parse().ok())?;
            (second > before).then_some(second)
        };
        self.statsd.settle();
        self.statsd.process.say("flush");
        let lines = self.statsd.process.read_until(|lines| newest(lines).is_some()).unwrap();
        self.second = newest(lines).expect("it was there");
        self.second
    }

    /// What carbon has logged of everything that was flushed up to now.
    fn log(&mut self) -> &[String] {
        let marker = format!("after_{}", self.second);
        self.statsd.send(&format!("{marker}:1|g"));
        self.flush();
        let written = format!("datapoints for stats.gauges.{marker} ");
        self.carbon.read_until(|lines| lines.iter().any(|line| line.contains(&written))).unwrap()
    }

    /// A series' value of a second, as soon as it is written: carbon logs this when it has done so.
    #[track_caller]
    fn get(&mut self, series: &str, second: u32) -> f64 {
        let file = self.file(series);
        let value = || points(&file).into_iter().find(|(at, _)| *at == second);
        if let Err(error) = self.carbon.read_until(|_| value().is_some()) {
            panic!("no {series} at {second} in {}: {error}", file.display());
        }
        value().expect("it was there").1
    }

    /// Where carbon keeps a series: by name, or by the SHA-256 of name and tags.
    fn file(&self, series: &str) -> PathBuf {
        let path = if series.contains(';') {
            let hash = sha256(series);
            format!("_tagged/{}/{}/{hash}", &hash[..3], &hash[3..6])
        } else {
            series.replace('.', "/")
        };
        self.dir.join("whisper").join(path + ".wsp")
    }

    /// What carbon says is wrong, of a metric or anything else.
    fn complaints(&mut self) -> Vec<&String> {
        self.log().iter().filter(|line| line.to_ascii_lowercase().contains("error")).collect()
    }

    /// A distribution of 1 to [`RECORDS`], each once.
    #[track_caller]
    fn assert_recorded(&mut self, name: &str, second: u32) {
        let records = RECORDS as f64;
        for (statistic, exact) in [
            ("count", records),
            ("lower", 1.0),
            ("upper", records),
            ("upper_50", records * 0.5),
            ("upper_90", records * 0.9),
            ("upper_99", records * 0.99),
            ("mean", f64::midpoint(1.0, records)),
            ("sum", records * f64::midpoint(1.0, records)),
        ] {
            let value = self.get(&format!("stats.timers.{name}.{statistic}{TAGS}"), second);
            let off = (value / exact - 1.0).abs();
            assert!(off < 1.0 / 128.0, "{name}: {statistic} is {value} and not {exact}");
        }
    }
}

fn settings(dir: &TempDir, port: u16) -> String {
    let dir = dir.join("");
    let dir = dir.display();
    // There is no web application that it could tell of tags, and no limit to what it writes.
    format!(
        "
[cache]
DATABASE = whisper
STORAGE_DIR = {dir}
LOCAL_DATA_DIR = {dir}/whisper
CONF_DIR = {dir}
LOG_DIR = {dir}
PID_DIR = {dir}
USER =
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {port}
PICKLE_RECEIVER_PORT = 0
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = 0
ENABLE_TAGS = False
CARBON_METRIC_INTERVAL = 0
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
WHISPER_FALLOCATE_CREATE = False
LOG_CREATES = False
LOG_UPDATES = True
"
    )
}

/// The times and values of a whisper file's one archive. Behind a header of 16 bytes, of which the last four are the
/// number of archives, each archive has its offset, seconds a point, and number of points; a point is a time and a
/// double; all is in network order.
fn points(file: &Path) -> Vec<(u32, f64)> {
    let bytes = std::fs::read(file).unwrap_or_default();
    let word = |at: usize| bytes.get(at..at + 4).map(|word| u32::from_be_bytes(word.try_into().unwrap()));
    let Some(offset) = word(16).and_then(|offset| bytes.get(offset as usize..)) else { return Vec::new() };
    let points = offset.chunks_exact(12).map(|point| {
        let (time, value) = point.split_at(4);
        (u32::from_be_bytes(time.try_into().unwrap()), f64::from_be_bytes(value.try_into().unwrap()))
    });
    points.filter(|(time, _)| *time != 0).collect()
}

fn sha256(text: &str) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    output.split(' ').next().unwrap().to_owned()
}

fn show_every_kind(dialect: Dialect) {
    let Some(mut graphite) = Graphite::start() else { return };
    let program = Program::at(&statsd::udp(&graphite.statsd), dialect);
    let seconds = LEVELS.map(|level| {
        program.set_balance(level);
        graphite.flush()
    });
    for (level, second) in LEVELS.into_iter().zip(seconds) {
        assert_eq!(graphite.get(&format!("stats.gauges.shop.balance{TAGS}"), second), level);
    }
    program.use_every_kind();
    let second = graphite.flush();
    let mut get = |series: &str| graphite.get(&format!("stats.{series}{TAGS}"), second);
    assert_eq!(get("gauges.shop.workers.in_use"), 1.0);
    assert_eq!(get("gauges.shop.workers.in_use.max"), 2.0);
    assert_eq!(get("gauges.shop.workers.utilization"), UTILIZATION);
    assert_eq!(get("counters.shop.jobs.count"), 1234.0);
    assert_eq!(get("counters.shop.jobs.rate"), 1234.0 / FLUSH_SECONDS);
    assert_eq!(get("sets.shop.users.count"), 3.0);
    for name in ["query", "size", "depth"] {
        graphite.assert_recorded(&format!("shop.{name}"), second);
    }
    assert_eq!(graphite.get("stats.counters.statsd.bad_lines_seen.count", second), 0.0);
    program.end();
    assert_eq!(graphite.complaints(), [""; 0]);
}

#[test]
fn graphite_keeps_every_value_of_graphites_tags() {
    show_every_kind(Dialect::Graphite);
}

#[test]
fn graphite_keeps_every_value_of_tagged_lines_as_the_same_series() {
    show_every_kind(Dialect::TaggedStatsd);
}

/// Two gauges that differ in a tag `name`, and one with a tag that has no value.
fn set_gauges_of_odd_tags(graphite: &Graphite, dialect: Dialect) {
    let guard = support::builder().dialect(dialect).agent(statsd::udp(&graphite.statsd)).build().unwrap();
    let client = guard.client();
    let set = |name: &str, (key, value): (&str, &str), level: f64| {
        let gauge = client.gauge(name).tag(key, value).register();
        gauge.set(level);
        gauge
    };
    let _gauges = [
        set("level", ("name", "a"), 1.0),
        set("level", ("name", "b"), 2.0),
        set("bare", ("canary", ""), 3.0),
    ];
    client.flush(PATIENCE).unwrap();
}

#[test]
fn graphite_keeps_apart_what_differs_in_a_tag_called_name() {
    let Some(mut graphite) = Graphite::start() else { return };
    set_gauges_of_odd_tags(&graphite, Dialect::Graphite);
    let second = graphite.flush();
    assert_eq!(graphite.get("stats.gauges.level;name_=a;task_id=0042", second), 1.0);
    assert_eq!(graphite.get("stats.gauges.level;name_=b;task_id=0042", second), 2.0);
    assert_eq!(graphite.get("stats.gauges.bare;canary=true;task_id=0042", second), 3.0);
    assert_eq!(graphite.complaints(), [""; 0]);
}

#[test]
fn graphite_drops_a_tag_called_name_of_tagged_lines_and_reads_no_tag_without_a_value() {
    let Some(mut graphite) = Graphite::start() else { return };
    set_gauges_of_odd_tags(&graphite, Dialect::TaggedStatsd);
    let second = graphite.flush();
    let level = graphite.get("stats.gauges.level;task_id=0042", second);
    assert!([1.0, 2.0].contains(&level), "{level}");
    let log = graphite.log();
    assert!(!log.iter().any(|line| line.contains("name=")), "{log:#?}");
    let complaint = "Error parsing metric stats.gauges.bare;canary;task_id=0042";
    assert!(log.iter().any(|line| line.contains(complaint)), "{log:#?}");
}
