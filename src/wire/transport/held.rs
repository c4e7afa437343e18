//! Packets that a connection accepted and that may not have left this host.

use std::collections::VecDeque;

/// The most packets remembered: more than a socket's buffer holds, unless packets are tiny.
pub(super) const MOST_HELD: usize = 1024;

/// The sizes of the last packets, as written.
#[derive(Debug, Default)]
pub(super) struct Held {
    sizes: VecDeque<usize>,
}

impl Held {
    pub(super) fn push(&mut self, bytes: usize) {
        self.sizes.push_back(bytes);
        if self.sizes.len() > MOST_HELD {
            self.sizes.pop_front();
        }
    }

    /// Forgets the packets that the kernel can't have any more, given the most bytes that it has.
    pub(super) fn keep(&mut self, queued: usize) {
        let gone = self.sizes.len() - self.count(queued);
        self.sizes.drain(..gone);
    }

    /// How many packets overlap with the last bytes, given their number.
    pub(super) fn count(&self, queued: usize) -> usize {
        let mut left = queued;
        let mut has_part = |size: &&usize| {
            let before = left;
            left = left.saturating_sub(**size);
            before > 0
        };
        self.sizes.iter().rev().take_while(&mut has_part).count()
    }

    pub(super) fn clear(&mut self) {
        self.sizes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_held_until_its_last_byte_has_left() {
        let mut held = Held::default();
        for bytes in [10, 20, 30] {
            held.push(bytes);
        }
        let counts = [0, 1, 30, 31, 50, 51, 60, 1000].map(|queued| held.count(queued));
        assert_eq!(counts, [0, 1, 1, 2, 2, 3, 3, 3]);
        held.keep(31);
        assert_eq!((held.count(usize::MAX), held.count(30)), (2, 1));
        held.keep(0);
        assert_eq!(held.count(usize::MAX), 0);
    }

    #[test]
    fn only_so_many_packets_are_remembered() {
        let mut held = Held::default();
        for _ in 0..2 * MOST_HELD {
            held.push(1);
        }
        assert_eq!(held.count(usize::MAX), MOST_HELD);
    }
}
