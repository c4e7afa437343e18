//! What was accepted, sent and dropped, against what came and what callers know that they did.

use super::diary::{COUNTERS, Diary, RECORDED};
use super::transport::Transport;
use crate::support::assert_conserved;
use crate::support::received::Received;
use std::collections::BTreeMap;
use tasktag::{DropReason, Stats, Tally};

/// Of one process, or of several together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Books {
    pub(crate) accepted: Tally,
    pub(crate) sent: Tally,
    /// Dropped for any reason.
    pub(crate) dropped: Tally,
    /// Dropped because the agent was away, though it may have got it.
    pub(crate) in_transport: Tally,
    /// Of what was recorded there was something that is neither sent nor refused for what it is.
    pub(crate) has_losses: bool,
    pub(crate) diary: Diary,
}

impl Books {
    /// Those of an idle client, which are balanced.
    pub(crate) fn of(stats: &Stats, diary: Diary) -> Self {
        assert_conserved(stats);
        let is_loss = |reason| !matches!(reason, DropReason::Invalid | DropReason::Unsupported);
        Self {
            accepted: stats.accepted,
            sent: stats.sent,
            dropped: stats.dropped_total(),
            in_transport: stats.dropped(DropReason::Transport),
            has_losses: stats.losses().any(|(reason, _)| is_loss(reason)),
            diary,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.in_transport += other.in_transport;
        self.has_losses |= other.has_losses;
        self.diary += other.diary;
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        let tallies = [self.accepted, self.sent, self.dropped, self.in_transport];
        let mut numbers: Vec<u64> = tallies.iter().flat_map(units).collect();
        numbers.push(u64::from(self.has_losses));
        numbers.extend(self.diary.numbers());
        numbers
    }

    pub(crate) fn from_numbers(numbers: &[u64]) -> Self {
        let tally = |place: usize| tally(&numbers[place * 4..]);
        Self {
            accepted: tally(0),
            sent: tally(1),
            dropped: tally(2),
            in_transport: tally(3),
            has_losses: numbers[16] > 0,
            diary: Diary::from_numbers(&numbers[17..]),
        }
    }

    /// No more came than was sent, and if nothing went astray all of it. Says whether nothing did.
    pub(crate) fn assert_explain(
        &self,
        received: &Received,
        transport: Transport,
        loses_unseen: bool,
    ) -> bool {
        self.assert_nothing_is_new(received, transport);
        self.assert_nothing_comes_twice(received);
        if !loses_unseen {
            self.assert_nothing_is_missing(received, transport);
        }
        let is_whole = !self.has_losses && received.bytes == self.sent.bytes;
        if is_whole {
            self.assert_all_came(received);
        }
        is_whole
    }

    fn assert_nothing_is_new(&self, received: &Received, transport: Transport) {
        let mut most = self.sent;
        // A part of a packet that was given up, and what was taken when the time was over.
        if transport.is_stream() || transport == Transport::Writer {
            most += self.in_transport;
        }
        for (unit, came, most) in side_by_side(received, most) {
            // A connection over TCP has lines and no packets.
            if transport != Transport::Tcp || unit != "packets" {
                assert!(came <= most, "{came} {unit} came, and at most {most} were sent: {self:#?}");
            }
        }
    }

    fn assert_nothing_is_missing(&self, received: &Received, transport: Transport) {
        for (unit, came, sent) in side_by_side(received, self.sent) {
            if transport != Transport::Tcp || unit != "packets" {
                assert!(came >= sent, "{came} {unit} came, and {sent} were sent: {self:#?}");
            }
        }
    }

    fn assert_nothing_comes_twice(&self, received: &Received) {
        for (name, came, done) in self.by_name(received) {
            assert!(came <= done, "{name}: {came} came of {done}: {self:#?}");
        }
        assert!(received.once.len() as u64 <= self.diary.unique, "{self:#?}");
    }

    fn assert_all_came(&self, received: &Received) {
        for (name, came, done) in self.by_name(received) {
            // Not every agent has times of values.
            if name != "stamped.jobs" {
                assert_eq!(came, done, "{name} came, and was done: {self:#?}");
            }
        }
    }

    /// What came under each name, and what was done.
    fn by_name<'a>(
        &self,
        received: &'a Received,
    ) -> impl Iterator<Item = (&'static str, u64, u64)> + use<'a> {
        let came = |of: &BTreeMap<String, u64>, name| of.get(name).copied().unwrap_or(0);
        let added = COUNTERS.into_iter().zip(self.diary.added);
        let recorded = RECORDED.into_iter().zip(self.diary.recorded);
        added
            .map(move |(name, done)| (name, came(&received.counters, name), done))
            .chain(recorded.map(move |(name, done)| (name, came(&received.recorded, name), done)))
    }
}

fn side_by_side(received: &Received, sent: Tally) -> [(&'static str, u64, u64); 4] {
    [
        ("values", received.values, sent.values),
        ("lines", received.lines, sent.lines),
        ("packets", received.packets, sent.packets),
        ("bytes", received.bytes, sent.bytes),
    ]
}

fn units(tally: &Tally) -> [u64; 4] {
    [tally.values, tally.lines, tally.packets, tally.bytes]
}

fn tally(numbers: &[u64]) -> Tally {
    let mut tally = Tally::default();
    (tally.values, tally.lines, tally.packets, tally.bytes) =
        (numbers[0], numbers[1], numbers[2], numbers[3]);
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;
    use tasktag::Dialect;

    fn received(line: &str) -> Received {
        Received::new(Dialect::DogStatsd, &[line.as_bytes().to_vec()])
    }

    /// Of a client that sent `jobs:2|c` and nothing else.
    fn books() -> Books {
        let mut books = Books { sent: tally(&[1, 1, 1, 9]), ..Books::default() };
        books.accepted = books.sent;
        books.diary.add("jobs", 2);
        books
    }

    fn is_noticed(books: &Books, line: &str) -> bool {
        let received = received(line);
        catch_unwind(|| books.assert_explain(&received, Transport::UnixStream, false)).is_err()
    }

    #[test]
    fn books_explain_what_was_sent_and_came() {
        assert!(books().assert_explain(&received("jobs:2|c\n"), Transport::UnixStream, false));
    }

    #[test]
    fn whatever_is_wrong_is_noticed() {
        assert!(is_noticed(&books(), "jobs:2|c\njobs:2|c\n"), "more than was sent");
        assert!(is_noticed(&books(), "jobs:3|c\n"), "more than was counted");
        assert!(is_noticed(&books(), "jobs:1|c\n"), "less than was counted");
        let mut other = books();
        other.sent = tally(&[1, 1, 1, 6]);
        assert!(is_noticed(&other, "a:b|s\n"), "a member that nobody inserted");
        other.sent = tally(&[2, 2, 2, 18]);
        assert!(is_noticed(&other, "jobs:2|c\n"), "less than was sent");
    }

    #[test]
    fn a_child_hands_its_books_over_as_numbers() {
        let mut books = books();
        (books.has_losses, books.in_transport) = (true, tally(&[5, 6, 7, 8]));
        assert_eq!(Books::from_numbers(&books.numbers()).numbers(), books.numbers());
    }
}
