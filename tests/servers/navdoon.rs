//! Python's navdoon, which takes plain StatsD and refuses a line with tags.

use crate::process::{Process, free_tcp_port, free_udp_port, program, start};
use crate::program::{LEVELS, Program, RECORDS, UTILIZATION};
use crate::support::{self, PATIENCE, TempDir, in_time};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tasktag::{ClientBuilder, Dialect, DropReason, Weights};

const VARIABLE: &str = "TASKTAG_TEST_NAVDOON_PYTHON";

/// A running server. It looks at the time when a packet comes, and once a second, so that with so short an interval
/// each packet is a flush, which it appends to a file. It logs every line that it reads.
#[derive(Debug)]
struct Navdoon {
    process: Process,
    udp_port: u16,
    tcp_port: u16,
    markers: u64,
    flushes: PathBuf,
    // Holds the file.
    _dir: TempDir,
}

/// Everything that the server has flushed, oldest first: `shop.jobs 1234.0 1700000000.25`.
#[derive(Debug)]
struct Flushed(String);

impl Navdoon {
    fn start(python: &Path) -> Self {
        start(|| Self::try_start(python))
    }

    fn try_start(python: &Path) -> Result<Self, String> {
        let (dir, udp_port, tcp_port) = (TempDir::new(), free_udp_port(), free_tcp_port());
        let flushes = dir.join("flushes");
        let mut child = Command::new(python)
            .args(["-m", "navdoon.app", "--flush-interval", "1e-9", "--log-stderr", "--log-level", "DEBUG"])
            .arg(format!("--collect-udp=127.0.0.1:{udp_port}"))
            .arg(format!("--collect-tcp=127.0.0.1:{tcp_port}"))
            .arg("--flush-file")
            .arg(&flushes)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let output = child.stderr.take().ok_or("it has no output")?;
        let mut process = Process::new(child, output);
        let (runs, taken) = ("collectors are running", "Address already in use");
        let says = |line: &String| line.contains(runs) || line.contains(taken);
        let lines = process.read_until(|lines| lines.iter().any(says))?;
        if lines.iter().any(|line| line.contains(taken)) {
            return Err("no port".to_owned());
        }
        Ok(Self { process, udp_port, tcp_port, markers: 0, flushes, _dir: dir })
    }

    fn udp(&self) -> String {
        format!("udp://127.0.0.1:{}", self.udp_port)
    }

    fn tcp(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.tcp_port)
    }

    fn builder(&self, dialect: Dialect) -> ClientBuilder {
        support::builder().dialect(dialect).agent(self.udp())
    }

    /// Waits until the server has flushed what came of so many lines. A timing is the last that a flush has, and the
    /// one that is sent now is its last timing.
    fn settle(&mut self, lines: u64) -> Flushed {
        let all = usize::try_from(lines + self.markers).unwrap();
        self.process.read_until(|logged| logged.iter().filter(|line| is_read(line)).count() >= all).unwrap();
        self.markers += 1;
        let marker = format!("marker_{}", self.markers);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // The second packet has no line. It is what the flush of the first need not wait a second for.
        for packet in [&format!("{marker}:1|ms"), "\n"] {
            socket.send_to(packet.as_bytes(), ("127.0.0.1", self.udp_port)).unwrap();
        }
        // It logs that it has written to the file, and does so afterwards.
        let flushed = || std::fs::read_to_string(&self.flushes).unwrap_or_default();
        self.process.read_until(|_| flushed().contains(&format!("{marker}.median "))).unwrap();
        Flushed(flushed())
    }

    /// The lines of before it settled that the server says it can't read, which it says as it comes to them.
    fn refused(&mut self) -> Vec<String> {
        let marker = format!("marker_{}:1|ms", self.markers);
        let logged =
            self.process.read_until(|logged| logged.iter().any(|line| line.ends_with(&marker))).unwrap();
        let mut refused: Vec<String> = logged
            .iter()
            .filter(|line| line.contains(REFUSED))
            .filter_map(|line| line.split('\'').nth(1))
            .map(str::to_owned)
            .collect();
        refused.sort_unstable();
        refused
    }
}

const REFUSED: &str = "failed to parse statsd metrics from ";

/// Whether a line of the log is one that the server has read: it logs each packet as it is, and of other lines none has
/// a field but the one which says that another was refused.
fn is_read(logged: &str) -> bool {
    logged.contains('|') && !logged.contains(REFUSED)
}

impl Flushed {
    fn values(&self, name: &str) -> Vec<f64> {
        let lines = self.0.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        lines.filter_map(|rest| rest.split_once(' ')?.0.parse().ok()).collect()
    }

    #[track_caller]
    fn last(&self, name: &str) -> f64 {
        *self.values(name).last().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    fn sum(&self, name: &str) -> f64 {
        self.values(name).iter().sum()
    }

    /// A distribution of 1 to [`RECORDS`], each once, in whatever number of flushes.
    #[track_caller]
    fn assert_recorded(&self, name: &str) {
        let records = RECORDS as f64;
        let statistic = |which: &str| self.values(&format!("{name}.{which}"));
        assert_eq!(statistic("count").iter().sum::<f64>(), records);
        assert_eq!(statistic("min").into_iter().fold(f64::MAX, f64::min), 1.0);
        assert_near(statistic("max").into_iter().fold(0.0, f64::max), records);
        let sums = statistic("count").into_iter().zip(statistic("mean")).map(|(count, mean)| count * mean);
        assert_near(sums.sum(), records * f64::midpoint(1.0, records));
    }
}

#[track_caller]
fn assert_near(value: f64, exact: f64) {
    assert!((value / exact - 1.0).abs() < 1.0 / 128.0, "{value} is not {exact}");
}

fn show_every_kind(address: impl Fn(&Navdoon) -> String) {
    let Some(python) = program(VARIABLE) else { return };
    let (mut server, program) = in_time(|| {
        let server = Navdoon::start(&python);
        let program = Program::at(&address(&server), Dialect::Statsd);
        // TCP is connected to by another thread.
        program.set_balance(LEVELS[0]);
        (program.client().stats().dropped(DropReason::Transport).lines == 0).then_some((server, program))
    });
    for level in LEVELS {
        program.set_balance(level);
        let flushed = server.settle(program.client().stats().sent.lines);
        assert_eq!(flushed.last("shop.balance"), level);
    }
    program.use_every_kind();
    let flushed = server.settle(program.client().stats().sent.lines);
    assert_eq!(flushed.last("shop.workers.in_use"), 1.0);
    assert_eq!(flushed.last("shop.workers.in_use.max"), 2.0);
    assert_eq!(flushed.last("shop.workers.utilization"), UTILIZATION);
    let stats = program.end();
    let flushed = server.settle(stats.sent.lines);
    assert_eq!(flushed.sum("shop.jobs"), 1234.0);
    assert_eq!(flushed.values("shop.idle"), [0.0; 0]);
    assert_eq!(flushed.sum("shop.users"), 3.0);
    for name in ["query", "size", "depth"] {
        flushed.assert_recorded(&format!("shop.{name}"));
    }
    assert_eq!(flushed.sum("tasktag.client.values_sent"), stats.sent.values as f64);
    // Of values below 0, which the server must not see.
    assert_eq!(flushed.sum("tasktag.client.values_dropped"), 3.0);
    assert_eq!(server.refused(), [""; 0]);
}

#[test]
fn navdoon_takes_every_line_of_plain_statsd() {
    show_every_kind(Navdoon::udp);
}

#[test]
fn navdoon_takes_every_line_of_plain_statsd_over_tcp() {
    show_every_kind(Navdoon::tcp);
}

#[test]
fn navdoon_computes_the_mean_and_the_upper_median_of_a_flush() {
    let Some(python) = program(VARIABLE) else { return };
    let mut server = Navdoon::start(&python);
    let guard = server.builder(Dialect::Statsd).build().unwrap();
    let query = guard.client().timing("query").register();
    for ms in [10.0, 20.0, 30.0, 70.0] {
        query.record_many(ms, 10);
    }
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    assert_eq!((stats.sent.lines, stats.sent.packets), (40, 1));
    let flushed = server.settle(40);
    for (statistic, exact) in
        [("count", 40.0), ("min", 10.0), ("max", 70.0), ("mean", 32.5), ("median", 30.0)]
    {
        assert_eq!(flushed.values(&format!("query.{statistic}")), [exact], "{statistic}");
    }
}

#[test]
fn navdoon_ignores_the_rates_of_timings() {
    let Some(python) = program(VARIABLE) else { return };
    let mut server = Navdoon::start(&python);
    let guard = server.builder(Dialect::Statsd).weights(Weights::Rates).build().unwrap();
    guard.client().timing("query").register().record_many(12.5, 40);
    guard.client().flush(PATIENCE).unwrap();
    let flushed = server.settle(guard.client().stats().sent.lines);
    assert_eq!(flushed.values("query.count"), [1.0]);
}

#[test]
fn navdoon_forgets_a_gauge_that_is_not_sent_again() {
    let Some(python) = program(VARIABLE) else { return };
    let mut server = Navdoon::start(&python);
    let guard = server.builder(Dialect::Statsd).build().unwrap();
    let level = guard.client().gauge("level").register();
    level.set(-5.0);
    guard.client().flush(PATIENCE).unwrap();
    let sent = guard.client().stats().sent.lines;
    server.settle(sent);
    // Each of these is another flush.
    assert_eq!(server.settle(sent).values("level"), [-5.0]);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(server.settle(guard.client().stats().sent.lines).values("level"), [-5.0, -5.0]);
}

#[test]
fn navdoon_refuses_every_tagged_line_and_reads_the_task_id_in_a_name() {
    let Some(python) = program(VARIABLE) else { return };
    let mut server = Navdoon::start(&python);
    let tagged = server.builder(Dialect::TaggedStatsd).build().unwrap();
    let named = server.builder(Dialect::Statsd).task_id_in_names(true).build().unwrap();
    for client in [tagged.client(), named.client()] {
        client.gauge("level").set(1.0);
        client.counter("jobs").increment(7);
        client.timing("query").record(1.0);
        client.set("users").insert("ada");
        client.flush(PATIENCE).unwrap();
    }
    let lines = tagged.client().stats().sent.lines + named.client().stats().sent.lines;
    let flushed = server.settle(lines);
    for (name, value) in [("level", 1.0), ("jobs", 7.0), ("query.mean", 1.0), ("users", 1.0)] {
        assert_eq!(flushed.values(name), [0.0; 0], "{name}");
        assert_eq!(flushed.last(&format!("task_0042.{name}")), value, "{name}");
    }
    let lines = ["jobs:7|c", "level:1|g", "query:1|ms", "users:ada|s"];
    assert_eq!(server.refused(), lines.map(|line| format!("{line}|#task_id:0042")));
}
