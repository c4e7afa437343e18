//! What all kinds of handles have in common.

use super::options::Options;
use crate::api::disabled::disabled;
use crate::cell::{Cell, CounterBlock};
use crate::mailbox::shared::Shared;
use crate::process::clock::Clock;
use std::sync::Arc;

/// A kind of handle: [`Counter`](crate::Counter), [`Gauge`](crate::Gauge), [`Distribution`](crate::Distribution),
/// [`Set`](crate::Set) or [`Occupancy`](crate::Occupancy).
///
/// Use it as a bound in functions that work for all kinds. The trait is sealed: no other type can implement it.
///
/// ```
/// use tasktag::{BoundedFamily, Metric, MetricBuilder};
///
/// /// What every metric of this service has in common.
/// fn by_route<M: Metric>(metric: MetricBuilder<'_, M>) -> BoundedFamily<M> {
///     metric.tag("service", "shop").bounded("route", 50).register()
/// }
///
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let requests = by_route(client.counter("http.requests"));
/// let took = by_route(client.timing("http.took"));
/// requests.at("/cart").increment(1);
/// took.at("/cart").record(12.5);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[allow(private_bounds, reason = "it is sealed")]
pub trait Metric: CellHandle {}

/// Connects a kind of handle to its cell, and limits its families.
pub(crate) trait CellHandle: Clone + Sized {
    /// The atomics that the handle writes.
    type Cell;
    /// Whether the cell is so large that a thread remembers few of them.
    const IS_LARGE: bool = false;
    /// The maximum number of members in a family of closed tags, which are all registered at once.
    const MAX_MEMBERS: usize = 1024;

    fn new_cell(options: Options, counters: &mut CounterBlock, clock: &Clock) -> Arc<Self::Cell>;
    /// Called before another context of this kind is made, while the index is locked.
    fn prepare(_shared: &Shared) {}
    /// Returns a cell that is never read.
    fn unread_cell() -> Arc<Self::Cell>;
    fn wrap(cell: Arc<Self::Cell>) -> Cell;
    fn pick(cell: &Cell) -> Option<&Arc<Self::Cell>>;
    fn adjust(_cell: &Self::Cell, _options: Options) {}
    fn handle(cell: Arc<Self::Cell>, shared: &Arc<Shared>) -> Self;
    fn cell(&self) -> &Arc<Self::Cell>;

    /// Returns a handle that reports nothing.
    fn disabled() -> Self {
        Self::handle(Self::unread_cell(), &disabled().shared)
    }
}
