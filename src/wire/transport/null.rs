//! Nowhere: everything is taken, and nothing is sent.

use super::{Delivery, Failure, MAX_PACKETS, Packets, Transport};

#[derive(Debug)]
pub(super) struct Null;

impl Transport for Null {
    fn send(&mut self, packets: Packets<'_>) -> Delivery {
        Delivery::taken(packets.len())
    }

    fn most_packets(&self) -> usize {
        MAX_PACKETS
    }

    fn failure(&self) -> Option<&Failure> {
        None
    }

    fn name(&self) -> &'static str {
        "null"
    }
}
