//! Where packets come from or go to: one syntax for every transport.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, sockopt};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

/// The port of agents.
const DEFAULT_PORT: u16 = 8125;
const SYNTAX: &str = "an address is udp://host:port, tcp://host:port, unix:///path or unixstream:///path";

/// An address.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    /// A host and a port.
    Udp(String),
    /// A host and a port, for lines one after another.
    Tcp(String),
    /// Unix datagrams.
    Unix(SocketAddr),
    /// A Unix stream, in which each packet follows its length.
    UnixStream(SocketAddr),
}

impl Endpoint {
    /// Reads an address. `Err` says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = match text.split_once(":@") {
            Some((scheme, _)) if scheme.starts_with("unix") => (scheme, text.get(scheme.len() + 1..)),
            _ => text.split_once("://").map_or(("", None), |(scheme, rest)| (scheme, Some(rest))),
        };
        match (scheme, rest) {
            ("udp", Some(authority)) => Ok(Self::Udp(with_port(authority)?)),
            ("tcp", Some(authority)) => Ok(Self::Tcp(with_port(authority)?)),
            ("unix" | "unixgram", Some(path)) => Ok(Self::Unix(socket_name(path)?)),
            ("unixstream", Some(path)) => Ok(Self::UnixStream(socket_name(path)?)),
            _ => Err(format!("{text:?} is no address: {SYNTAX}")),
        }
    }

    /// The path of a Unix socket that has a file.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Unix(name) | Self::UnixStream(name) => name.as_pathname(),
            Self::Udp(_) | Self::Tcp(_) => None,
        }
    }
}

fn with_port(authority: &str) -> Result<String, String> {
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    match after_host.rsplit_once(':') {
        _ if authority.is_empty() || authority.starts_with(':') => Err(format!("there is no host: {SYNTAX}")),
        None => Ok(format!("{authority}:{DEFAULT_PORT}")),
        Some((_, port)) if port.parse::<u16>().is_ok() => Ok(authority.to_owned()),
        Some((_, port)) => Err(format!("{port:?} is no port from 0 to 65535")),
    }
}

/// The name of a Unix socket: a path, or what follows `@`, which has no file.
fn socket_name(text: &str) -> Result<SocketAddr, String> {
    let made = match text.strip_prefix('@') {
        Some(name) => abstract_name(name),
        None if text.is_empty() => return Err(format!("there is no path: {SYNTAX}")),
        None => SocketAddr::from_pathname(text),
    };
    made.map_err(|error| format!("{text:?} is no name of a socket: {error}"))
}

#[cfg(target_os = "linux")]
fn abstract_name(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unix = |name: &SocketAddr| match name.as_pathname() {
            Some(path) => path.display().to_string(),
            None => format!("@{}", OsStr::from_bytes(abstract_bytes(name)).display()),
        };
        match self {
            Self::Udp(authority) => write!(f, "udp://{authority}"),
            Self::Tcp(authority) => write!(f, "tcp://{authority}"),
            Self::Unix(name) => write!(f, "unix://{}", unix(name)),
            Self::UnixStream(name) => write!(f, "unixstream://{}", unix(name)),
        }
    }
}

#[cfg(target_os = "linux")]
fn abstract_bytes(name: &SocketAddr) -> &[u8] {
    use std::os::linux::net::SocketAddrExt;
    name.as_abstract_name().unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn abstract_bytes(_: &SocketAddr) -> &[u8] {
    &[]
}

/// Connects to a listener that may accept nobody, and whose queue may be full. The standard library would wait for
/// ever.
pub(crate) fn connect_stream(name: &SocketAddr, patience: Duration) -> io::Result<UnixStream> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(patience))?;
    let address = match name.as_pathname() {
        Some(path) => SocketAddrUnix::new(path)?,
        None => abstract_address(name)?,
    };
    rustix::net::connect(&socket, &address).map_err(|error| match error {
        Errno::AGAIN => io::Error::new(io::ErrorKind::TimedOut, "it accepts no connection"),
        error => error.into(),
    })?;
    Ok(UnixStream::from(socket))
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &SocketAddr) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new_abstract_name(abstract_bytes(name))?)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &SocketAddr) -> io::Result<SocketAddrUnix> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A connected socket through which whole packets leave.
#[derive(Debug)]
pub(crate) enum Outlet {
    Udp(UdpSocket),
    Unix(UnixDatagram),
    Tcp(TcpStream),
    UnixStream(UnixStream),
}

impl Outlet {
    /// Connects, and waits for no longer than `patience` after a name was looked up.
    pub(crate) fn connect(endpoint: &Endpoint, patience: Duration) -> io::Result<Self> {
        match endpoint {
            Endpoint::Udp(authority) => {
                let to = authority.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
                let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.connect(to)?;
                Ok(Self::Udp(socket))
            }
            Endpoint::Tcp(authority) => {
                let to = authority.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
                Ok(Self::Tcp(TcpStream::connect_timeout(&to, patience)?))
            }
            Endpoint::Unix(name) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect_addr(name)?;
                Ok(Self::Unix(socket))
            }
            Endpoint::UnixStream(name) => Ok(Self::UnixStream(connect_stream(name, patience)?)),
        }
    }

    /// The longest that sending a packet waits for its reader.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.set_write_timeout(Some(timeout)),
            Self::Unix(socket) => socket.set_write_timeout(Some(timeout)),
            Self::Tcp(socket) => socket.set_write_timeout(Some(timeout)),
            Self::UnixStream(socket) => socket.set_write_timeout(Some(timeout)),
        }
    }

    /// Sends a packet as it is. On a stream it is framed as the stream's readers expect.
    pub(crate) fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        use std::io::Write;
        match self {
            Self::Udp(socket) => socket.send(packet).map(drop),
            Self::Unix(socket) => socket.send(packet).map(drop),
            Self::Tcp(socket) => {
                socket.write_all(packet)?;
                if packet.ends_with(b"\n") { Ok(()) } else { socket.write_all(b"\n") }
            }
            Self::UnixStream(socket) => {
                let len = u32::try_from(packet.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
                socket.write_all(&len.to_le_bytes())?;
                socket.write_all(packet)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for (text, shown) in [
            ("udp://127.0.0.1:9125", "udp://127.0.0.1:9125"),
            ("udp://agent", "udp://agent:8125"),
            ("udp://[::1]", "udp://[::1]:8125"),
            ("tcp://[::1]:1", "tcp://[::1]:1"),
            ("unix:///run/a", "unix:///run/a"),
            ("unixgram:///run/a", "unix:///run/a"),
            ("unixstream:///run/a", "unixstream:///run/a"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
        for bad in ["", "8125", "agent:8125", "udp://", "udp://:1", "udp://a:b", "unix://", "http://a"] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_without_a_file_begins_with_an_at() {
        assert_eq!(Endpoint::parse("unix:@agent").unwrap().to_string(), "unix://@agent");
    }
}
