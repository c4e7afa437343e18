//! An agent in one thread. It reads datagrams, parses them, and groups them by task.

use crate::PREFIX;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::mem;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tasktag::testing::{Parsed, ParsedMetric, Value, parse};

/// The packets of a flush follow one another directly. Anything after this much silence belongs to the next flush.
const SILENCE: Duration = Duration::from_millis(80);
const MAX_DATAGRAM: usize = 65_536;

/// The packets of one flush.
pub(crate) struct Packets {
    count: u64,
    bytes: u64,
    lines: u64,
    parsed: Vec<Parsed>,
    /// When the last of them arrived.
    pub(crate) at: Instant,
}

impl Packets {
    fn new() -> Self {
        Self { count: 0, bytes: 0, lines: 0, parsed: Vec::new(), at: Instant::now() }
    }
}

type Flushes = mpsc::Sender<Result<Packets, String>>;

/// The agent's thread.
pub(crate) struct Receiver {
    address: String,
    packets: mpsc::Receiver<Result<Packets, String>>,
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Receiver {
    pub(crate) fn open() -> Result<Self, String> {
        let open = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_read_timeout(Some(SILENCE))?;
            let address = format!("udp://{}", socket.local_addr()?);
            Ok((socket, address))
        };
        let (socket, address) =
            open().map_err(|error: std::io::Error| format!("the agent's socket: {error}"))?;
        let (sender, packets) = mpsc::channel();
        let ending = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ending);
        let thread = thread::spawn(move || {
            if let Err(why) = receive(&socket, &told, &sender) {
                // The next reader of packets gets the error instead. Without a reader, nobody misses the packets.
                let _ = sender.send(Err(why));
            }
        });
        Ok(Self { address, packets, ending, thread })
    }

    /// The address to which clients send.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The next flush; `None` when there is none within `patience`.
    pub(crate) fn next(&self, patience: Duration) -> Result<Option<Packets>, String> {
        match self.packets.recv_timeout(patience) {
            Ok(packets) => packets.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err("the agent is gone".to_owned()),
        }
    }

    /// Stops the agent once it has read what was sent, and returns the flushes that were not read yet.
    pub(crate) fn finish(self) -> Result<Vec<Packets>, String> {
        self.ending.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the agent panicked".to_owned())?;
        self.packets.iter().collect()
    }
}

fn receive(socket: &UdpSocket, ending: &AtomicBool, flushes: &Flushes) -> Result<(), String> {
    let mut datagram = vec![0; MAX_DATAGRAM];
    let mut packets = Packets::new();
    loop {
        match socket.recv(&mut datagram) {
            Ok(n) => {
                packets.at = Instant::now();
                packets.count += 1;
                packets.bytes += n as u64;
                // A line may hold several values, which are parsed one by one.
                packets.lines += datagram[..n].split_inclusive(|byte| *byte == b'\n').count() as u64;
                packets.parsed.extend(
                    parse(&datagram[..n])
                        .map_err(|error| format!("the agent received what is no metric: {error}"))?,
                );
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                // On loopback, a sent packet has arrived already: silence after the last one means that all were read.
                let over = ending.load(Ordering::Relaxed) && packets.count == 0;
                let unheard = packets.count > 0
                    && flushes.send(Ok(mem::replace(&mut packets, Packets::new()))).is_err();
                if over || unheard {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("the agent's socket: {error}")),
        }
    }
}

/// What was received so far, by task id.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    /// Lines without a task id: there should be none.
    pub(crate) untagged: u64,
    /// Lines that the client sent about itself.
    pub(crate) telemetry: u64,
    pub(crate) words: Vec<[String; 3]>,
    pub(crate) tasks: BTreeMap<String, Task>,
}

/// What one task id sent: its metrics by name and tags.
#[derive(Default)]
pub(crate) struct Task {
    pub(crate) metrics: BTreeMap<(String, String), Metric>,
}

/// What an agent makes of a metric's lines.
#[derive(Default)]
pub(crate) struct Metric {
    pub(crate) code: String,
    /// A gauge's level, or a counter's growth since the previous flush.
    pub(crate) number: Option<f64>,
    /// The highest level since the flush before.
    pub(crate) peak: Option<f64>,
    /// A timing's values, each with how often it was seen.
    pub(crate) values: Vec<(f64, u64)>,
    /// A set's members.
    pub(crate) members: BTreeSet<String>,
    /// Counts of all flushes.
    pub(crate) total: f64,
}

impl Received {
    /// Takes a flush's packets, which replace what their tasks sent before.
    pub(crate) fn take(&mut self, packets: Packets) {
        self.packets += packets.count;
        self.bytes += packets.bytes;
        self.lines += packets.lines;
        let mut heard = BTreeSet::new();
        for line in packets.parsed {
            let tags = match &line {
                Parsed::Metric(metric) => &metric.tags,
                Parsed::Event(event) => &event.tags,
                Parsed::ServiceCheck(check) => &check.tags,
                _ => continue,
            };
            let Some(id) = tags.iter().find(|(key, _)| key == "task_id").map(|(_, id)| id.clone()) else {
                self.untagged += 1;
                continue;
            };
            let task = self.tasks.entry(id.clone()).or_default();
            if heard.insert(id) {
                task.metrics.values_mut().for_each(Metric::begin_flush);
            }
            match line {
                Parsed::Metric(metric) => self.telemetry += u64::from(!task.take(metric)),
                Parsed::Event(event) => self.words.push(["event".to_owned(), event.title, event.text]),
                Parsed::ServiceCheck(check) => {
                    let said = format!("status {}: {}", check.status, check.message.unwrap_or_default());
                    self.words.push(["check".to_owned(), check.name, said]);
                }
                _ => {}
            }
        }
    }

    /// A count over all flushes and tasks.
    pub(crate) fn total(&self, name: &str) -> f64 {
        self.tasks.values().map(|task| task.total(name)).sum()
    }
}

impl Task {
    /// Returns `false` for a name that is not from this example.
    fn take(&mut self, line: ParsedMetric) -> bool {
        let Some(name) = line.name.strip_prefix(PREFIX).and_then(|name| name.strip_prefix('.')) else {
            return false;
        };
        let own = line.tags.iter().filter(|(key, _)| key != "task_id");
        let tags = own.map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>().join(",");
        // A peak follows its gauge. There is no gauge `pool`, so `pool.max` is a gauge of its own.
        let gauge = name.strip_suffix(".max").map(|gauge| (gauge.to_owned(), tags.clone()));
        if let Some(gauge) = gauge.and_then(|gauge| self.metrics.get_mut(&gauge)) {
            gauge.peak = line.value.number();
        } else {
            self.metrics.entry((name.to_owned(), tags)).or_default().take(line);
        }
        true
    }

    pub(crate) fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|((found, _), _)| found == name).map(|(_, metric)| metric)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.metric(name)?.number
    }

    pub(crate) fn total(&self, name: &str) -> f64 {
        self.metric(name).map_or(0.0, |metric| metric.total)
    }
}

impl Metric {
    fn begin_flush(&mut self) {
        self.number = None;
        self.peak = None;
        self.values.clear();
        self.members.clear();
    }

    fn take(&mut self, line: ParsedMetric) {
        let weight = line.count();
        self.code = line.code;
        match (self.code.as_str(), line.value) {
            ("g", Value::Number(level)) => self.number = Some(level),
            ("c", Value::Number(n)) => {
                self.number = Some(self.number.unwrap_or(0.0) + n);
                self.total += n;
            }
            (_, Value::Number(value)) => {
                self.values.push((value, weight));
                self.total += weight as f64;
            }
            (_, Value::Member(member)) => {
                self.members.insert(member);
            }
            _ => {}
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.values.iter().map(|(_, n)| n).sum()
    }

    /// The smallest value that at least a share of `q` of all is not above.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let wanted = q * self.count() as f64;
        let mut seen = 0;
        let reached = sorted.iter().find(|(_, n)| {
            seen += n;
            seen as f64 >= wanted
        });
        reached.map(|(value, _)| *value)
    }
}
