//! What the tests share: an agent on a real socket, a directory that goes away, and a client that is the same always.

#![allow(dead_code, reason = "each test file uses a part")]

#[cfg(target_os = "linux")]
pub(crate) mod fork;
pub(crate) mod held;
pub(crate) mod received;
#[cfg(target_os = "linux")]
pub(crate) mod resolver;
pub(crate) mod stream_agent;

use std::io;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use stream_agent::Mood;
use tasktag::testing::ManualClock;
use tasktag::{Client, ClientBuilder, Stats, TaskId, TaskIdPool};

/// Longer than anything here takes on the slowest machine. A test that waits for so long fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long the agent's reader waits before it looks at what it was asked for.
const READ_TIMEOUT: Duration = Duration::from_millis(1);

/// The task id of [`builder`]'s clients: `task_id:0042`.
pub(crate) fn task_id() -> TaskId {
    TaskIdPool::DEFAULT.id(42).expect("42 is in the pool")
}

/// A client that says nothing of itself and of the container it may be in, and that collects and flushes when it is
/// told to and not before: its clock stands still.
pub(crate) fn builder() -> ClientBuilder {
    let never = Duration::from_secs(3600);
    Client::builder()
        .clock(&ManualClock::new())
        .telemetry(false)
        .origin_detection(false)
        .task_id(task_id())
        .flush_interval(never)
        .collect_interval(never)
        .shutdown_timeout(PATIENCE)
}

/// Whether everything that was accepted is accounted for, in every unit.
pub(crate) fn assert_conserved(stats: &Stats) {
    let dropped = stats.dropped_total();
    let sides = |part: fn(tasktag::Tally) -> u64| (part(stats.accepted), part(stats.sent) + part(dropped));
    for (unit, (accepted, left)) in [
        ("values", sides(|tally| tally.values)),
        ("lines", sides(|tally| tally.lines)),
        ("packets", sides(|tally| tally.packets)),
        ("bytes", sides(|tally| tally.bytes)),
    ] {
        assert_eq!(accepted, left, "{unit} accepted, and sent or dropped: {stats:#?}");
    }
}

/// The same, as soon as the worker is idle.
#[track_caller]
pub(crate) fn assert_conserved_when_idle(client: &Client) -> Stats {
    wait_until(|| {
        let mut left = client.stats().sent;
        left += client.stats().dropped_total();
        left == client.stats().accepted
    });
    let stats = client.stats();
    assert_conserved(&stats);
    stats
}

/// Has a client flush as it does by itself, which takes as long as the worker may be held for its agent and no longer.
#[track_caller]
pub(crate) fn flush_unasked(client: &Client) {
    let before = client.stats().flushes;
    // Whoever waits for no time gives none.
    let _ = client.flush(Duration::ZERO);
    wait_until(|| {
        // Time on a processor is not held against the worker.
        thread::sleep(Duration::from_millis(1));
        client.stats().flushes > before
    });
}

/// Waits for something that another thread does; fails after [`PATIENCE`].
#[track_caller]
pub(crate) fn wait_until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "it never happened");
        thread::yield_now();
    }
}

/// Does what ends well where the worker had time enough: where the machine stands still for longer than the worker
/// waits, it counts as lost what an agent that is there would have taken, and `act` returns `None`. Then there is
/// another try.
#[track_caller]
pub(crate) fn in_time<T>(mut act: impl FnMut() -> Option<T>) -> T {
    let mut done = None;
    wait_until(|| {
        done = act();
        done.is_some()
    });
    done.expect("it is done")
}

/// The lines of packets, without their line breaks.
pub(crate) fn lines_of(packets: &[Vec<u8>]) -> Vec<String> {
    let text = |packet: &Vec<u8>| String::from_utf8(packet.clone()).expect("a packet is UTF-8");
    packets.iter().flat_map(|packet| text(packet).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// An agent on a real socket of this host. A thread of its own reads, so that the socket's queue stays short.
///
/// Dropping it closes the socket. The file of a Unix socket stays, as a killed agent's does.
#[derive(Debug)]
pub(crate) struct Agent {
    address: String,
    mailbox: Arc<Mailbox>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    packets: Vec<Vec<u8>>,
    // Drains asked for, and those at which the socket was seen empty.
    asked: u64,
    answered: u64,
    mood: Mood,
    stop: bool,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Agent {
    /// On IPv4's loopback, at a free port.
    pub(crate) fn udp() -> Self {
        Self::udp_at(SocketAddr::from(([127, 0, 0, 1], 0))).expect("IPv4's loopback has a free port")
    }

    /// On IPv6's loopback, at a free port; an error where the machine has none.
    pub(crate) fn udp6() -> io::Result<Self> {
        Self::udp_at(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)))
    }

    /// At an address: one that was free a moment ago.
    pub(crate) fn udp_at(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(READ_TIMEOUT))?;
        let address = format!("udp://{}", socket.local_addr()?);
        Ok(Self::new(address, Socket::Udp(socket)))
    }

    /// At a path where no file is yet.
    pub(crate) fn unix(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("the path is free");
        socket.set_read_timeout(Some(READ_TIMEOUT)).expect("the timeout is not 0");
        Self::new(unix_address(path), Socket::Unix(socket))
    }

    fn new(address: String, socket: Socket) -> Self {
        let mailbox = Arc::<Mailbox>::default();
        let reader = thread::spawn({
            let mailbox = Arc::clone(&mailbox);
            move || mailbox.read(&socket)
        });
        Self { address, mailbox, reader: Some(reader) }
    }

    /// As [`ClientBuilder::agent`] takes it.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// The port, of a UDP agent.
    pub(crate) fn port(&self) -> u16 {
        self.address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .expect("a UDP address has a port")
    }

    /// Whoever is slow reads a packet a millisecond. One that is deaf answers no drain.
    pub(crate) fn set_mood(&self, mood: Mood) {
        self.mailbox.lock().mood = mood;
    }

    /// Closes the socket, and has what came since the last call. What a deaf agent did not read is gone.
    pub(crate) fn close(mut self) -> Vec<Vec<u8>> {
        self.end();
        std::mem::take(&mut self.mailbox.lock().packets)
    }

    fn end(&mut self) {
        self.mailbox.lock().stop = true;
        // It ends at its next timeout, and the socket is closed then.
        let ended = self.reader.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_none_or(|ended| ended.is_ok()), "the reader panicked");
    }

    /// Everything that came since the last call, once `done` says of the lines in it that it is enough.
    #[track_caller]
    pub(crate) fn packets_until(&self, done: impl Fn(&[String]) -> bool) -> Vec<Vec<u8>> {
        let start = Instant::now();
        let mut state = self.mailbox.lock();
        while !done(&lines_of(&state.packets)) {
            let left = PATIENCE.checked_sub(start.elapsed());
            let left = left.unwrap_or_else(|| panic!("it never came, but {:?}", lines_of(&state.packets)));
            state = self.mailbox.changed.wait_timeout(state, left).unwrap().0;
        }
        std::mem::take(&mut state.packets)
    }

    /// The lines of [`packets_until`](Self::packets_until).
    #[track_caller]
    pub(crate) fn lines_until(&self, done: impl Fn(&[String]) -> bool) -> Vec<String> {
        lines_of(&self.packets_until(done))
    }

    /// As many lines as were sent, and whatever came beyond them. UDP may be on its way when a flush is over.
    #[track_caller]
    pub(crate) fn lines(&self, sent: usize) -> Vec<String> {
        let mut packets = self.packets_until(|lines| lines.len() >= sent);
        packets.append(&mut self.drain_packets());
        lines_of(&packets)
    }

    /// Everything that came since the last call, once the socket was seen empty: after a flush, what it sent.
    #[track_caller]
    pub(crate) fn drain_packets(&self) -> Vec<Vec<u8>> {
        let mut state = self.mailbox.lock();
        state.asked += 1;
        let ticket = state.asked;
        let (mut state, waited) = self
            .mailbox
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.answered < ticket)
            .unwrap();
        assert!(!waited.timed_out(), "the reader is gone");
        std::mem::take(&mut state.packets)
    }

    /// The lines of [`drain_packets`](Self::drain_packets).
    #[track_caller]
    pub(crate) fn drain(&self) -> Vec<String> {
        lines_of(&self.drain_packets())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that failed while it waited still has to end the reader.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, socket: &Socket) {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let (asked, mood, stop) = {
                let state = self.lock();
                (state.asked, state.mood, state.stop)
            };
            if mood != Mood::Eager {
                thread::sleep(READ_TIMEOUT);
            }
            if mood == Mood::Deaf {
                if stop {
                    return;
                }
                continue;
            }
            let received = match socket {
                Socket::Udp(socket) => socket.recv(&mut buffer),
                Socket::Unix(socket) => socket.recv(&mut buffer),
            };
            let mut state = self.lock();
            match received {
                Ok(len) => state.packets.push(buffer[..len].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    // Nothing was there, and that was after `asked` was read.
                    state.answered = asked;
                    if stop {
                        return;
                    }
                }
                Err(error) => panic!("the agent's socket fails: {error}"),
            }
            drop(state);
            self.changed.notify_all();
        }
    }
}

/// A Unix socket's path, as [`ClientBuilder::agent`] takes it.
pub(crate) fn unix_address(path: &Path) -> String {
    format!("unix://{}", path.display())
}

/// A clean key that is none of the names that Prometheus' data model keeps for itself.
pub(crate) fn label(key: &str) -> String {
    let is_mark = |c: char| matches!(c, '_' | '.' | '-');
    match key {
        "le" | "quantile" => format!("{key}_"),
        _ => match key.chars().next() {
            Some(first) if is_mark(first) => format!("{first}{}", key.trim_start_matches(is_mark)),
            _ => key.to_owned(),
        },
    }
}

/// A directory of its own under the system's temporary one, gone with everything in it when it is dropped.
#[derive(Debug)]
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    /// Makes the directory.
    pub(crate) fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("tasktag-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Self(path),
                // A process of the same number was killed here before it could clean up.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("no temporary directory at {}: {error}", path.display()),
            }
        }
    }

    /// A path in it.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What is left behind does not make a test fail that passed.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
