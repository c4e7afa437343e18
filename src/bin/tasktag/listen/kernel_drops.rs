//! Datagrams that the kernel had no room for, and so nobody saw.

use std::fs;

/// The files in which Linux lists its UDP sockets. Other systems have none, and tell of no drops.
const FILES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

/// How many datagrams to these ports of this host were dropped since their sockets were opened.
pub(super) fn dropped(ports: &[u16]) -> u64 {
    if ports.is_empty() {
        return 0;
    }
    let listed = FILES.map(|file| fs::read_to_string(file).unwrap_or_default());
    let sockets = listed.iter().flat_map(|listed| listed.lines()).filter_map(socket);
    sockets.filter(|(port, _)| ports.contains(port)).map(|(_, drops)| drops).sum()
}

/// Reads the local port of a line, in the second column, and the drops in the last one.
fn socket(line: &str) -> Option<(u16, u64)> {
    let mut words = line.split_whitespace();
    let (_, port) = words.nth(1)?.rsplit_once(':')?;
    Some((u16::from_str_radix(port, 16).ok()?, words.last()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_port_and_its_drops() {
        let line =
            " 3405: 0100007F:1FBD 00000000:0000 07 00000000:00000000 00:00000000 00000000  0  0 123 2 0 17";
        assert_eq!(socket(line), Some((8125, 17)));
        let head =
            "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  inode drops";
        assert_eq!((socket(head), socket(""), dropped(&[])), (None, None, 0));
    }
}
