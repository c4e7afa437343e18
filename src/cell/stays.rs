//! What is in a queue: how many items wait and run, and since when the oldest of each has done so.

mod seats;
mod slices;

use self::seats::Seats;
use self::slices::Slices;

/// The stays of a queue's items, from when they enter until they have run.
///
/// An item takes a [seat](Seats), in which its time is kept exactly. If so many items wait that no seat is found, it is
/// counted in a [slice](Slices) of time instead. Neither takes memory that grows with the queue, and neither needs the
/// items to leave in the order in which they came.
///
/// Each stay is in one word, which says alone whether there is a stay, so no word publishes another one. A stay carries
/// the generation of its process: what is left of another process's stays is free.
#[derive(Debug, Default)]
pub(crate) struct Stays {
    seats: Seats,
    waiting: Slices,
    running: Slices,
}

/// What an item does during a part of its stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Waiting,
    Running,
}

/// Where a stay is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    Seat(u16),
    WaitingSlice(u16),
    RunningSlice(u16),
    /// There was no room, and the stay is not counted.
    #[default]
    Nowhere,
}

/// The stays of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) items: u64,
    /// The start of the longest stay, in nanoseconds of the client's clock.
    pub(crate) since: Option<u64>,
}

impl Group {
    fn add(&mut self, items: u64, since: u64) {
        self.items += items;
        self.since = Some(self.since.map_or(since, |oldest| oldest.min(since)));
    }
}

/// All stays at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) waiting: Group,
    pub(crate) running: Group,
}

impl Stays {
    /// Begins a stay of an item that waits.
    #[inline]
    pub(crate) fn enter(&self, now: u64, generation: u8) -> Place {
        match self.seats.take(now, generation, Stage::Waiting) {
            Some(seat) => Place::Seat(seat),
            None => self.waiting.enter(now, generation).map_or(Place::Nowhere, Place::WaitingSlice),
        }
    }

    /// Ends the waiting, and begins the running.
    #[inline]
    pub(crate) fn start(&self, place: Place, now: u64, generation: u8) -> Place {
        if let Place::Seat(seat) = place {
            self.seats.stamp(seat, now, generation, Stage::Running);
            return place;
        }
        self.start_elsewhere(place, now, generation)
    }

    #[cold]
    fn start_elsewhere(&self, place: Place, now: u64, generation: u8) -> Place {
        self.leave(place, generation);
        match self.seats.take(now, generation, Stage::Running) {
            Some(seat) => Place::Seat(seat),
            None => self.running.enter(now, generation).map_or(Place::Nowhere, Place::RunningSlice),
        }
    }

    /// Ends a stay.
    #[inline]
    pub(crate) fn leave(&self, place: Place, generation: u8) {
        match place {
            Place::Seat(seat) => self.seats.free(seat),
            Place::WaitingSlice(slice) => self.waiting.leave(slice, generation),
            Place::RunningSlice(slice) => self.running.leave(slice, generation),
            Place::Nowhere => {}
        }
    }

    /// Counts the stays. It reads every place, however many items there are.
    ///
    /// An item that waits or runs all the time meanwhile is counted. One that enters, starts or leaves meanwhile may be
    /// counted or not, or in both stages.
    pub(crate) fn count(&self, now: u64, generation: u8) -> Census {
        let mut census = Census::default();
        self.seats.count(&mut census, generation);
        self.waiting.count(&mut census.waiting, now, generation);
        self.running.count(&mut census.running, now, generation);
        census
    }
}

#[cfg(all(test, tasktag_loom))]
mod model;

#[cfg(all(test, not(tasktag_loom)))]
mod tests;
