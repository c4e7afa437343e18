//! An agent that listens for connections, and what it does to them.

use super::{PATIENCE, wait_until};
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the agent does with its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Reads everything at once.
    #[default]
    Eager,
    /// Reads 4 KiB a millisecond.
    Slow,
    /// Accepts and reads nothing.
    Deaf,
}

/// Drop it to stop it. The file of a Unix socket stays, as a killed agent's does.
#[derive(Debug)]
pub(crate) struct StreamAgent {
    address: String,
    state: Arc<Mutex<State>>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    // What came over each connection, in the order they were made; a connection that is over stays.
    received: Vec<Vec<u8>>,
    asked: Option<Request>,
}

/// What is done next, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// All connections are to be closed with what they hold unread, which resets them.
    Reset,
    /// All are to be closed once what they hold is read.
    HangUp,
    /// The other side's end of all of them is to be waited for.
    HearOut,
    Stop,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(listener) => {
                let stream = listener.accept()?.0;
                stream.set_nonblocking(true)?;
                Stream::Tcp(stream)
            }
            Self::Unix(listener) => {
                let stream = listener.accept()?.0;
                stream.set_nonblocking(true)?;
                Stream::Unix(stream)
            }
        })
    }
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl StreamAgent {
    /// On IPv4's loopback, at a free port.
    pub(crate) fn tcp() -> Self {
        Self::tcp_at(SocketAddr::from(([127, 0, 0, 1], 0))).expect("IPv4's loopback has a free port")
    }

    /// At an address: one that was free a moment ago.
    pub(crate) fn tcp_at(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = format!("tcp://{}", listener.local_addr()?);
        Ok(Self::new(address, Listener::Tcp(listener)))
    }

    /// At a path where no file is yet.
    pub(crate) fn unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("the path is free");
        listener.set_nonblocking(true).expect("a socket");
        Self::new(format!("unixstream://{}", path.display()), Listener::Unix(listener))
    }

    fn new(address: String, listener: Listener) -> Self {
        let state = State { mood: Mood::Eager, received: Vec::new(), asked: None };
        let state = Arc::new(Mutex::new(state));
        let reader = thread::spawn({
            let state = Arc::clone(&state);
            move || serve(&listener, &state)
        });
        Self { address, state, reader: Some(reader) }
    }

    /// As [`ClientBuilder::agent`](tasktag::ClientBuilder::agent) takes it.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// Where a TCP agent listens.
    pub(crate) fn socket_address(&self) -> SocketAddr {
        self.address.trim_start_matches("tcp://").parse().expect("a TCP agent's address")
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        lock(&self.state).mood = mood;
    }

    /// Closes all connections with what they hold unread.
    pub(crate) fn reset(&self) {
        self.ask(Request::Reset);
    }

    /// Closes all connections once what they hold is read.
    pub(crate) fn hang_up(&self) {
        self.ask(Request::HangUp);
    }

    /// Reads until the other side has closed all connections.
    pub(crate) fn hear_out(&self) {
        self.ask(Request::HearOut);
    }

    fn ask(&self, request: Request) {
        lock(&self.state).asked = Some(request);
        wait_until(|| lock(&self.state).asked.is_none());
    }

    /// Closes all sockets, and has what came over each connection. What was not read is gone.
    pub(crate) fn close(mut self) -> Vec<Vec<u8>> {
        self.end();
        std::mem::take(&mut lock(&self.state).received)
    }

    fn end(&mut self) {
        lock(&self.state).asked = Some(Request::Stop);
        let ended = self.reader.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_none_or(|ended| ended.is_ok()), "the reader panicked");
    }

    pub(crate) fn connections(&self) -> usize {
        lock(&self.state).received.len()
    }

    /// What came over each connection so far.
    pub(crate) fn received(&self) -> Vec<Vec<u8>> {
        lock(&self.state).received.clone()
    }

    /// The same, once it is so many bytes.
    #[track_caller]
    pub(crate) fn received_until(&self, bytes: usize) -> Vec<Vec<u8>> {
        let start = Instant::now();
        loop {
            let received = self.received();
            let len: usize = received.iter().map(Vec::len).sum();
            if len >= bytes {
                return received;
            }
            assert!(start.elapsed() < PATIENCE, "{len} bytes came, and not {bytes}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for StreamAgent {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: &Listener, state: &Mutex<State>) {
    let mut open: Vec<(usize, Stream)> = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let mut state = lock(state);
        if state.asked == Some(Request::Stop) {
            return;
        }
        while let Ok(stream) = listener.accept() {
            open.push((state.received.len(), stream));
            state.received.push(Vec::new());
        }
        if state.asked == Some(Request::Reset) {
            open.clear();
            state.asked = None;
        }
        let most = match state.mood {
            Mood::Eager => buffer.len(),
            Mood::Slow => 4096,
            Mood::Deaf => 0,
        };
        let mut heard = false;
        open.retain_mut(|(number, stream)| {
            if most == 0 {
                return true;
            }
            match stream.read(&mut buffer[..most]) {
                Ok(0) => false,
                Ok(len) => {
                    state.received[*number].extend_from_slice(&buffer[..len]);
                    heard = true;
                    true
                }
                Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
            }
        });
        match state.asked {
            Some(Request::HangUp) if !heard => {
                open.clear();
                state.asked = None;
            }
            Some(Request::HearOut) if open.is_empty() => state.asked = None,
            _ => {}
        }
        let pause = !heard || state.mood != Mood::Eager;
        drop(state);
        if pause {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The packets in the Agent's framing, and what is behind the last whole one.
pub(crate) fn unframed(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut packets = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*len) as usize;
        assert!((1..=8192).contains(&len), "a frame of {len} bytes");
        let Some((packet, rest)) = rest.split_at_checked(len) else { break };
        packets.push(packet.to_vec());
        bytes = rest;
    }
    (packets, bytes.to_vec())
}
