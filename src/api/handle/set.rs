//! Sets.

use super::builder::MetricBuilder;
use super::metric::{CellHandle, Metric};
use super::options::Options;
use crate::api::disabled::disabled;
use crate::cell::{Cell, CounterBlock, SetCell};
use crate::ledger::DropReason;
use crate::mailbox::record::Record;
use crate::mailbox::shared::Shared;
use crate::process::clock::Clock;
use crate::vocabulary::member::Member;
use std::sync::Arc;

/// The number of distinct members, over all tasks. The server counts them.
///
/// A member uses the [channel](crate::ClientBuilder::channel_capacity) to the worker. If the channel is full, the
/// member is dropped and counted. A set takes 10,000 distinct members per flush. Further ones are dropped and counted.
/// A member is sent as its 128-bit hash if it is longer than 47 bytes, or if it has a character that a line can't hold.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let users = client.set("users.active").register();
/// users.insert("user-7");
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a set has only the members that are inserted"]
pub struct Set {
    cell: Arc<SetCell>,
    shared: Arc<Shared>,
}

impl Set {
    /// Adds a member.
    pub fn insert(&self, member: &str) {
        insert(&self.cell, &self.shared, member);
    }
}

fn insert(cell: &Arc<SetCell>, shared: &Shared, member: &str) -> Option<DropReason> {
    shared.offer(Record::Member(Arc::clone(cell), Member::new(member)))
}

impl MetricBuilder<'_, Set> {
    /// Adds a member by name.
    #[inline]
    pub fn insert(self, member: &str) {
        self.try_insert(member);
    }

    /// Does the same as [`insert`](Self::insert), and returns the reason if the member was dropped.
    pub(crate) fn try_insert(self, member: &str) -> Option<DropReason> {
        self.call(1, |cell, shared| insert(cell, shared, member))
    }
}

/// Returns a handle that reports nothing, like those of a [disabled client](crate::Client::disabled).
impl Default for Set {
    fn default() -> Self {
        Self::disabled()
    }
}

impl Metric for Set {}

impl CellHandle for Set {
    type Cell = SetCell;

    fn new_cell(_: Options, _: &mut CounterBlock, _: &Clock) -> Arc<SetCell> {
        Arc::default()
    }

    fn unread_cell() -> Arc<Self::Cell> {
        Arc::clone(&disabled().set)
    }

    fn wrap(cell: Arc<SetCell>) -> Cell {
        Cell::Set(cell)
    }

    fn pick(cell: &Cell) -> Option<&Arc<SetCell>> {
        if let Cell::Set(cell) = cell { Some(cell) } else { None }
    }

    fn handle(cell: Arc<SetCell>, shared: &Arc<Shared>) -> Self {
        Self { cell, shared: Arc::clone(shared) }
    }

    fn cell(&self) -> &Arc<SetCell> {
        &self.cell
    }
}
