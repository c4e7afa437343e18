//! Something that is held.

use super::turn::Turn;
use std::ops::{Deref, DerefMut};

/// A connection, a permit or anything else that a [`Holder`](crate::Holder) holds. It dereferences to what is held.
///
/// The hold ends when this is dropped, also during a panic. It ends just before what is held is dropped and goes back
/// to its pool, so that all holders together never hold more than the pool has. A child that was forked in the meantime
/// ends nothing: the hold is its parent's.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let checkout = client.holders("primary", 10).of("checkout");
/// let mut held = checkout.hold(vec![1, 2]);
/// held.push(3);
/// assert_eq!(held.len(), 3);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use = "the hold ends when this is dropped: `let held`, not `let _`"]
pub struct Held<C> {
    // It is dropped first.
    turn: Turn,
    unit: C,
}

impl<C> Held<C> {
    #[inline]
    pub(super) fn new(turn: Turn, unit: C) -> Self {
        Self { turn, unit }
    }

    /// Ends the hold, and returns what was held. Use it for a connection that leaves its pool for good.
    ///
    /// ```
    /// # let client = tasktag::Client::disabled();
    /// let held = client.holders("primary", 10).of("checkout").hold("a connection");
    /// assert_eq!(held.into_inner(), "a connection");
    /// ```
    #[inline]
    #[allow(clippy::must_use_candidate, reason = "it ends the hold, whatever becomes of what was held")]
    pub fn into_inner(self) -> C {
        drop(self.turn);
        self.unit
    }
}

impl<C> Deref for Held<C> {
    type Target = C;

    #[inline]
    fn deref(&self) -> &C {
        &self.unit
    }
}

impl<C> DerefMut for Held<C> {
    #[inline]
    fn deref_mut(&mut self) -> &mut C {
        &mut self.unit
    }
}
