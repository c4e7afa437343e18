//! What was found in the index.

use super::table::Table;
use crate::context::Context;
use std::ops::Deref;
use std::sync::{Arc, RwLockReadGuard, RwLockWriteGuard};

/// A context, with the lock under which it was found. While this exists, the worker can't forget the context, so it can
/// be held or called.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    context: Arc<Context>,
    _lock: Lock<'a>,
}

#[derive(Debug)]
#[allow(dead_code, reason = "they only have to exist")]
enum Lock<'a> {
    Read(RwLockReadGuard<'a, Table>),
    Write(RwLockWriteGuard<'a, Table>),
}

impl<'a> Found<'a> {
    /// Looks for a context in a table that is locked for reading.
    pub(super) fn of(
        table: RwLockReadGuard<'a, Table>,
        find: impl FnOnce(&Table) -> Option<&Arc<Context>>,
    ) -> Option<Self> {
        let context = Arc::clone(find(&table)?);
        Some(Self::reading(context, table))
    }

    pub(super) fn reading(context: Arc<Context>, table: RwLockReadGuard<'a, Table>) -> Self {
        Self { context, _lock: Lock::Read(table) }
    }

    pub(super) fn writing(context: Arc<Context>, table: RwLockWriteGuard<'a, Table>) -> Self {
        Self { context, _lock: Lock::Write(table) }
    }
}

impl Deref for Found<'_> {
    type Target = Arc<Context>;

    fn deref(&self) -> &Arc<Context> {
        &self.context
    }
}
