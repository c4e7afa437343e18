//! Packets in sequence in one buffer.

/// Packets that are offered to a transport, first to last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packets<'a> {
    bytes: &'a [u8],
    start: usize,
    ends: &'a [usize],
}

impl<'a> Packets<'a> {
    /// The packets that end at `ends`; the first one begins at `start`.
    pub(crate) fn new(bytes: &'a [u8], start: usize, ends: &'a [usize]) -> Self {
        Self { bytes, start, ends }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn first(&self) -> &'a [u8] {
        self.iter().next().unwrap_or_default()
    }

    /// The same, limited to the first ones.
    pub(crate) fn just_first(self) -> Self {
        Self { ends: self.ends.get(..1).unwrap_or(self.ends), ..self }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Self { bytes, start, ends } = *self;
        ends.iter().scan(start, move |start, &end| {
            let packet = bytes.get(*start..end).unwrap_or_default();
            *start = end;
            Some(packet)
        })
    }

    /// The bytes of all of them.
    pub(crate) fn as_bytes(&self) -> &'a [u8] {
        self.ends.last().and_then(|end| self.bytes.get(self.start..*end)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_lie_one_behind_the_other() {
        let packets = Packets::new(b"gone a bc d", 5, &[7, 10]);
        assert_eq!(packets.iter().collect::<Vec<_>>(), [b"a ".as_slice(), b"bc "]);
        assert_eq!(
            (packets.len(), packets.first(), packets.as_bytes()),
            (2, b"a ".as_slice(), b"a bc ".as_slice())
        );
        let none = Packets::new(b"gone", 4, &[]);
        assert_eq!((none.len(), none.first(), none.as_bytes()), (0, [].as_slice(), [].as_slice()));
    }
}
