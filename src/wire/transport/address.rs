//! The agent's address: one syntax for every transport.

#[cfg(unix)]
use super::socket_name::SocketName;
use crate::vocabulary::event::MAX_BYTES;
use std::fmt;
use std::net::Ipv6Addr;

/// The default port of agents.
pub(crate) const DEFAULT_PORT: u16 = 8125;

/// A packet of this size fits into an Ethernet frame of 1500 bytes, with room for IPv6 and tunnels.
const UDP_PACKET_SIZE: usize = 1432;
/// The Agent's buffer size, or the default limit of systems that have a lower one, as macOS and the BSDs do.
#[cfg(unix)]
const UNIX_PACKET_SIZE: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 8192 } else { 2048 };
/// The Agent closes a connection that announces more.
#[cfg(unix)]
const MAX_FRAME_SIZE: usize = 8192;
/// On a stream of lines, a packet is only a unit of accounting.
const STREAM_PACKET_SIZE: usize = 8192;
/// A pipe accepts this much in one piece, however many processes write to it.
const PIPE_PACKET_SIZE: usize = 4096;

/// The syntax of an address.
const SYNTAX: &str = "it must be udp://host:port, unix:///path/to/socket, unixstream:///path/to/socket, unix:@name, \
                      tcp://host:port, stdout: or null:";

/// The agent's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Udp {
        host: String,
        port: u16,
    },
    Tcp {
        host: String,
        port: u16,
    },
    #[cfg(unix)]
    Unix(SocketName),
    #[cfg(unix)]
    UnixStream(SocketName),
    Stdout,
    /// Nowhere.
    Null,
}

impl Address {
    /// Reads an address in the [`SYNTAX`]. `Err` holds what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "stdout:" => return Ok(Self::Stdout),
            "null:" => return Ok(Self::Null),
            _ => {}
        }
        // `unix:@name` has no authority, so it needs no slashes; with slashes it means the same.
        let (scheme, rest) = match text.split_once(":@") {
            Some((scheme @ ("unix" | "unixgram" | "unixstream"), _)) => {
                (scheme, text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(':')))
            }
            _ => text.split_once("://").map_or(("", None), |(scheme, rest)| (scheme, Some(rest))),
        };
        match rest.map(|rest| (scheme, rest)) {
            Some(("udp", authority)) => {
                Self::parse_authority(authority).map(|(host, port)| Self::Udp { host, port })
            }
            Some(("tcp", authority)) => {
                Self::parse_authority(authority).map(|(host, port)| Self::Tcp { host, port })
            }
            #[cfg(unix)]
            Some(("unix" | "unixgram", path)) => SocketName::parse(path).map(Self::Unix),
            #[cfg(unix)]
            Some(("unixstream", path)) => SocketName::parse(path).map(Self::UnixStream),
            #[cfg(not(unix))]
            Some((scheme @ ("unix" | "unixgram" | "unixstream"), _)) => {
                Err(format!("{scheme}:// sockets are not supported on this system"))
            }
            Some((scheme, _)) => Err(format!("{scheme:?} is not a transport; {SYNTAX}")),
            None => Err(format!("{text:?} is not an address; {SYNTAX}")),
        }
    }

    /// Reads a host with or without a port.
    pub(crate) fn parse_authority(authority: &str) -> Result<(String, u16), String> {
        let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or("an IPv6 address must end with ]")?;
            (host, port)
        } else {
            authority.split_at(authority.find(':').unwrap_or(authority.len()))
        };
        let port = match port.strip_prefix(':') {
            Some(port) => Self::parse_port(port)?,
            None if port.is_empty() => DEFAULT_PORT,
            None => return Err("a port must follow a colon, as in :8125".to_owned()),
        };
        Ok((usable_host(host)?, port))
    }

    pub(crate) fn parse_port(text: &str) -> Result<u16, String> {
        // `u16::from_str` accepts a leading `+`, which a port can't have.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|port| digits && *port != 0)
            .ok_or_else(|| "a port must be a number from 1 to 65535".to_owned())
    }

    pub(crate) fn udp(host: &str, port: u16) -> Result<Self, String> {
        Ok(Self::Udp { host: usable_host(host)?, port })
    }

    /// The default size of a packet.
    pub(crate) fn default_packet_size(&self) -> usize {
        match self {
            Self::Udp { .. } => UDP_PACKET_SIZE,
            Self::Tcp { .. } => STREAM_PACKET_SIZE,
            #[cfg(unix)]
            Self::Unix(_) => UNIX_PACKET_SIZE,
            #[cfg(unix)]
            Self::UnixStream(_) => MAX_FRAME_SIZE,
            Self::Stdout | Self::Null => PIPE_PACKET_SIZE,
        }
    }

    /// The default size of a packet for one event or service check, if packets of metrics are smaller.
    pub(crate) fn text_packet_size(&self) -> usize {
        match self {
            // The Agent's buffer, whatever the transport.
            Self::Udp { .. } | Self::Tcp { .. } => MAX_BYTES,
            #[cfg(unix)]
            Self::UnixStream(_) => MAX_BYTES,
            #[cfg(unix)]
            Self::Unix(_) => UNIX_PACKET_SIZE,
            Self::Stdout | Self::Null => PIPE_PACKET_SIZE,
        }
    }

    /// The maximum size of a packet.
    pub(crate) fn max_packet_size(&self) -> usize {
        match self {
            #[cfg(unix)]
            Self::UnixStream(_) => MAX_FRAME_SIZE,
            // The most that an IPv4 datagram can carry.
            _ => 65_507,
        }
    }
}

/// Writes the address as in settings.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut authority = |scheme, host: &str, port| {
            let (start, end) = if host.contains(':') { ("[", "]") } else { ("", "") };
            write!(f, "{scheme}://{start}{host}{end}:{port}")
        };
        match self {
            Self::Udp { host, port } => authority("udp", host, port),
            Self::Tcp { host, port } => authority("tcp", host, port),
            #[cfg(unix)]
            Self::Unix(name) => write!(f, "unix://{name}"),
            #[cfg(unix)]
            Self::UnixStream(name) => write!(f, "unixstream://{name}"),
            Self::Stdout => f.write_str("stdout:"),
            Self::Null => f.write_str("null:"),
        }
    }
}

fn usable_host(host: &str) -> Result<String, String> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let ends_name = |c: char| c.is_whitespace() || c.is_control() || "/@?#:[]%".contains(c);
    let is_name = !host.is_empty() && !host.contains(ends_name);
    if !is_name && !is_ipv6(host) {
        return Err("a host must be a name or an IP address, without a scheme, a port or a path".to_owned());
    }
    Ok(host.to_owned())
}

/// Whether it is an IPv6 address, perhaps with its interface: `fe80::1%eth0`.
fn is_ipv6(host: &str) -> bool {
    let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
    let is_zone = !zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    is_zone && address.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_syntax() {
        for (text, host, port) in [
            ("udp://127.0.0.1:9125", "127.0.0.1", 9125),
            ("udp://agent", "agent", 8125),
            ("udp://[::1]:8126", "::1", 8126),
            ("udp://[::1]", "::1", 8125),
            ("udp://[fe80::1%eth0]:9125", "fe80::1%eth0", 9125),
        ] {
            let host = host.to_owned();
            assert_eq!(Address::parse(text), Ok(Address::Udp { host: host.clone(), port }));
            assert_eq!(Address::parse(&text.replace("udp", "tcp")), Ok(Address::Tcp { host, port }));
        }
        assert_eq!(Address::parse("stdout:"), Ok(Address::Stdout));
        assert_eq!(Address::parse("null:"), Ok(Address::Null));
        assert_eq!(Address::udp("[::1]", 8125), Address::udp("::1", 8125));
        for bad in [
            "",
            "agent:8125",
            "udp://",
            "udp://:8125",
            "udp://agent:",
            "udp://agent:0",
            "udp://agent:65536",
            "udp://agent:8125/",
            "udp://agent:+1x",
            "udp://agent:+1",
            "udp://agent\0",
            "udp://age\u{7f}nt:8125",
            "udp://[::1",
            "udp://[::1]8125",
            "udp://[fe80::1%]:8125",
            "udp://[fe80::1%a b]:8125",
            "udp://[agent%eth0]:8125",
            "udp://a b",
            "udp://a:b:8125",
            "http://agent:8125",
            "TCP://agent:8125",
            "tcp:agent:8125",
            "unixpacket:///run/dsd.socket",
            "unix://relative",
            "unixstream://relative",
            "unixstream://",
            "unix:@",
            "unix:/run/dsd.socket",
            "unix:dsd.socket:@x",
            "stdout",
            "stdout:/",
            "stdout://",
            "stderr:",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
            assert!(Address::parse(&bad.replace("udp", "tcp")).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        let mut shown = vec!["udp://agent:8125", "udp://[::1]:1", "tcp://127.0.0.1:8125", "stdout:"];
        if cfg!(unix) {
            shown.extend(["unix:///run/dsd.socket", "unixstream:///run/dsd.socket"]);
        }
        for text in shown {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_named_beside_what_would_be_one() {
        for (bad, named) in [("http://agent:80", "\"http\""), ("agent:8125", "\"agent:8125\""), ("", "\"\"")]
        {
            let error = Address::parse(bad).unwrap_err();
            assert!(error.starts_with(named) && error.ends_with(SYNTAX), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_without_a_file_is_written_with_or_without_slashes() {
        let name = SocketName::parse("@dsd").unwrap();
        for text in ["unix:@dsd", "unix://@dsd", "unixgram:@dsd", "unixgram://@dsd"] {
            assert_eq!(Address::parse(text), Ok(Address::Unix(name.clone())));
        }
        for text in ["unixstream:@dsd", "unixstream://@dsd"] {
            assert_eq!(Address::parse(text), Ok(Address::UnixStream(name.clone())));
        }
    }

    #[cfg(not(unix))]
    #[test]
    fn a_system_without_unix_sockets_says_so() {
        for scheme in ["unix", "unixgram", "unixstream"] {
            let error = Address::parse(&format!("{scheme}:///run/dsd.socket")).unwrap_err();
            assert!(error.contains(scheme) && error.contains("on this system"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn socket_paths_are_absolute_and_short() {
        for good in ["unix:///run/dsd.socket", "unixgram:///run/dsd.socket"] {
            let name = SocketName::parse("/run/dsd.socket").unwrap();
            assert_eq!(Address::parse(good), Ok(Address::Unix(name)));
        }
        let stream = Address::parse("unixstream:///run/dsd.socket");
        assert_eq!(stream, Ok(Address::UnixStream(SocketName::parse("/run/dsd.socket").unwrap())));
        for scheme in ["unix", "unixgram", "unixstream"] {
            assert!(Address::parse(&format!("{scheme}:///{}", "x".repeat(200))).is_err());
        }
        assert!(Address::parse("unix:///run/dsd\0.socket").is_err());
    }
}
