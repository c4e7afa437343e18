//! What all kinds of handles have in common.

use super::options::Options;
use crate::api::disabled::disabled;
use crate::cell::{Cell, CounterBlock};
use crate::mailbox::shared::Shared;
use crate::process::clock::Clock;
use std::sync::Arc;

/// A kind of handle, and how it meets its cell.
pub(crate) trait Metric: Sized {
    /// The atomics that it writes.
    type Cell;
    /// Whether that is so much that a thread remembers few of them.
    const IS_LARGE: bool = false;

    fn new_cell(options: Options, counters: &mut CounterBlock, clock: &Clock) -> Arc<Self::Cell>;
    /// One that nobody reads.
    fn unread_cell() -> Arc<Self::Cell>;
    fn wrap(cell: Arc<Self::Cell>) -> Cell;
    fn pick(cell: &Cell) -> Option<&Arc<Self::Cell>>;
    fn adjust(_cell: &Self::Cell, _options: Options) {}
    fn handle(cell: Arc<Self::Cell>, shared: &Arc<Shared>) -> Self;
    fn cell(&self) -> &Arc<Self::Cell>;

    /// A handle that reports nothing.
    fn disabled() -> Self {
        Self::handle(Self::unread_cell(), &disabled().shared)
    }
}
