//! A connection to a Redis server whose answers are limited in bytes and in time, whatever the server sends.

use super::timed::{Socket, Timed};
use redis::{Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue, Parser, Value};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The longest answer that is read. Expected answers have some tens of bytes for a lease and some KiB for a queue, and
/// an error's text has a few hundred.
const MAX_ANSWER: usize = 16 * 1024;

/// An established connection: authenticated, with the URL's database selected.
pub(crate) struct Link {
    stream: Box<dyn Stream>,
    timeout: Duration,
}

trait Stream: Read + Write + Send {
    /// The deadline of everything that is read and written from now on.
    fn set_deadline(&mut self, deadline: Instant);
}

impl<S: Socket> Stream for Timed<S> {
    fn set_deadline(&mut self, deadline: Instant) {
        Self::set_deadline(self, deadline);
    }
}

#[cfg(feature = "redis-tls")]
impl Stream for super::tls::TlsStream {
    fn set_deadline(&mut self, deadline: Instant) {
        self.sock.set_deadline(deadline);
    }
}

impl Link {
    /// Connects and authenticates, each within `timeout`.
    pub(crate) fn open(server: &ConnectionInfo, timeout: Duration) -> Result<Self, String> {
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

    /// Sends a command and reads its answer. The link can't be used after an error: a late answer would be taken for
    /// the next one's.
    pub(crate) fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, String> {
        self.stream.set_deadline(Instant::now() + self.timeout);
        self.stream.write_all(&command.get_packed_command()).map_err(|error| told(&error))?;
        let answer = Answer { stream: &mut *self.stream, left: MAX_ANSWER };
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
        ConnectionAddr::Tcp(host, port) => Ok(Box::new(Timed::new(dial(host, *port, timeout)?))),
        #[cfg(feature = "redis-tls")]
        ConnectionAddr::TcpTls { host, port, insecure: false, .. } => {
            Ok(Box::new(super::tls::wrap(host, dial(host, *port, timeout)?)?))
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => Ok(Box::new(Timed::new(UnixStream::connect(path)?))),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "this kind of address is not supported")),
    }
}

fn dial(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                // The next question waits for each answer.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Reads a limited number of bytes of one answer.
struct Answer<'a> {
    stream: &'a mut dyn Stream,
    left: usize,
}

impl Read for Answer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
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

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// The error from a server that sends `answer` piece by piece, each piece well within the timeout.
    fn refusal(scheme: &str, answer: &'static [u8]) -> String {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://127.0.0.1:{}/1", server.local_addr().unwrap().port());
        let dripping = thread::spawn(move || {
            let mut client = server.accept().unwrap().0;
            // Until the client is gone.
            for byte in answer.iter().cycle() {
                if client.write_all(&[*byte]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        let client = redis::Client::open(url).unwrap();
        let opened = Link::open(client.get_connection_info(), Duration::from_millis(200));
        let refusal = opened.map(|_| ()).unwrap_err();
        dripping.join().unwrap();
        refusal
    }

    #[test]
    fn an_answer_that_comes_byte_by_byte_has_no_more_time_than_another() {
        let refused = refusal("redis", b"+");
        assert!(refused.contains("the answer took too long"), "{refused}");
    }

    #[test]
    #[cfg(feature = "redis-tls")]
    fn a_handshake_that_comes_byte_by_byte_has_no_more_time_than_an_answer() {
        // A record of a handshake, which is longer than what arrives in time.
        let refused = refusal("rediss", &[22, 3, 3, 3, 3]);
        assert!(refused.contains("the answer took too long"), "{refused}");
    }
}
