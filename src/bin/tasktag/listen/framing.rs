//! Where a packet ends in a stream.

use crate::line::Reason;

/// The longest packet in a stream: the largest that any client sends in a datagram.
const MAX_PACKET: usize = 65_536;

/// What Agents read of a datagram. Lines of a stream are passed on together, and never more of them than that at a
/// time, so that each packet can leave through any transport.
const MAX_LINES: usize = 8192;

/// How a stream is divided into packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Lines one after another.
    Lines,
    /// Each packet follows its length, of four bytes, the lowest first.
    Lengths,
}

/// The bytes of a stream that make no whole packet yet.
#[derive(Debug)]
pub(super) struct Unframed {
    framing: Framing,
    bytes: Vec<u8>,
}

impl Unframed {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, bytes: Vec::new() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes out the next whole packet. `Err` if there will never be one: nothing tells where the next begins.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Reason> {
        match self.framing {
            Framing::Lines => self.next_lines(),
            Framing::Lengths => self.next_frame(),
        }
    }

    /// What is left when the stream has ended.
    pub(super) fn rest(self) -> Vec<u8> {
        self.bytes
    }

    fn next_lines(&mut self) -> Result<Option<Vec<u8>>, Reason> {
        let start = self.bytes.get(..MAX_LINES).unwrap_or(&self.bytes);
        let last = start.iter().rposition(|byte| *byte == b'\n');
        // A line that is longer goes alone.
        match last.or_else(|| self.bytes.iter().position(|byte| *byte == b'\n')) {
            Some(end) => Ok(Some(self.bytes.drain(..=end).collect())),
            None if self.bytes.len() > MAX_PACKET => Err("a line without an end"),
            None => Ok(None),
        }
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, Reason> {
        let Some((len, rest)) = self.bytes.split_first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_le_bytes(*len) as usize;
        if len > MAX_PACKET {
            return Err("a packet of more than 64 KiB: this stream has no lengths, or has lost its place");
        }
        let Some(packet) = rest.get(..len).map(<[u8]>::to_vec) else { return Ok(None) };
        self.bytes.drain(..4 + len);
        Ok(Some(packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(framing: Framing, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut unframed = Unframed::new(framing);
        let mut packets = Vec::new();
        for byte in bytes {
            unframed.push(&[*byte]);
            while let Some(packet) = unframed.next().unwrap() {
                packets.push(packet);
            }
        }
        packets
    }

    #[test]
    fn a_packet_ends_where_its_framing_says_however_it_is_cut() {
        assert_eq!(packets(Framing::Lines, b"a:1|c\nb:"), [b"a:1|c\n"]);
        let framed = packets(Framing::Lengths, b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0c\x05\0\0\0d");
        assert_eq!(framed, [b"ab".as_slice(), b"", b"c"]);
    }

    #[test]
    fn lines_of_a_stream_make_packets_that_fit_a_datagram() {
        let mut unframed = Unframed::new(Framing::Lines);
        let long = [b"jobs:1|c|#note:".as_slice(), &[b'x'; MAX_LINES], b"\n"].concat();
        let bytes = [b"jobs:1|c\n".repeat(5_000), long.clone(), b"jobs:1|c\n".to_vec()].concat();
        unframed.push(&bytes);
        let mut packets = Vec::new();
        while let Some(packet) = unframed.next().unwrap() {
            packets.push(packet);
        }
        assert_eq!(packets.concat(), bytes);
        assert!(packets.iter().all(|packet| packet.len() <= MAX_LINES || *packet == long));
    }

    #[test]
    fn a_stream_without_an_end_or_a_place_is_given_up() {
        let mut lines = Unframed::new(Framing::Lines);
        lines.push(&vec![b'x'; MAX_PACKET + 1]);
        assert!(lines.next().is_err());
        let mut frames = Unframed::new(Framing::Lengths);
        frames.push(b"jobs:1|c\n");
        assert!(frames.next().is_err());
    }
}
