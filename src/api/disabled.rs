//! What handles have that report nothing: cells that nobody reads.

use crate::cell::{Buckets, CounterBlock, CounterCell, SetCell};
use crate::mailbox::shared::Shared;
use once_cell::race::OnceBox;
use std::sync::Arc;

/// One a process, whatever number of clients is disabled: nobody would see a difference.
///
/// Gauges and occupancies are not here, because threads would get into each other's way at one cell. At a counter they have
/// lanes, and the buckets keep nothing.
pub(super) struct Disabled {
    pub(super) shared: Arc<Shared>,
    pub(super) counter: Arc<CounterCell>,
    pub(super) distribution: Arc<Buckets>,
    pub(super) set: Arc<SetCell>,
}

/// Made by whoever comes first. Nobody waits for another thread that makes it, which a forked child would not have.
pub(super) fn disabled() -> &'static Disabled {
    static DISABLED: OnceBox<Disabled> = OnceBox::new();
    DISABLED.get_or_init(|| {
        Box::new(Disabled {
            shared: Arc::new(Shared::disabled()),
            counter: Arc::new(CounterBlock::default().cell()),
            distribution: Arc::new(Buckets::unread()),
            set: Arc::default(),
        })
    })
}
