//! What the way to the agent says before anything is sent.

use super::finding::Finding;
use super::root::Root;
use super::socket_file;
use super::way::Way;
use crate::endpoint::{Endpoint, connect_stream};
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The longest that a look-up of a name or a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// A look-up that takes longer is worth a warning.
const SLOW: Duration = Duration::from_millis(500);
/// How long a refusal of this host takes at most.
const REFUSAL: Duration = Duration::from_millis(100);
/// The packets of a client over UDP, with the headers of IPv6 and UDP.
const UDP_PACKET: u32 = 1432 + 48;

/// `root` is that under which the socket's file was found.
pub(super) fn examine(way: &Way, root: &Root) -> Vec<Finding> {
    // It needs nobody.
    if way.reached == "stdout:" {
        return Vec::new();
    }
    match Endpoint::parse(&way.reached) {
        Ok(Endpoint::Udp(authority)) => examine_host(&authority, examine_udp),
        Ok(Endpoint::Tcp(authority)) => examine_host(&authority, examine_tcp),
        Ok(Endpoint::Unix(name)) => {
            let connected =
                UnixDatagram::unbound().and_then(|socket| socket.connect_addr(&name).map(|()| socket));
            examine_unix(way, connected, "unix", root)
        }
        Ok(Endpoint::UnixStream(name)) => {
            examine_unix(way, connect_stream(&name, PATIENCE), "unixstream", root)
        }
        Err(error) => vec![Finding::fault("connection", error)],
    }
}

/// Looks up a name, and then asks its first address.
fn examine_host(authority: &str, ask: fn(SocketAddr) -> Vec<Finding>) -> Vec<Finding> {
    let start = Instant::now();
    let found = resolve(authority);
    let took = start.elapsed();
    match found {
        Err(error) => {
            let text = format!("{authority} has no address: {error} (after {} ms)", took.as_millis());
            let advice = "check the name, and the name servers of this host or pod in /etc/resolv.conf";
            vec![Finding::fault("name", text).advise(advice)]
        }
        // An address needs no look-up.
        Ok(addresses) if authority.parse::<SocketAddr>().is_ok() => {
            addresses.first().map(|first| ask(*first)).unwrap_or_default()
        }
        Ok(addresses) => {
            let listed: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let text = format!("{authority} is {} (found in {} ms)", listed.join(", "), took.as_millis());
            let finding = if took > SLOW {
                Finding::warning("name", text)
                    .advise("a slow name server delays the first metrics, and a new address")
            } else {
                Finding::ok("name", text)
            };
            let asked = addresses.first().map(|first| ask(*first)).unwrap_or_default();
            [finding].into_iter().chain(asked).collect()
        }
    }
}

/// Resolves a name on a thread of its own, which a name server may hold up for long.
fn resolve(authority: &str) -> io::Result<Vec<SocketAddr>> {
    let (sender, resolved) = mpsc::channel();
    let authority = authority.to_owned();
    thread::spawn(move || sender.send(authority.to_socket_addrs().map(Iterator::collect)));
    let addresses: Vec<SocketAddr> =
        resolved.recv_timeout(PATIENCE).map_err(|_| io::ErrorKind::TimedOut)??;
    if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
}

/// Sends an empty datagram, which agents skip: where nobody listens on this host, the next call is refused.
fn examine_udp(to: SocketAddr) -> Vec<Finding> {
    let local = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let sent = UdpSocket::bind(local).and_then(|socket| {
        socket.connect(to)?;
        socket.send(&[])?;
        socket.set_read_timeout(Some(REFUSAL))?;
        match socket.recv(&mut [0; 1]) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(error)
            }
            _ => Ok(socket),
        }
    });
    match sent {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let text = format!("nobody listens at {to}: the datagram was refused");
            let advice = "start the agent, or check its port; in a container, 127.0.0.1 is the container itself and \
                          the agent must accept other hosts (dogstatsd_non_local_traffic)";
            vec![Finding::fault("connection", text).advise(advice)]
        }
        Err(error) => {
            let text = format!("a datagram to {to} can't be sent: {error}");
            vec![Finding::fault("connection", text).advise("check the routes and the firewall of this host")]
        }
        Ok(socket) => {
            let text = format!("a datagram to {to} left, and was not refused; UDP says no more");
            let mut findings = vec![Finding::ok("connection", text)];
            findings.extend(examine_mtu(to, &socket));
            findings.push(buffer(&socket));
            findings
        }
    }
}

#[cfg(target_os = "linux")]
fn examine_mtu(to: SocketAddr, socket: &UdpSocket) -> Option<Finding> {
    let mtu = if to.is_ipv4() {
        rustix::net::sockopt::ip_mtu(socket)
    } else {
        rustix::net::sockopt::ipv6_mtu(socket)
    };
    let mtu = mtu.ok()?;
    Some(if mtu < UDP_PACKET {
        let text = format!("the way to {to} takes {mtu} bytes at a time, less than a client's packets have");
        Finding::warning("mtu", text)
            .advise(format!("set max_packet_size to {} or less", mtu.saturating_sub(48)))
    } else {
        Finding::ok(
            "mtu",
            format!("{mtu} bytes, and a client's packets have up to {UDP_PACKET} with their headers"),
        )
    })
}

#[cfg(not(target_os = "linux"))]
fn examine_mtu(_: SocketAddr, _: &UdpSocket) -> Option<Finding> {
    None
}

fn examine_tcp(to: SocketAddr) -> Vec<Finding> {
    match TcpStream::connect_timeout(&to, PATIENCE) {
        Ok(stream) => vec![Finding::ok("connection", format!("{to} accepts connections")), buffer(&stream)],
        Err(error) => {
            let text = format!("{to} accepts no connection: {error}");
            vec![
                Finding::fault("connection", text)
                    .advise("start the agent, and check that it listens on TCP"),
            ]
        }
    }
}

fn examine_unix<S: AsFd>(way: &Way, connected: io::Result<S>, scheme: &str, root: &Root) -> Vec<Finding> {
    match connected {
        Ok(socket) => {
            vec![Finding::ok("connection", "the agent's socket takes connections"), buffer(&socket)]
        }
        Err(error) => vec![socket_file::blame(way, &error, scheme, root)],
    }
}

/// The room for what the agent has not read.
fn buffer(socket: &impl AsFd) -> Finding {
    let size = rustix::net::sockopt::socket_send_buffer_size(socket).unwrap_or(0);
    let queue = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap_or_default();
    let queue = queue.trim();
    let text = format!("{} KiB wait in the kernel at most", size / 1024);
    if queue.is_empty() {
        Finding::ok("buffer", text)
    } else {
        Finding::ok("buffer", format!("{text}; of Unix datagrams, {queue} (net.unix.max_dgram_qlen)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_t_be_examined_is_a_fault_and_standard_output_needs_nobody() {
        for (address, count) in [("stdout:", 0), ("stdout", 1), ("unixpacket:///run/agent", 1)] {
            let findings = examine(&Way::direct(address), &Root::own());
            assert_eq!(findings.len(), count, "{address}");
            assert!(findings.iter().all(|finding| finding.to_string().starts_with("FAULT   connection: ")));
        }
    }
}
