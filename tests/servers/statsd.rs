//! Etsy's StatsD, as npm has it.

use crate::process::{Process, free_tcp_port, free_udp_port, program, start};
use crate::program::{LEVELS, Program, RECORDS, UTILIZATION};
use crate::support::{self, PATIENCE, TempDir, in_time};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;
use tasktag::{Dialect, DropReason};

pub(crate) const VARIABLE: &str = "TASKTAG_TEST_STATSD";
const BACKEND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/statsd_capture.js");

/// The tags of the program's contexts as they stand in the server's keys.
pub(crate) const TAGS: &str = ";pool=primary_db;region=eu;task_id=0042";

/// A quantile that the client's buckets may be off by.
const ERROR: f64 = 1.0 / 128.0;

/// A running server, and its management port. It flushes when it ends and not before, unless a backend makes it.
#[derive(Debug)]
pub(crate) struct Statsd {
    pub(crate) process: Process,
    management: TcpStream,
    udp_port: u16,
    tcp_port: u16,
    markers: u64,
    // Holds the configuration, which the server watches.
    _dir: TempDir,
}

/// What the server's one flush holds.
#[derive(Debug)]
struct Captured(HashMap<String, f64>);

impl Statsd {
    fn start(package: &Path) -> Self {
        start(|| Self::try_start(package, &format!("backends: [{BACKEND:?}]")))
    }

    /// With settings of its own, the backends among them.
    pub(crate) fn try_start(package: &Path, settings: &str) -> Result<Self, String> {
        let dir = TempDir::new();
        let (udp_port, tcp_port, management_port) = (free_udp_port(), free_tcp_port(), free_tcp_port());
        let config = dir.join("config.js");
        let config_text = format!(
            "{{ servers: [
                  {{ server: './servers/udp', address: '127.0.0.1', port: {udp_port} }},
                  {{ server: './servers/tcp', address: '127.0.0.1', port: {tcp_port} }} ],
                mgmt_address: '127.0.0.1', mgmt_port: {management_port},
                flushInterval: 3600000, percentThreshold: [50, 90, 95, 99], {settings} }}"
        );
        std::fs::write(&config, config_text).map_err(|error| error.to_string())?;
        let mut child = Command::new("node")
            .arg(package.join("stats.js"))
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let mut process = Process::new(child, output);
        process.read_until(|lines| lines.iter().any(|line| line.contains("server is up")))?;
        let management = connect(management_port)?;
        let mut server = Self { process, management, udp_port, tcp_port, markers: 0, _dir: dir };
        server.settle();
        Ok(server)
    }

    /// Waits until the server has worked through every packet that was sent to it, which is when it knows of one that
    /// is sent now: packets keep their order on their way through one host.
    pub(crate) fn settle(&mut self) {
        self.markers += 1;
        self.send(&format!("marker:{}|g", self.markers));
        let start = Instant::now();
        while self.gauges().get("marker") != Some(&(self.markers as f64)) {
            assert!(start.elapsed() < PATIENCE, "a packet was lost on the way");
        }
    }

    pub(crate) fn send(&self, packet: &str) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(packet.as_bytes(), ("127.0.0.1", self.udp_port)).unwrap();
    }

    /// The same where packets may overtake each other, as they do on streams: waits for a number of lines.
    fn settle_with(&mut self, lines: u64) {
        self.settle();
        let all = (lines + self.markers) as f64;
        let start = Instant::now();
        loop {
            let received = self.known("counters")["statsd.metrics_received"];
            if received == all {
                return;
            }
            assert!(received < all && start.elapsed() < PATIENCE, "{received} lines came, of {all}");
        }
    }

    fn gauges(&mut self) -> HashMap<String, f64> {
        self.known("gauges")
    }

    /// The server's `gauges` or `counters`.
    fn known(&mut self, what: &str) -> HashMap<String, f64> {
        let answer = self.ask(what);
        // `{ 'shop.balance': -5.25, marker: 1 }`, in one line or several. No key has a comma or a brace.
        let entries = answer.split([',', '\n', '{', '}']).filter_map(|entry| entry.rsplit_once(": "));
        entries.map(|(key, value)| (key.trim().trim_matches('\'').to_owned(), number(value))).collect()
    }

    fn ask(&mut self, command: &str) -> String {
        self.management.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !answer.ends_with(b"END\n\n") {
            let len = self.management.read(&mut buffer).unwrap();
            assert!(len > 0, "the server hung up, after {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..len]);
        }
        String::from_utf8(answer).unwrap()
    }

    /// Ends the server, which flushes for the only time.
    fn end(mut self) -> Captured {
        assert!(self.ask("stats").contains("messages.bad_lines_seen: 0\n"));
        let lines = self.process.end();
        let bad: Vec<_> = lines.iter().filter(|line| line.contains("Bad line")).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        let captured = lines.iter().filter_map(|line| line.strip_prefix("captured ")?.rsplit_once(' '));
        Captured(captured.map(|(key, value)| (key.to_owned(), number(value))).collect())
    }
}

fn connect(port: u16) -> Result<TcpStream, String> {
    let start = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Err(error) if start.elapsed() > PATIENCE => return Err(error.to_string()),
            Err(_) => thread::yield_now(),
        }
    }
}

#[track_caller]
fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

impl Captured {
    /// The value of `counter <key>`, `set <key>`, `timer <key> <statistic>`.
    #[track_caller]
    fn get(&self, key: &str) -> f64 {
        *self.0.get(key).unwrap_or_else(|| panic!("no {key} in {:#?}", self.0))
    }

    /// The sum over all keys that begin so.
    fn sum(&self, start: &str) -> f64 {
        self.0.iter().filter(|(key, _)| key.starts_with(start)).map(|(_, value)| value).sum()
    }

    /// A distribution of 1 to [`RECORDS`], each once.
    #[track_caller]
    fn assert_recorded(&self, key: &str) {
        let records = RECORDS as f64;
        let statistic = |name: &str| self.get(&format!("timer {key} {name}"));
        assert_eq!(statistic("count"), records);
        for (name, exact) in [
            ("lower", 1.0),
            ("upper", records),
            ("upper_50", records * 0.5),
            ("upper_90", records * 0.9),
            ("upper_99", records * 0.99),
            ("mean", f64::midpoint(1.0, records)),
            ("sum", records * f64::midpoint(1.0, records)),
        ] {
            let off = (statistic(name) / exact - 1.0).abs();
            assert!(off < ERROR, "{key}: {name} is {} and not {exact}", statistic(name));
        }
    }
}

fn show_every_kind(address: impl Fn(&Statsd) -> String, dialect: Dialect, tags: &str) {
    let Some(package) = program(VARIABLE) else { return };
    let (mut server, address, program) = in_time(|| {
        let server = Statsd::start(&package);
        let address = address(&server);
        let program = Program::at(&address, dialect);
        // TCP is connected to by another thread.
        program.set_balance(LEVELS[0]);
        (program.client().stats().dropped(DropReason::Transport).lines == 0)
            .then_some((server, address, program))
    });
    for level in LEVELS {
        program.set_balance(level);
        server.settle_with(program.client().stats().sent.lines);
        assert_eq!(server.gauges()[&format!("shop.balance{tags}")], level);
    }
    program.use_every_kind();
    server.settle_with(program.client().stats().sent.lines);
    let gauges = server.gauges();
    let workers = |field: &str| gauges[&format!("shop.workers.{field}{tags}")];
    assert_eq!((workers("in_use"), workers("in_use.max")), (1.0, 2.0));
    assert_eq!(workers("utilization"), UTILIZATION);
    let stats = program.end();
    server.settle_with(stats.sent.lines);
    let markers = server.markers as f64;
    let captured = server.end();
    assert_eq!(captured.get(&format!("counter shop.jobs{tags}")), 1234.0);
    assert!(!captured.0.contains_key(&format!("counter shop.idle{tags}")));
    // "ada", "grace" and "a_b_c".
    assert_eq!(captured.get(&format!("set shop.users{tags}")), 3.0);
    for name in ["query", "size", "depth"] {
        captured.assert_recorded(&format!("shop.{name}{tags}"));
    }
    assert_eq!(captured.get("counter statsd.bad_lines_seen"), 0.0);
    assert_eq!(captured.get("counter statsd.metrics_received"), stats.sent.lines as f64 + markers);
    if address.starts_with("udp:") {
        assert_eq!(captured.get("counter statsd.packets_received"), stats.sent.packets as f64 + markers);
    }
    // What the client says of itself.
    assert_eq!(captured.sum("counter tasktag.client.values_sent"), stats.sent.values as f64);
    assert_eq!(captured.sum("counter tasktag.client.values_dropped"), 3.0);
}

pub(crate) fn udp(server: &Statsd) -> String {
    format!("udp://127.0.0.1:{}", server.udp_port)
}

fn tcp(server: &Statsd) -> String {
    format!("tcp://127.0.0.1:{}", server.tcp_port)
}

#[test]
fn statsd_takes_every_kind_and_reads_the_task_id_from_tagged_lines() {
    show_every_kind(udp, Dialect::TaggedStatsd, TAGS);
}

#[test]
fn statsd_takes_every_kind_of_plain_lines() {
    show_every_kind(udp, Dialect::Statsd, "");
}

#[test]
fn statsd_keeps_graphites_tags_as_they_stand_in_the_name() {
    show_every_kind(udp, Dialect::Graphite, TAGS);
}

#[test]
fn statsd_takes_every_kind_over_tcp() {
    show_every_kind(tcp, Dialect::TaggedStatsd, TAGS);
    show_every_kind(tcp, Dialect::Statsd, "");
    show_every_kind(tcp, Dialect::Graphite, TAGS);
}

#[test]
fn of_fifty_thousand_lines_over_tcp_statsd_misses_none() {
    const SETS: u64 = 50;
    const MEMBERS: u64 = 1000;
    let Some(package) = program(VARIABLE) else { return };
    let (mut server, guard) = in_time(|| {
        let server = Statsd::start(&package);
        let guard = support::builder().dialect(Dialect::TaggedStatsd).agent(tcp(&server)).build().unwrap();
        // It is connected to by another thread.
        guard.client().counter("first").increment(1);
        guard.client().flush(PATIENCE).unwrap();
        (guard.client().stats().sent.lines == 1).then_some((server, guard))
    });
    for set in 0..SETS {
        let users = guard.client().set(&format!("users.{set}")).register();
        (0..MEMBERS).for_each(|member| users.insert(&format!("{set}-{member}")));
        guard.client().flush(PATIENCE).unwrap();
        server.settle_with(1 + (set + 1) * MEMBERS);
    }
    let stats = guard.client().stats();
    support::assert_conserved(&stats);
    assert_eq!((stats.sent.lines, stats.dropped_total().values), (1 + SETS * MEMBERS, 0));
    let captured = server.end();
    for set in 0..SETS {
        // A member that was changed on the way would be another, or that of a set of another name.
        assert_eq!(captured.get(&format!("set users.{set};task_id=0042")), MEMBERS as f64);
    }
    assert_eq!(captured.0.keys().filter(|key| key.starts_with("set ")).count() as u64, SETS);
}

#[test]
fn what_statsd_is_spared_of_a_distribution_is_counted_and_its_quantiles_stay() {
    let Some(package) = program(VARIABLE) else { return };
    let mut server = Statsd::start(&package);
    let guard = support::builder()
        .dialect(Dialect::TaggedStatsd)
        .agent(format!("udp://127.0.0.1:{}", server.udp_port))
        .build()
        .unwrap();
    let query = guard.client().timing("query").register();
    (1..=1000_u32).for_each(|value| query.record_many(f64::from(value), 30));
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    support::assert_conserved(&stats);
    server.settle_with(stats.sent.lines);
    let captured = server.end();
    let statistic = |name: &str| captured.get(&format!("timer query;task_id=0042 {name}"));
    let spared = stats.dropped(DropReason::Sampled).values as f64;
    assert_eq!(statistic("count") + spared, 30_000.0);
    assert_eq!(spared, 29_000.0);
    for (name, exact) in [("upper_50", 500.0), ("upper_90", 900.0), ("upper_99", 990.0)] {
        assert!((statistic(name) / exact - 1.0).abs() < 2.0 * ERROR, "{name} is {}", statistic(name));
    }
}

/// 4000 response times of a busy task with a long tail.
fn long_tail() -> impl Iterator<Item = f64> {
    (0..4000).map(|i| (1.0 / (1.0 - (f64::from(i) + 0.5) / 4000.0)).powf(0.7) * 10.0)
}

#[test]
fn of_4000_values_statsd_shows_what_it_shows_of_them_one_by_one() {
    let Some(package) = program(VARIABLE) else { return };
    let mut server = Statsd::start(&package);
    let mut plain = TcpStream::connect(("127.0.0.1", server.tcp_port)).unwrap();
    let lines: Vec<String> = long_tail().map(|value| format!("plain:{value}|ms\n")).collect();
    plain.write_all(lines.concat().as_bytes()).unwrap();
    server.settle_with(4000);
    let builder = support::builder().dialect(Dialect::Statsd).telemetry(false);
    let guard = builder.agent(udp(&server)).build().unwrap();
    let took = guard.client().timing("took").register();
    long_tail().for_each(|value| took.record(value));
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(guard.client().stats().sent.lines, 1000);
    server.settle_with(5000);
    let captured = server.end();
    for name in ["upper_50", "upper_90", "upper_95", "upper_99", "mean"] {
        let [shown, exact] = ["took", "plain"].map(|key| captured.get(&format!("timer {key} {name}")));
        assert!((shown / exact - 1.0).abs() < 0.02, "{name} is {shown}, and {exact} one by one");
    }
}
