//! Agents that the contestants send to.

use crate::contestant::Agent;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{env, fs, process};

const RECEIVE_BUFFER: usize = 256 << 20;
const LARGEST: usize = 65_536;
/// Silence after which all that was sent has come.
const SILENCE: Duration = Duration::from_millis(50);

/// Takes packets in a thread of its own, and keeps them if that is wanted.
pub struct Receiver {
    agent: Agent,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

impl Receiver {
    pub fn udp(keep: bool) -> Self {
        let socket = udp_socket();
        let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
        Self::start(socket, Agent::Udp(address), keep)
    }

    pub fn unix(directory: &Directory, keep: bool) -> Self {
        let path = directory.path("present");
        let socket = Socket::from(OwnedFd::from(UnixDatagram::bind(&path).expect("the directory is ours")));
        Self::start(socket, Agent::Unix(path), keep)
    }

    fn start(socket: Socket, agent: Agent, keep: bool) -> Self {
        socket.set_read_timeout(Some(SILENCE)).expect("a socket has timeouts");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || receive(socket, keep, &stopped));
        Self { agent, stop, thread }
    }

    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Waits for what is still on its way, and hands out all packets.
    pub fn finish(self) -> Vec<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

fn receive(mut socket: Socket, keep: bool, stop: &AtomicBool) -> Vec<Vec<u8>> {
    let (mut packets, mut buffer) = (Vec::new(), vec![0; LARGEST]);
    loop {
        match socket.read(&mut buffer) {
            Ok(length) if keep => packets.push(buffer[..length].to_vec()),
            Err(_) if stop.load(Ordering::Relaxed) => return packets,
            Ok(_) | Err(_) => {}
        }
    }
}

/// A bound socket with all the room that can be had.
fn udp_socket() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket can be had");
    socket.set_recv_buffer_size(RECEIVE_BUFFER).expect("the system takes what it can");
    force_receive_buffer(&socket);
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port is free");
    socket
}

/// More than the system's limit, where the user may.
#[cfg(target_os = "linux")]
fn force_receive_buffer(socket: &Socket) {
    use std::os::fd::AsRawFd;
    let size = RECEIVE_BUFFER as libc::c_int;
    // SAFETY: the option is an int, and its size is told. Where it is not allowed nothing happens.
    unsafe {
        let length = size_of_val(&size) as libc::socklen_t;
        let value = (&raw const size).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value, length);
    }
}

#[cfg(not(target_os = "linux"))]
fn force_receive_buffer(_: &Socket) {}

/// A UDP agent that nobody reads: what does not fit is dropped by the system, and sending always succeeds.
pub fn blackhole() -> (UdpSocket, Agent) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port is free");
    let agent = Agent::Udp(socket.local_addr().expect("it is bound"));
    (socket, agent)
}

/// Where nobody listens.
pub fn closed_port() -> Agent {
    blackhole().1
}

/// A Unix socket that nobody reads. Its queue is full, and stays so.
pub fn stalled(directory: &Directory) -> (UnixDatagram, Agent) {
    let path = directory.path("stalled");
    let socket = UnixDatagram::bind(&path).expect("the directory is ours");
    let sender = UnixDatagram::unbound().expect("a socket can be had");
    sender.set_nonblocking(true).expect("a socket can do without blocking");
    while sender.send_to(b"x", &path).is_ok() {}
    (socket, Agent::Unix(path))
}

/// A directory for sockets, which goes with its owner.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        let path = env::temp_dir().join(format!("versus-{}", process::id()));
        fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn missing(&self) -> Agent {
        Agent::Unix(self.path("missing"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
