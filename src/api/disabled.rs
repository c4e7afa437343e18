//! The cells of handles that report nothing. Nobody reads them.

use crate::cell::{Buckets, CounterBlock, CounterCell, SetCell};
use crate::mailbox::shared::Shared;
use once_cell::race::OnceBox;
use std::sync::Arc;

/// All disabled clients of a process share one of these, because nobody would see a difference.
///
/// Gauges and occupancies are not shared, because threads would contend for their one cell. A shared counter has lanes,
/// and the buckets keep nothing.
pub(super) struct Disabled {
    pub(super) shared: Arc<Shared>,
    pub(super) counter: Arc<CounterCell>,
    pub(super) distribution: Arc<Buckets>,
    pub(super) set: Arc<SetCell>,
}

/// Returns the shared cells, which the first caller makes. No thread waits for another one that makes them, because a
/// forked child would not have that thread.
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
