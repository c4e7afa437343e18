//! The state of a Redis in which task ids are leased, asked in its own words and without a lease.

use super::finding::Finding;
use crate::endpoint::connect_stream;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest that anything is waited for, as by the library.
const PATIENCE: Duration = Duration::from_secs(3);
const DEFAULT_PORT: u16 = 6379;
/// Clocks that differ by more make the expiry of leases hard to follow.
const MAX_SKEW: f64 = 2.0;

/// `url` is `redis://[user:password@]host[:port]` or `unix:///path`.
pub(super) fn examine(url: &str, key: &str) -> Vec<Finding> {
    let place = without_password(url);
    match Connection::open(url) {
        Ok(mut connection) => ask(&mut connection, key).unwrap_or_else(|error| vec![away(&place, &error)]),
        Err(error) => vec![away(&place, &error)],
    }
}

fn away(place: &str, error: &io::Error) -> Finding {
    let text = format!("{place} does not answer: {error}");
    Finding::fault("redis", text).advise("start it, or check its address; until then tasks share buckets")
}

fn ask(connection: &mut Connection, key: &str) -> io::Result<Vec<Finding>> {
    let answer = connection.ask(&["PING"])?;
    if let Some(refusal) = answer.strip_prefix('-') {
        let text = format!("it refuses: {refusal}");
        return Ok(vec![Finding::fault("redis", text).advise("give a user and a password in the URL")]);
    }
    let mut findings = vec![Finding::ok("redis", "it answers")];
    findings.extend(connection.skew()?.map(|skew| {
        let text = format!("its clock is {skew:+.1} s from this host's");
        if skew.abs() > MAX_SKEW {
            Finding::warning("redis", text).advise("set the clocks by NTP")
        } else {
            Finding::ok("redis", text)
        }
    }));
    if !key.is_empty() {
        let answer = connection.ask(&["ZCARD", key])?;
        findings.push(match (answer.strip_prefix(':'), answer.strip_prefix('-')) {
            (Some(count), _) => {
                Finding::ok("redis", format!("{count} ids are leased under {key}, expired ones included"))
            }
            (_, refusal) => {
                let text = format!("{key} is no key of leases: {}", refusal.unwrap_or(&answer));
                Finding::fault("redis", text).advise("choose a key that nothing else uses")
            }
        });
    }
    Ok(findings)
}

/// The URL as it may be shown.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
        _ => url.to_owned(),
    }
}

/// What is read and written at once.
trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

struct Connection(BufReader<Box<dyn Stream>>);

impl Connection {
    fn open(url: &str) -> io::Result<Self> {
        if let Some(path) = url.strip_prefix("unix://") {
            let stream = connect_stream(&SocketAddr::from_pathname(path)?, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            return Ok(Self(BufReader::new(Box::new(stream))));
        }
        let unusable =
            || io::Error::new(io::ErrorKind::InvalidInput, "it is no redis://host:port or unix:///path");
        let rest = url.strip_prefix("redis://").ok_or_else(unusable)?;
        let (login, place) =
            rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        let authority = place.split('/').next().unwrap_or_default();
        let has_port = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest).contains(':');
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:{DEFAULT_PORT}") };
        let address = authority.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = Self(BufReader::new(Box::new(stream)));
        if let Some((user, password)) = login.and_then(|login| login.split_once(':')) {
            let words: &[&str] =
                if user.is_empty() { &["AUTH", password] } else { &["AUTH", user, password] };
            connection.ask(words)?;
        }
        Ok(connection)
    }

    /// Sends a command, and returns the first line of the answer with its mark.
    fn ask(&mut self, words: &[&str]) -> io::Result<String> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            // Writing to a `String` can't fail.
            let _ = write!(command, "${}\r\n{word}\r\n", word.len());
        }
        self.0.get_mut().write_all(command.as_bytes())?;
        self.line()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        // Whoever is no Redis may send anything.
        (&mut self.0).take(1024).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// How many seconds the server's clock is ahead. `None` if it does not say.
    fn skew(&mut self) -> io::Result<Option<f64>> {
        if self.ask(&["TIME"])? != "*2" {
            return Ok(None);
        }
        // Each part follows its length.
        let lines = [self.line()?, self.line()?, self.line()?, self.line()?];
        let [_, seconds, _, micros] = &lines;
        let (Ok(seconds), Ok(micros)) = (seconds.parse::<f64>(), micros.parse::<f64>()) else {
            return Ok(None);
        };
        let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Some(seconds + micros / 1e6 - here.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("redis://user:pass@word@host:1/0", "redis://host:1/0"),
            ("redis://host", "redis://host"),
            ("unix:///run/redis", "unix:///run/redis"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
