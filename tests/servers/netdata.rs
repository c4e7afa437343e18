//! Debian's netdata, whose statsd plugin takes plain StatsD with `h`, and draws one point a second.

use crate::process::{Process, free_tcp_port, free_udp_port, program, start};
use crate::program::{LEVELS, Program, RECORDS, UTILIZATION};
use crate::support::{self, PATIENCE, TempDir, in_time};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tasktag::{Client, Dialect, Guard, Kind, Weights};

const VARIABLE: &str = "TASKTAG_TEST_NETDATA";

/// What it multiplies fractions by before it cuts them, unless `decimal detail` says otherwise.
const DETAIL: f64 = 1000.0;

/// The chart of what the plugin took.
const EVENTS: &str = "netdata.statsd_events";

/// Its lines of what this crate sends.
const KINDS: [&str; 4] = ["gauges", "counters", "timers", "sets"];

/// The names of its quantiles' lines.
const MEDIAN: &str = "median";
const P95: &str = "95.0%";

/// A running server. It draws a point of each chart every second.
#[derive(Debug)]
struct Netdata {
    process: Process,
    port: u16,
    web_port: u16,
    markers: u64,
    // Holds the configuration, and whatever the server writes.
    _dir: TempDir,
}

/// The last value of every line of every chart, as it came from the plugin.
#[derive(Debug)]
struct Collected(String);

/// The points of a chart that has several lines, seconds without values left out.
#[derive(Debug)]
struct Points {
    lines: Vec<String>,
    points: Vec<Vec<f64>>,
}

impl Netdata {
    fn start(netdata: &Path) -> Self {
        start(|| Self::try_start(netdata))
    }

    fn try_start(netdata: &Path) -> Result<Self, String> {
        let (dir, port, web_port) = (TempDir::new(), free_udp_port(), free_tcp_port());
        for folder in ["config", "stock", "log", "web", "cache", "lib", "lock", "plugins"] {
            std::fs::create_dir(dir.join(folder)).map_err(|error| error.to_string())?;
        }
        let config = dir.join("netdata.conf");
        std::fs::write(&config, settings(&dir, port, web_port)).map_err(|error| error.to_string())?;
        let mut child = Command::new(netdata)
            .arg("-D")
            .arg("-c")
            .arg(&config)
            .env("DISABLE_TELEMETRY", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let output = child.stderr.take().ok_or("it has no output")?;
        let mut process = Process::new(child, output);
        let (listens, disabled) = (format!("listening on 'udp:127.0.0.1:{port}'"), "statsd will be disabled");
        let told = |line: &String| line.contains(&listens) || line.contains(disabled);
        let lines = process.read_until(|lines| lines.iter().any(told))?;
        if lines.iter().any(|line| line.contains(disabled)) {
            return Err("no port".to_owned());
        }
        let mut server = Self { process, port, web_port, markers: 0, _dir: dir };
        server.settle();
        Ok(server)
    }

    fn client(&self, dialect: Dialect, weights: Option<Weights>) -> Guard {
        let builder = support::builder().dialect(dialect).agent(format!("udp://127.0.0.1:{}", self.port));
        let builder = weights.into_iter().fold(builder, tasktag::ClientBuilder::weights);
        builder.distributions_as(Kind::Histogram).build().unwrap()
    }

    /// Waits until the server has drawn every value that was sent to it. It draws all kinds one after the other, gauges
    /// first, and then what it says of itself: where the second marker is drawn, the turn of the first has ended.
    fn settle(&mut self) -> Collected {
        self.show_marker();
        self.show_marker()
    }

    fn show_marker(&mut self) -> Collected {
        self.markers += 1;
        self.send(&format!("marker:{}|g", self.markers));
        let start = Instant::now();
        loop {
            let collected = self.collected();
            let marker = collected.find("statsd_marker.gauge", "gauge");
            // A busy server leaves a chart of its own out of an answer now and then.
            if marker == Some(self.markers as f64 * DETAIL) && collected.has_taken() {
                return collected;
            }
            assert!(start.elapsed() < PATIENCE, "a packet was lost on the way");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the server shows now.
    fn collected(&self) -> Collected {
        Collected(self.ask("allmetrics?format=prometheus&source=as-collected"))
    }

    /// What came in the last minutes. The server keeps floats of 32 bits.
    fn points(&self, chart: &str) -> Points {
        let csv = self.ask(&format!("data?chart={chart}&after=-300&format=csv"));
        let mut rows = csv.lines().map(|row| row.trim().split(',').skip(1));
        let lines = rows.next().into_iter().flatten().map(str::to_owned).collect();
        let read = |row: std::iter::Skip<std::str::Split<'_, char>>| {
            row.map(|value| value.parse().unwrap_or(0.0)).collect::<Vec<f64>>()
        };
        let points = rows.map(read).filter(|point| point.iter().any(|value| *value != 0.0)).collect();
        Points { lines, points }
    }

    fn ask(&self, what: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.web_port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /api/v1/{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
        assert!(head.starts_with("HTTP/1.1 200 "), "{what}: {head}");
        body.to_owned()
    }

    /// What the plugin says is wrong with lines, but for one whose kind it does not know, which is sent for this: what
    /// it says of others comes before.
    fn complaints(&mut self) -> Vec<&String> {
        self.send("last:1|q");
        let is_last = |line: &String| line.contains("metric 'last'");
        let lines = self.process.read_until(|lines| lines.iter().any(is_last)).unwrap();
        let complains =
            |line: &&String| line.contains(" ERROR ") && line.contains(" STATSD: ") && !is_last(line);
        lines.iter().filter(complains).collect()
    }

    fn send(&self, packet: &str) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(packet.as_bytes(), ("127.0.0.1", self.port)).unwrap();
    }
}

fn settings(dir: &TempDir, port: u16, web_port: u16) -> String {
    let dir = dir.join("");
    let dir = dir.display();
    // Nothing but the plugin, its own charts, and the pages to read them from.
    format!(
        "
[global]
    run as user = root
    process scheduling policy = keep
[directories]
    config = {dir}/config
    stock config = {dir}/stock
    log = {dir}/log
    web = {dir}/web
    cache = {dir}/cache
    lib = {dir}/lib
    home = {dir}
    lock = {dir}/lock
    plugins = {dir}/plugins
[db]
    mode = ram
    update every = 1
    retention = 600
[logs]
    debug = none
    access = none
    error = stderr
    collector = stderr
    health = stderr
    errors to trigger flood protection = 100000
[web]
    bind to = 127.0.0.1:{web_port}
    web server threads = 1
[ml]
    enabled = no
[health]
    enabled = no
[registry]
    enabled = no
[cloud]
    enabled = no
[plugins]
    timex = no
    idlejitter = no
    netdata monitoring = yes
    profile = no
    tc = no
    diskspace = no
    proc = no
    cgroups = no
    checks = no
    enable running new plugins = no
    statsd = yes
[statsd]
    update every (flushInterval) = 1
    bind to = udp:127.0.0.1:{port} tcp:127.0.0.1:{port}
"
    )
}

/// A chart's id: its first dot is at the name's first dot or underscore, or behind a name that has none.
fn chart(name: &str, kind: &str) -> String {
    match name.split_once(['.', '_']) {
        Some((first, rest)) => format!("statsd_{first}.{rest}_{kind}"),
        None => format!("statsd_{name}.{kind}"),
    }
}

impl Collected {
    /// `netdata_statsd_q_timer{chart="statsd_q.timer",family="timers",dimension="max"} 3000 1700000000000`, fractions
    /// multiplied by [`DETAIL`].
    fn find(&self, chart: &str, line: &str) -> Option<f64> {
        let (chart, line) = (format!("chart=\"{chart}\""), format!("dimension=\"{line}\"}} "));
        let found = self.0.lines().find(|found| found.contains(&chart) && found.contains(&line))?;
        found.split_once(&line)?.1.split(' ').next()?.parse().ok()
    }

    #[track_caller]
    fn get(&self, chart: &str, line: &str) -> f64 {
        self.find(chart, line).unwrap_or_else(|| panic!("no {line} of {chart} in {}", self.0))
    }

    #[track_caller]
    fn gauge(&self, name: &str) -> f64 {
        self.get(&chart(name, "gauge"), "gauge") / DETAIL
    }

    /// Of all time.
    #[track_caller]
    fn counter(&self, name: &str) -> f64 {
        self.get(&chart(name, "counter"), "counter")
    }

    /// How many values of a kind the plugin took, of all time.
    #[track_caller]
    fn taken(&self, kind: &str) -> f64 {
        self.get(EVENTS, kind)
    }

    /// Whether it says how many values of each kind the plugin took.
    fn has_taken(&self) -> bool {
        KINDS.iter().all(|kind| self.find(EVENTS, kind).is_some())
    }
}

impl Points {
    #[track_caller]
    fn of(&self, line: &str) -> impl Iterator<Item = f64> {
        let place = self.lines.iter().position(|found| found == line);
        let place = place.unwrap_or_else(|| panic!("no {line} in {:?}", self.lines));
        self.points.iter().map(move |point| point[place])
    }

    /// Of the only point, if there is one only.
    fn only(&self) -> Option<impl Fn(&str) -> f64> {
        (self.points.len() == 1).then_some(|line: &str| self.of(line).next().unwrap_or_default())
    }
}

#[track_caller]
fn assert_near(value: f64, exact: f64) {
    assert!((value / exact - 1.0).abs() < 1.0 / 128.0, "{value} is not {exact}");
}

/// A point is of one second, and it may end while values are on their way: then others are recorded, under another
/// name.
fn in_one_second(server: &mut Netdata, client: &Client, kind: &str, record: impl Fn(&str)) -> Points {
    let mut one = |name: String| {
        record(&name);
        client.flush(PATIENCE).unwrap();
        server.settle();
        Some(server.points(&chart(&name, kind))).filter(|points| points.only().is_some())
    };
    (0..20)
        .find_map(|attempt| one(format!("{kind}_{attempt}")))
        .expect("the values of one flush come in one second")
}

#[test]
fn netdata_takes_every_line_of_plain_statsd() {
    let Some(netdata) = program(VARIABLE) else { return };
    let mut server = Netdata::start(&netdata);
    let program = Program::new(Dialect::Statsd, server.port);
    for level in LEVELS {
        program.set_balance(level);
        let shown = server.settle().gauge("shop.balance");
        assert!((shown - level).abs() <= 1.0 / DETAIL, "{level} is shown as {shown}");
    }
    program.use_every_kind();
    let collected = server.settle();
    assert_eq!(collected.gauge("shop.workers.in_use"), 1.0);
    assert_eq!(collected.gauge("shop.workers.in_use.max"), 2.0);
    assert!((collected.gauge("shop.workers.utilization") - UTILIZATION).abs() <= 1.0 / DETAIL);
    let stats = program.end();
    let collected = server.settle();
    assert_eq!(collected.counter("shop.jobs"), 1234.0);
    assert_eq!(collected.find(&chart("shop.idle", "counter"), "counter"), None);
    assert_eq!(server.points(&chart("shop.users", "set")).of("unique").sum::<f64>(), 3.0);
    for name in ["query", "size", "depth"] {
        let points = server.points(&chart(&format!("shop.{name}"), "timer"));
        assert_eq!(points.of("min").fold(f64::MAX, f64::min), 1.0);
        assert_near(points.of("max").fold(0.0, f64::max), RECORDS as f64);
    }
    assert_eq!(collected.taken("timers"), 3.0 * RECORDS as f64);
    assert_eq!(collected.counter("tasktag.client.values_sent"), stats.sent.values as f64);
    let taken = |collected: &Collected| KINDS.iter().map(|kind| collected.taken(kind)).sum::<f64>();
    let sent = (stats.sent.lines + server.markers) as f64;
    // It draws what it says of itself after the second marker.
    let collected = in_time(|| {
        Some(server.collected()).filter(|collected| collected.has_taken() && taken(collected) >= sent)
    });
    assert_eq!(taken(&collected), sent);
    for kind in ["meters", "histograms", "dictionaries", "unknown", "errors"] {
        assert_eq!(collected.taken(kind), 0.0, "{kind}");
    }
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn netdata_computes_the_quantiles_of_repeated_values() {
    let Some(netdata) = program(VARIABLE) else { return };
    let mut server = Netdata::start(&netdata);
    let guard = server.client(Dialect::Statsd, None);
    let client = guard.client();
    let timing = in_one_second(&mut server, client, "timer", |name| {
        let query = client.timing(name).register();
        (1..=RECORDS).for_each(|ms| query.record(ms as f64));
    });
    let distribution = in_one_second(&mut server, client, "histogram", |name| {
        let query = client.distribution(name).register();
        (1..=RECORDS).for_each(|ms| query.record(ms as f64));
    });
    for points in [timing, distribution] {
        let of = points.only().unwrap();
        let records = RECORDS as f64;
        assert_eq!(of("min"), 1.0);
        assert_near(of("max"), records);
        assert_near(of("average"), f64::midpoint(1.0, records));
        assert_near(of(MEDIAN), records * 0.5);
        assert_near(of(P95), records * 0.95);
    }
}

/// Records 1 for `often` times and 100 for `seldom` times, all in one flush, and returns the average that is shown.
fn average(server: &mut Netdata, weights: Option<Weights>, often: u64, seldom: u64) -> f64 {
    let guard = server.client(Dialect::Statsd, weights);
    let points = in_one_second(server, guard.client(), "histogram", |name| {
        let query = guard.client().distribution(name).register();
        query.record_many(1.0, often);
        query.record_many(100.0, seldom);
    });
    points.only().unwrap()("average")
}

#[test]
fn netdata_weights_a_value_by_its_rate_up_to_100_times_and_as_often_as_it_is_repeated() {
    let Some(netdata) = program(VARIABLE) else { return };
    let mut server = Netdata::start(&netdata);
    assert_near(average(&mut server, Some(Weights::Rates), 90, 10), 10.9);
    assert_near(average(&mut server, None, 900, 100), 10.9);
}

#[test]
fn netdata_takes_no_rate_for_more_than_100_times() {
    let Some(netdata) = program(VARIABLE) else { return };
    let mut server = Netdata::start(&netdata);
    // 100 times each.
    assert_near(average(&mut server, Some(Weights::Rates), 900, 100), 50.5);
}

#[test]
fn netdata_shows_a_summary_of_any_number_of_values() {
    let Some(netdata) = program(VARIABLE) else { return };
    let mut server = Netdata::start(&netdata);
    let guard = server.client(Dialect::Statsd, Some(Weights::Summaries));
    let query = guard.client().distribution("query").register();
    query.record_many(1.0, 900_000);
    query.record_many(100.0, 100_000);
    guard.client().flush(PATIENCE).unwrap();
    let collected = server.settle();
    assert_eq!(collected.counter("query.count"), 1e6);
    for (name, exact) in [("min", 1.0), ("max", 100.0), ("avg", 10.9), ("p50", 1.0), ("p95", 100.0)] {
        assert_near(collected.gauge(&format!("query.{name}")), exact);
    }
}

#[test]
fn netdata_knows_no_tags_but_the_task_id_in_a_name() {
    let Some(netdata) = program(VARIABLE) else { return };
    let mut server = Netdata::start(&netdata);
    let tagged = server.client(Dialect::TaggedStatsd, None);
    for queue in ["a", "b"] {
        tagged.client().counter("jobs").tag("queue", queue).increment(7);
    }
    tagged.client().flush(PATIENCE).unwrap();
    let named = support::builder().dialect(Dialect::Statsd).agent(format!("udp://127.0.0.1:{}", server.port));
    let named = named.task_id_in_names(true).build().unwrap();
    named.client().counter("jobs").increment(3);
    named.client().flush(PATIENCE).unwrap();
    let collected = server.settle();
    assert_eq!(collected.counter("jobs"), 14.0);
    assert_eq!(collected.counter("task_0042.jobs"), 3.0);
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn netdata_takes_a_line_of_tags_in_the_name_for_another() {
    let Some(netdata) = program(VARIABLE) else { return };
    let mut server = Netdata::start(&netdata);
    let guard = server.client(Dialect::Graphite, None);
    guard.client().counter("jobs").increment(7);
    guard.client().flush(PATIENCE).unwrap();
    let collected = server.settle();
    assert_eq!(collected.find(&chart("jobs", "counter"), "counter"), None);
    let complaints = server.complaints();
    assert!(complaints.len() == 1 && complaints[0].contains("excess data"), "{complaints:#?}");
}
