//! Debian's collectd, whose `statsd` plugin takes plain StatsD and calls every other line an error.

use crate::process::{Process, free_udp_port, program, start};
use crate::program::{LEVELS, Program, RECORDS, UTILIZATION};
use crate::support::{self, PATIENCE, TempDir};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use tasktag::Dialect;

const VARIABLE: &str = "TASKTAG_TEST_COLLECTD";

/// A running server. Ten times a second it prints what it has, and its log goes the same way.
#[derive(Debug)]
struct Collectd {
    process: Process,
    port: u16,
    markers: u64,
    // Holds the configuration and is the server's working directory.
    _dir: TempDir,
}

/// Everything that the server printed.
#[derive(Debug)]
struct Printed(Vec<String>);

impl Collectd {
    fn start(collectd: &Path) -> Self {
        start(|| Self::try_start(collectd))
    }

    fn try_start(collectd: &Path) -> Result<Self, String> {
        let (dir, port) = (TempDir::new(), free_udp_port());
        let config = dir.join("collectd.conf");
        std::fs::write(&config, settings(collectd, &dir, port)).map_err(|error| error.to_string())?;
        let mut child = Command::new(collectd)
            .arg("-f")
            .arg("-C")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let output = child.stderr.take().ok_or("it has no output")?;
        let mut process = Process::new(child, output);
        let told = |lines: &[String]| lines.iter().any(|line| line.contains("statsd plugin: "));
        let listens = process.read_until(told)?.iter().any(|line| line.contains("Listening on"));
        if listens { Ok(Self { process, port, markers: 0, _dir: dir }) } else { Err("no port".to_owned()) }
    }

    /// Waits until the server has printed what came of every packet that was sent to it. Packets keep their order on
    /// their way through one host, so that what it prints of one sent now is printed with or after the rest.
    fn settle(&mut self) -> Printed {
        self.markers += 1;
        self.send(&format!("marker:{}|g", self.markers));
        let marker = format!("gauge-marker {}", self.markers);
        // The first time it may stand before the rest of its turn.
        let told_twice = |lines: &[String]| {
            lines
                .iter()
                .filter(|line| parse(line).is_some_and(|(key, value)| marker == format!("{key} {value}")))
                .count()
                > 1
        };
        Printed(self.process.read_until(told_twice).unwrap().to_vec())
    }

    fn send(&self, packet: &str) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(packet.as_bytes(), ("127.0.0.1", self.port)).unwrap();
    }
}

fn settings(collectd: &Path, dir: &TempDir, port: u16) -> String {
    // What belongs to `/usr/sbin/collectd` is in `/usr`, and likewise where the package was only unpacked.
    let usr = collectd.parent().and_then(Path::parent).unwrap().display();
    let dir = dir.join("");
    let dir = dir.display();
    // A turn of what it prints is in order with one thread for each side.
    format!(
        r#"
        Hostname "host"
        FQDNLookup false
        BaseDir "{dir}"
        PIDFile "{dir}/collectd.pid"
        PluginDir "{usr}/lib/collectd"
        TypesDB "{usr}/share/collectd/types.db"
        Interval 0.1
        ReadThreads 1
        WriteThreads 1
        LoadPlugin logfile
        <Plugin logfile>
            LogLevel info
            File "stderr"
            Timestamp false
            PrintSeverity true
        </Plugin>
        LoadPlugin csv
        <Plugin csv>
            DataDir "stderr"
            StoreRates false
        </Plugin>
        LoadPlugin statsd
        <Plugin statsd>
            Host "127.0.0.1"
            Port "{port}"
            DeleteTimers true
            DeleteSets true
            CounterSum true
            TimerLower true
            TimerUpper true
            TimerSum true
            TimerCount true
            TimerPercentile 50
            TimerPercentile 90
            TimerPercentile 99
        </Plugin>
        "#
    )
}

/// A line as the csv plugin prints it: `PUTVAL host/statsd/gauge-shop.balance interval=0.100 1700000000.000:-5.250000`.
fn parse(line: &str) -> Option<(&str, f64)> {
    let (key, rest) = line.strip_prefix("PUTVAL host/statsd/")?.split_once(' ')?;
    Some((key, rest.rsplit_once(':')?.1.parse().ok()?))
}

impl Printed {
    /// All values of a key, oldest first.
    fn values(&self, key: &str) -> Vec<f64> {
        let values = self.0.iter().filter_map(|line| parse(line)).filter(|(printed, _)| *printed == key);
        values.map(|(_, value)| value).collect()
    }

    #[track_caller]
    fn last(&self, key: &str) -> f64 {
        *self.values(key).last().unwrap_or_else(|| panic!("no {key} in {:#?}", self.0))
    }

    fn sum(&self, key: &str) -> f64 {
        self.values(key).iter().sum()
    }

    /// What the plugin says, but for where it listens. Others say that the machine is slow, and may.
    fn complaints(&self) -> Vec<&String> {
        let says = |line: &&String| line.contains("statsd plugin: ") && !line.contains("Listening on");
        self.0.iter().filter(says).collect()
    }

    /// A timing of 1 ms to [`RECORDS`] ms, each once. The server speaks of seconds.
    #[track_caller]
    fn assert_recorded(&self, key: &str) {
        let seconds = RECORDS as f64 / 1000.0;
        assert_eq!(self.sum(&format!("gauge-{key}-count")), RECORDS as f64);
        let lower = self.values(&format!("latency-{key}-lower"));
        let upper = self.values(&format!("latency-{key}-upper"));
        assert_eq!(lower.into_iter().fold(f64::MAX, f64::min), 0.001);
        assert_near(upper.into_iter().fold(0.0, f64::max), seconds);
        assert_near(self.sum(&format!("latency-{key}-sum")), seconds * (RECORDS + 1) as f64 / 2.0);
    }
}

#[track_caller]
fn assert_near(value: f64, exact: f64) {
    assert!((value / exact - 1.0).abs() < 1.0 / 128.0, "{value} is not {exact}");
}

#[test]
fn collectd_takes_every_line_of_plain_statsd() {
    let Some(collectd) = program(VARIABLE) else { return };
    let mut server = Collectd::start(&collectd);
    let program = Program::new(Dialect::Statsd, server.port);
    for level in LEVELS {
        program.set_balance(level);
        // It prints six decimals.
        assert!((server.settle().last("gauge-shop.balance") - level).abs() < 1e-6, "{level}");
    }
    program.use_every_kind();
    let printed = server.settle();
    assert_eq!(printed.last("gauge-shop.workers.in_use"), 1.0);
    assert_eq!(printed.last("gauge-shop.workers.in_use.max"), 2.0);
    assert!((printed.last("gauge-shop.workers.utilization") - UTILIZATION).abs() < 1e-6);
    let stats = program.end();
    let printed = server.settle();
    assert_eq!(printed.complaints(), [""; 0]);
    assert_eq!(printed.sum("count-shop.jobs"), 1234.0);
    assert_eq!(printed.last("derive-shop.jobs"), 1234.0);
    assert_eq!(printed.values("derive-shop.idle"), [0.0; 0]);
    assert_eq!(printed.sum("objects-shop.users"), 3.0);
    for name in ["query", "size", "depth"] {
        printed.assert_recorded(&format!("shop.{name}"));
    }
    assert_eq!(printed.last("derive-tasktag.client.values_sent"), stats.sent.values as f64);
}

#[test]
fn collectd_computes_the_quantiles_of_a_timing() {
    let Some(collectd) = program(VARIABLE) else { return };
    let mut server = Collectd::start(&collectd);
    let guard = support::builder()
        .dialect(Dialect::Statsd)
        .agent(format!("udp://127.0.0.1:{}", server.port))
        .build()
        .unwrap();
    // Quantiles are of one turn, and a turn may end while the values are on their way: then others are sent.
    let (name, printed) = (0..20)
        .map(|attempt| format!("query_{attempt}"))
        .find_map(|name| {
            let query = guard.client().timing(&name).register();
            (1..=RECORDS).for_each(|ms| query.record(ms as f64));
            guard.client().flush(PATIENCE).unwrap();
            let printed = server.settle();
            (printed.values(&format!("gauge-{name}-count")) == [RECORDS as f64]).then_some((name, printed))
        })
        .expect("the values of one flush come in one turn");
    for (percent, seconds) in [(50, 0.250), (90, 0.450), (99, 0.495)] {
        // The server's own buckets are 1/1024 s wide.
        let off = printed.last(&format!("latency-{name}-percentile-{percent}")) - seconds;
        assert!(off.abs() < seconds / 128.0 + 1.0 / 1024.0, "the {percent}th percentile is off by {off}");
    }
}

#[test]
fn collectd_calls_every_tagged_line_an_error() {
    let Some(collectd) = program(VARIABLE) else { return };
    let mut server = Collectd::start(&collectd);
    let guard = support::builder()
        .dialect(Dialect::TaggedStatsd)
        .agent(format!("udp://127.0.0.1:{}", server.port))
        .build()
        .unwrap();
    let client = guard.client();
    client.gauge("level").set(1.0);
    client.counter("jobs").increment(1);
    client.timing("query").record(1.0);
    client.set("users").insert("ada");
    client.flush(PATIENCE).unwrap();
    let printed = server.settle();
    let complaint =
        |line: &str| format!("[error] statsd plugin: Unable to parse line: \"{line}|#task_id:0042\"");
    let mut complaints = printed.complaints();
    complaints.sort_unstable();
    let lines = ["jobs:1|c", "level:1|g", "query:1|ms", "users:ada|s"];
    assert_eq!(complaints, lines.map(complaint).iter().collect::<Vec<_>>());
}
