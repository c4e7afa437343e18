//! What a day is to be, by its seed.

use super::dice::Dice;
use super::fault::Fault;
use super::transport::Transport;
use tasktag::Dialect;

const DIALECTS: [Dialect; 3] = [Dialect::DogStatsd, Dialect::TaggedStatsd, Dialect::Statsd];

/// What follows from a seed.
#[allow(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// On most days both are the same.
    pub(crate) faults: [Fault; 2],
    pub(crate) transport: Transport,
    pub(crate) dialect: Dialect,
    pub(crate) packet_size: usize,
    pub(crate) channel: usize,
    pub(crate) contexts: usize,
    pub(crate) telemetry: bool,
    pub(crate) is_wordy: bool,
    pub(crate) has_second_agent: bool,
    /// The clock is moved by hand, or goes by itself.
    pub(crate) by_hand: bool,
    pub(crate) operations: u64,
}

impl Plan {
    pub(crate) fn new(seed: u64, pairs: &[(Fault, Transport)]) -> (Self, Dice) {
        let mut dice = Dice::new(seed);
        // Seeds that follow each other have every fault with every transport.
        let place = seed % pairs.len() as u64;
        let (fault, transport) = pairs[usize::try_from(place).expect("a place")];
        let others: Vec<Fault> = pairs.iter().filter(|pair| pair.1 == transport).map(|pair| pair.0).collect();
        let plan = Self {
            seed,
            faults: [fault, if dice.one_in(3) { dice.pick(&others) } else { fault }],
            transport,
            // A flood is of events.
            dialect: if fault.floods() { Dialect::DogStatsd } else { dice.pick(&DIALECTS) },
            packet_size: if fault.floods() { 8192 } else { dice.pick(&[200, 512, 1432, 8192]) },
            channel: dice.pick(&[16, 4096, 4096]),
            contexts: dice.pick(&[12, 60, 2000, 2000]),
            telemetry: dice.one_in(2),
            is_wordy: dice.one_in(2),
            has_second_agent: dice.one_in(3),
            by_hand: dice.one_in(2),
            operations: dice.within(100, 500),
        };
        (plan, dice)
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Whether bytes may be lost that were sent, and nobody can know.
    pub(crate) fn loses_unseen(&self) -> bool {
        let kills = self.faults.iter().any(|fault| fault.kills());
        // A client that has ended, as that of a child, hears of nothing any more.
        let ends = [Fault::Shutdown, Fault::GuardDropped, Fault::Forks].iter().any(|fault| self.has(*fault));
        match self.transport {
            Transport::Writer | Transport::Capture => false,
            // What the agent did not read is known while there is a connection, and one within a packet that finds no
            // room is given up.
            Transport::UnixStream => kills && (ends || self.faults.iter().any(|fault| fault.floods())),
            // The queue of a socket, and what a host acknowledged, goes with an agent that has not read it.
            Transport::Tcp | Transport::UnixDatagram => kills,
            // And that queue is not waited for.
            Transport::Udp | Transport::Udp6 => true,
        }
    }
}
