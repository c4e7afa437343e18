//! The sockets that packets come in by, a thread each.

use super::framing::{Framing, Unframed};
use super::intake::Intake;
use crate::endpoint::Endpoint;
use crate::stop::Stop;
use std::fs;
use std::io::{self, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a socket without packets looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);
/// How long a socket is read that has always more, once the command is to end.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// The largest datagram that there is.
const MAX_DATAGRAM: usize = 65_536;
/// Room for bursts, as far as the system allows it.
const RECEIVE_BUFFER: usize = 8 << 20;
/// The connections at a time. More are closed at once.
const MAX_CONNECTIONS: usize = 1024;

/// A socket that is read by a thread until the command ends.
#[derive(Debug)]
pub(crate) struct Receiver {
    reader: JoinHandle<()>,
    address: String,
    file: Option<PathBuf>,
    // The reader's own socket once more, so that the kernel lists it after its reader has ended.
    listed: Option<UdpSocket>,
}

impl Receiver {
    /// Opens a socket and reads it.
    pub(crate) fn open(endpoint: &Endpoint, intake: &Arc<Intake>, stop: &Stop) -> io::Result<Self> {
        if let Some(path) = endpoint.path() {
            remove_dead(path)?;
        }
        let (mut address, file) = (endpoint.to_string(), endpoint.path().map(Path::to_owned));
        let (intake, stop, mut listed) = (Arc::clone(intake), stop.clone(), None);
        let reader = match endpoint {
            Endpoint::Udp(authority) => {
                let socket = UdpSocket::bind(authority)?;
                socket.set_read_timeout(Some(LOOK))?;
                enlarge(&socket);
                address = format!("udp://{}", socket.local_addr()?);
                listed = Some(socket.try_clone()?);
                thread::spawn(move || read_datagrams(&intake, &stop, |buffer| socket.recv(buffer)))
            }
            Endpoint::Unix(name) => {
                let socket = UnixDatagram::bind_addr(name)?;
                socket.set_read_timeout(Some(LOOK))?;
                enlarge(&socket);
                thread::spawn(move || read_datagrams(&intake, &stop, |buffer| socket.recv(buffer)))
            }
            Endpoint::Tcp(authority) => {
                let listener = TcpListener::bind(authority)?;
                listener.set_nonblocking(true)?;
                address = format!("tcp://{}", listener.local_addr()?);
                let accept = move || {
                    let (stream, _) = listener.accept()?;
                    stream.set_nonblocking(false)?;
                    stream.set_read_timeout(Some(LOOK))?;
                    Ok(stream)
                };
                thread::spawn(move || accept_streams(&intake, &stop, Framing::Lines, accept))
            }
            Endpoint::UnixStream(name) => {
                let listener = UnixListener::bind_addr(name)?;
                listener.set_nonblocking(true)?;
                let accept = move || {
                    let (stream, _) = listener.accept()?;
                    stream.set_nonblocking(false)?;
                    stream.set_read_timeout(Some(LOOK))?;
                    Ok(stream)
                };
                thread::spawn(move || accept_streams(&intake, &stop, Framing::Lengths, accept))
            }
        };
        Ok(Self { reader, address, file, listed })
    }

    /// The address with the port that the system chose, where it was asked to.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The port of a UDP socket.
    pub(crate) fn udp_port(&self) -> Option<u16> {
        Some(self.listed.as_ref()?.local_addr().ok()?.port())
    }

    /// Waits until everything that had come is read, once the command is to end, and removes the socket's file.
    pub(crate) fn end(self) {
        let _ = self.reader.join();
        if let Some(file) = self.file {
            let _ = fs::remove_file(file);
        }
    }
}

/// Removes the file of a socket that nobody reads any more. Somebody else's socket or file stays, and binding fails.
fn remove_dead(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    let datagram = UnixDatagram::unbound()?.connect(path);
    let stream = std::os::unix::net::UnixStream::connect(path);
    let is_refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let is_dead = |result: Result<(), io::Error>| result.is_err_and(|error| is_refused(&error));
    if is_dead(datagram) || is_dead(stream.map(drop)) { fs::remove_file(path) } else { Ok(()) }
}

/// Gives bursts room. A system that allows less is no error.
fn enlarge(socket: &impl AsFd) {
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(socket, RECEIVE_BUFFER);
}

fn read_datagrams(intake: &Intake, stop: &Stop, mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>) {
    let (mut buffer, mut last_look) = (vec![0; MAX_DATAGRAM], LastLook::default());
    while !last_look.is_over(stop) {
        // Looked at first: what comes between a look and the end is read.
        let was_told = stop.is_told();
        match receive(&mut buffer) {
            Ok(len) => intake.take(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Nothing was there: what was sent before the end is read.
            Err(_) if was_told => return,
            Err(error) if is_empty(&error) => {}
            // A socket that fails is not asked a million times a second.
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// When a reader first noticed that the command is to end.
#[derive(Debug, Default)]
struct LastLook(Option<Instant>);

impl LastLook {
    fn is_over(&mut self, stop: &Stop) -> bool {
        stop.is_told() && self.0.get_or_insert_with(Instant::now).elapsed() > LAST_LOOK
    }
}

fn is_empty(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn accept_streams<S: Read + Send>(
    intake: &Intake,
    stop: &Stop,
    framing: Framing,
    mut accept: impl FnMut() -> io::Result<S>,
) {
    let open = AtomicUsize::new(0);
    let mut last_look = LastLook::default();
    thread::scope(|scope| {
        while !last_look.is_over(stop) {
            let was_told = stop.is_told();
            match accept() {
                Ok(stream) if open.load(Ordering::Relaxed) < MAX_CONNECTIONS => {
                    open.fetch_add(1, Ordering::Relaxed);
                    let open = &open;
                    let spawned = thread::Builder::new().spawn_scoped(scope, move || {
                        read_stream(intake, stop, framing, stream);
                        open.fetch_sub(1, Ordering::Relaxed);
                    });
                    if spawned.is_err() {
                        open.fetch_sub(1, Ordering::Relaxed);
                        intake.refuse(b"", "a connection for which there is no thread");
                    }
                }
                Ok(_) => intake.refuse(b"", "a connection beyond the limit of 1024"),
                Err(_) if was_told => return,
                Err(_) => thread::sleep(LOOK),
            }
        }
    });
}

fn read_stream(intake: &Intake, stop: &Stop, framing: Framing, mut stream: impl Read) {
    let (mut unframed, mut buffer) = (Unframed::new(framing), vec![0; MAX_DATAGRAM]);
    let mut last_look = LastLook::default();
    while !last_look.is_over(stop) {
        let was_told = stop.is_told();
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => unframed.push(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_empty(&error) && !was_told => {}
            Err(_) => break,
        }
        loop {
            match unframed.next() {
                Ok(Some(packet)) => intake.take(&packet),
                Ok(None) => break,
                Err(reason) => return intake.refuse(&unframed.rest(), reason),
            }
        }
    }
    match (framing, unframed.rest()) {
        (_, rest) if rest.is_empty() => {}
        // Servers differ in whether a last line needs its end.
        (Framing::Lines, rest) => intake.take(&rest),
        (Framing::Lengths, rest) => intake.refuse(&rest, "the connection ended within a packet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Traffic;
    use std::collections::VecDeque;

    const PACKET: &[u8] = b"jobs:1|c\n";

    fn intake() -> Intake {
        Intake::new(Traffic::new(10, false), None, None)
    }

    fn nothing<T>() -> io::Result<T> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// A source that is empty at the first look. Before that look is over, something comes and then the wish to end.
    struct Late<T> {
        waiting: VecDeque<T>,
        last: Option<T>,
        stop: Stop,
    }

    impl<T> Late<T> {
        fn new(stop: &Stop, last: T) -> Self {
            Self { waiting: VecDeque::new(), last: Some(last), stop: stop.clone() }
        }

        fn next(&mut self) -> io::Result<T> {
            let found = self.waiting.pop_front();
            if let Some(last) = self.last.take() {
                self.waiting.push_back(last);
                self.stop.tell();
            }
            found.map_or_else(nothing, Ok)
        }
    }

    impl Read for Late<&'static [u8]> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.next()?;
            buffer.get_mut(..bytes.len()).expect("a buffer has room for a packet").copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn what_came_before_the_end_is_read_though_the_look_before_found_nothing() {
        let (intake, stop) = (intake(), Stop::default());
        let mut late = Late::new(&stop, PACKET);
        read_datagrams(&intake, &stop, |buffer| late.read(buffer));
        assert_eq!(intake.traffic().totals().packets, 1, "a datagram");
        let stop = Stop::default();
        read_stream(&intake, &stop, Framing::Lines, Late::new(&stop, PACKET));
        assert_eq!(intake.traffic().totals().packets, 2, "bytes of a stream");
        let stop = Stop::default();
        let mut late = Late::new(&stop, PACKET);
        accept_streams(&intake, &stop, Framing::Lines, || late.next());
        assert_eq!(intake.traffic().totals().packets, 3, "a connection");
    }
}
