//! Where the agent is: one syntax for every transport.

use std::net::Ipv6Addr;

/// The port that agents listen on.
pub(crate) const DEFAULT_PORT: u16 = 8125;

/// A packet fits into an Ethernet frame of 1500 bytes, with room for IPv6 and tunnels.
const UDP_PACKET_SIZE: usize = 1432;
/// The Agent's own buffer; where a system sets a lower limit by default, as macOS and the BSDs do, that.
#[cfg(unix)]
const UNIX_PACKET_SIZE: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 8192 } else { 2048 };

/// Where the agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Udp {
        host: String,
        port: u16,
    },
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

impl Address {
    /// Reads `udp://host:port`, `udp://host` or `unix:///path`; else says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("udp", authority)) => Self::parse_udp(authority),
            Some(("unix" | "unixgram", path)) => Self::parse_unix(path),
            _ => Err("an address is udp://host:port or unix:///path/to/socket".to_owned()),
        }
    }

    fn parse_udp(authority: &str) -> Result<Self, String> {
        let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or("an IPv6 address ends with ]")?;
            (host, port)
        } else {
            authority.split_at(authority.find(':').unwrap_or(authority.len()))
        };
        let port = match port.strip_prefix(':') {
            Some(port) => Self::parse_port(port)?,
            None if port.is_empty() => DEFAULT_PORT,
            None => return Err("a port is written :8125".to_owned()),
        };
        Self::udp(host, port)
    }

    pub(crate) fn parse_port(text: &str) -> Result<u16, String> {
        // `u16::from_str` takes a leading `+`, which is no part of a number here.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|port| digits && *port != 0)
            .ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
    }

    pub(crate) fn udp(host: &str, port: u16) -> Result<Self, String> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let ends_name = |c: char| c.is_whitespace() || c.is_control() || "/@?#:[]".contains(c);
        let is_name = !host.is_empty() && !host.contains(ends_name);
        if !is_name && host.parse::<Ipv6Addr>().is_err() {
            return Err("a host is a name or an IP address, without a scheme, a port or a path".to_owned());
        }
        Ok(Self::Udp { host: host.to_owned(), port })
    }

    #[cfg(unix)]
    fn parse_unix(path: &str) -> Result<Self, String> {
        // Where `sun_path` ends: the shortest of the systems' limits, less the final 0.
        const MAX_PATH: usize = 103;
        if !path.starts_with('/') {
            return Err("a socket's path is absolute: unix:///path/to/socket".to_owned());
        }
        if path.len() > MAX_PATH {
            return Err(format!("a socket's path has at most {MAX_PATH} bytes"));
        }
        if path.contains('\0') {
            return Err("no path has a zero byte in it".to_owned());
        }
        Ok(Self::Unix(path.into()))
    }

    #[cfg(not(unix))]
    fn parse_unix(_: &str) -> Result<Self, String> {
        Err("Unix sockets are not supported on this system".to_owned())
    }

    /// The most bytes that one packet should have there.
    pub(crate) fn max_packet_size(&self) -> usize {
        match self {
            Self::Udp { .. } => UDP_PACKET_SIZE,
            #[cfg(unix)]
            Self::Unix(_) => UNIX_PACKET_SIZE,
        }
    }
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
        ] {
            assert_eq!(Address::parse(text), Ok(Address::Udp { host: host.to_owned(), port }));
        }
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
            "udp://a b",
            "udp://a:b:8125",
            "tcp://agent:8125",
            "unixstream:///run/dsd.socket",
            "unix://relative",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn socket_paths_are_absolute_and_short() {
        for good in ["unix:///run/dsd.socket", "unixgram:///run/dsd.socket"] {
            assert_eq!(Address::parse(good), Ok(Address::Unix("/run/dsd.socket".into())));
        }
        assert!(Address::parse(&format!("unix:///{}", "x".repeat(200))).is_err());
        assert!(Address::parse("unix:///run/dsd\0.socket").is_err());
    }
}
