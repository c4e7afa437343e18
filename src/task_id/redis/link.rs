//! A connection to a Redis server whose answers have an end: in bytes, and in time, whatever the server sends.

use redis::{Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue, Parser, Value};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The longest answer that is read. Those to what is asked here have some tens of bytes, an error's text a few hundred.
const MAX_ANSWER: usize = 16 * 1024;

/// A connection that was greeted: it is authenticated, and at the database that the URL names.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    timeout: Duration,
}

trait Stream: Read + Write + Send {
    /// How long one read or write may wait from now on.
    fn set_timeout(&self, timeout: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout)).and_then(|()| self.set_write_timeout(Some(timeout)))
    }
}

#[cfg(unix)]
impl Stream for UnixStream {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout)).and_then(|()| self.set_write_timeout(Some(timeout)))
    }
}

#[cfg(feature = "redis-tls")]
impl Stream for super::tls::TlsStream {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.sock.set_timeout(timeout)
    }
}

impl Link {
    /// Connects and greets, each within `timeout`.
    pub(super) fn open(server: &ConnectionInfo, timeout: Duration) -> Result<Self, String> {
        let stream = connect(server.addr(), timeout).map_err(|error| told(&error))?;
        let mut link = Self { stream, timeout };
        let settings = server.redis_settings();
        if let Some(password) = settings.password() {
            let mut greeting = redis::cmd("AUTH");
            if let Some(user) = settings.username() {
                greeting.arg(user);
            }
            link.query::<Value>(greeting.arg(password))?;
        }
        if settings.db() != 0 {
            link.query::<Value>(redis::cmd("SELECT").arg(settings.db()))?;
        }
        Ok(link)
    }

    /// Sends a command and reads its answer. After an error the link is of no use: an answer that comes late would be taken
    /// for the next one's.
    pub(super) fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, String> {
        let deadline = Instant::now() + self.timeout;
        self.stream.set_timeout(self.timeout).map_err(|error| told(&error))?;
        self.stream.write_all(&command.get_packed_command()).map_err(|error| told(&error))?;
        let answer = Answer { stream: &mut *self.stream, left: MAX_ANSWER, deadline };
        match Parser::new().parse_value(answer).map_err(|error| told(&error))? {
            Value::ServerError(error) => Err(told(&error)),
            value => redis::from_redis_value(value).map_err(|error| told(&error)),
        }
    }
}

fn told(error: &dyn fmt::Display) -> String {
    error.to_string()
}

fn connect(address: &ConnectionAddr, timeout: Duration) -> io::Result<Box<dyn Stream>> {
    match address {
        ConnectionAddr::Tcp(host, port) => Ok(Box::new(dial(host, *port, timeout)?)),
        #[cfg(feature = "redis-tls")]
        ConnectionAddr::TcpTls { host, port, insecure: false, .. } => {
            Ok(Box::new(super::tls::wrap(host, dial(host, *port, timeout)?)?))
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => Ok(Box::new(UnixStream::connect(path)?)),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "this kind of address is not supported")),
    }
}

fn dial(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                // A lease waits for each answer.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// What is read of one answer.
struct Answer<'a> {
    stream: &'a mut dyn Stream,
    left: usize,
    deadline: Instant,
}

impl Read for Answer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the answer took too long");
        let time = self.deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        self.stream.set_timeout(time.ok_or_else(late)?)?;
        let most = self.left.min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            let reason = format!("the answer has more than {MAX_ANSWER} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let read = self.stream.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left -= read;
        Ok(read)
    }
}
