//! A metric by its name and tags, whose cell is found or created.

use super::metric::Metric;
use super::options::Options;
use crate::api::client::Client;
use crate::cell::{Cell, CounterBlock};
use crate::context::Context;
use crate::context::index::{Found, Refusal, Wanted};
use crate::context::recent;
use crate::ledger::DropReason;
use crate::mailbox::shared::Shared;
use crate::process::fork;
use crate::vocabulary::error::RegisterError;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::TagList;
use std::marker::PhantomData;
use std::sync::Arc;

/// A handle that is kept on behalf of others.
#[derive(Debug)]
#[allow(dead_code, reason = "for bridges, each of which is optional")]
pub(crate) struct Placed<M> {
    pub(crate) handle: M,
    /// Whether it belongs to the metric's overflow context.
    pub(crate) is_overflow: bool,
}

/// The key of a context.
pub(crate) struct Named<'a, M> {
    pub(super) client: &'a Client,
    pub(super) name: &'a str,
    pub(super) tags: TagList<'a>,
    pub(super) kind: Kind,
    pub(crate) options: Options,
    metric: PhantomData<fn() -> M>,
}

impl<'a, M: Metric> Named<'a, M> {
    #[inline]
    pub(crate) fn new(client: &'a Client, name: &'a str, kind: Kind, options: Options) -> Self {
        Self { client, name, tags: TagList::default(), kind, options, metric: PhantomData }
    }

    /// Adds a tag. A tag for which there is no room is left out and counted.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `call`")]
    pub(super) fn push(&mut self, key: &'a str, value: &'a str) {
        if !self.tags.push(key, value) {
            self.client.shared().ledger.refused_tags.add(1);
        }
    }

    /// Returns a handle. If the registration is refused, the refusal is counted and the handle reports nothing.
    pub(super) fn into_handle(self) -> M {
        let shared = self.client.shared();
        let (cell, _) = self.cell_or_overflow().unwrap_or_else(|_| {
            shared.ledger.refused_registrations.add(1);
            (M::unread_cell(), false)
        });
        M::adjust(&cell, self.options);
        M::handle(cell, shared)
    }

    /// Returns a handle if there is room for a context. If not, nothing is counted.
    pub(crate) fn own_handle(self) -> Option<M> {
        let (cell, _) = self.cell().ok()?;
        M::adjust(&cell, self.options);
        Some(M::handle(cell, self.client.shared()))
    }

    /// Does the same as [`register`](Self::register), for code that keeps handles on behalf of others. It also returns
    /// whether the handle is that of the overflow context, or the reason why values are lost.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn place(self) -> Result<Placed<M>, DropReason> {
        let shared = self.client.shared();
        if self.client.is_disabled() {
            return Err(DropReason::AfterShutdown);
        }
        match self.cell_or_overflow() {
            Ok((cell, is_overflow)) => {
                M::adjust(&cell, self.options);
                Ok(Placed { handle: M::handle(cell, shared), is_overflow })
            }
            Err(refusal) => {
                shared.ledger.refused_registrations.add(1);
                Err(match refusal {
                    Refusal::ContextLimit(_) => DropReason::ContextLimit,
                    Refusal::EmptyName | Refusal::Kind(_) => DropReason::Invalid,
                })
            }
        }
    }

    /// Returns a handle, or the reason why there is none, which is also counted.
    pub(super) fn try_into_handle(self) -> Result<M, RegisterError> {
        let shared = self.client.shared();
        let refusal = match self.cell() {
            Ok((cell, _)) => {
                M::adjust(&cell, self.options);
                return Ok(M::handle(cell, shared));
            }
            Err(refusal) => refusal,
        };
        shared.ledger.refused_registrations.add(1);
        let (name, wanted) = (self.name.to_owned(), self.kind);
        Err(match refusal {
            Refusal::EmptyName => RegisterError::EmptyName,
            Refusal::Kind(registered) => RegisterError::KindMismatch { name, registered, wanted },
            Refusal::ContextLimit(limit) => RegisterError::ContextLimit { name, limit },
        })
    }

    fn wanted(&self) -> Wanted {
        let Options { bounded, beside, .. } = self.options;
        Wanted { kind: self.kind, bounded, beside }
    }

    fn make(&self, counters: &mut CounterBlock) -> Cell {
        let shared = self.client.shared();
        M::prepare(shared);
        M::wrap(M::new_cell(self.options, counters, &shared.clock))
    }

    fn find_or_make(&self) -> Result<Found<'_>, Refusal> {
        let index = &self.client.shared().index;
        index.find_or_make(self.name, &self.tags, self.wanted(), &|counters| self.make(counters))
    }

    fn find_or_make_overflow(&self) -> Result<Found<'_>, Refusal> {
        let (index, without_task_id) = (&self.client.shared().index, self.tags.without_task_id);
        index
            .find_or_make_overflow(self.name, without_task_id, self.wanted(), &|counters| self.make(counters))
    }

    fn cell_or_overflow(&self) -> Result<(Arc<M::Cell>, bool), Refusal> {
        self.cell().or_else(|refusal| match refusal {
            Refusal::ContextLimit(_) => self.overflow_cell().map(|cell| (cell, true)),
            other => Err(other),
        })
    }

    /// Returns the context's cell, which is created if the context is new. The second value says whether it is the
    /// metric's overflow context, requested by its tag.
    fn cell(&self) -> Result<(Arc<M::Cell>, bool), Refusal> {
        if self.client.is_disabled() {
            return Ok((M::unread_cell(), false));
        }
        let context = self.find_or_make()?;
        context.register();
        // A context has one kind, and a kind has one type of cell.
        let cell = M::pick(&context.cell).ok_or(Refusal::Kind(self.kind))?;
        Ok((Arc::clone(cell), context.is_overflow()))
    }

    /// Returns the cell of the metric's overflow context.
    fn overflow_cell(&self) -> Result<Arc<M::Cell>, Refusal> {
        let context = self.find_or_make_overflow()?;
        context.fold(1);
        context.register();
        self.client.shared().ledger.folded_registrations.add(1);
        M::pick(&context.cell).map(Arc::clone).ok_or(Refusal::Kind(self.kind))
    }

    /// Acts on the cell by name. If there is no cell, `values` are counted as dropped, and the reason is returned.
    ///
    /// This is inlined, so that constant names and tags are hashed and compared at compile time, and the others need
    /// not be written to memory first.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a call by name costs twice as much otherwise")]
    pub(super) fn call(
        self,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        let index = &self.client.shared().index;
        let done = index.recall(self.name, &self.tags, self.kind, |context| self.act(context, &verb));
        if let Some(done) = done.flatten() {
            return done;
        }
        // A copy, which leaves the parts for the calls below in registers. A closure would not.
        let Self { client, name, tags, kind, options, metric } = self;
        Self { client, name, tags, kind, options, metric }.call_slowly(values, verb)
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `call`")]
    fn act<T>(&self, context: &Context, verb: impl FnOnce(&Arc<M::Cell>, &Shared) -> T) -> Option<T> {
        // A context has one kind, and a kind has one type of cell.
        let cell = M::pick(&context.cell)?;
        M::adjust(cell, self.options);
        Some(verb(cell, self.client.shared()))
    }

    /// Finds or creates the context.
    #[cold]
    #[inline(never)]
    fn call_slowly(
        &self,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        if self.client.is_disabled() {
            return None;
        }
        let index = &self.client.shared().index;
        recent::let_go(self.name, &self.tags, self.kind);
        self.look_up(values, &verb, |context| recent::remember(index.id(), &self.tags, context))
    }

    /// Does the same as [`call`](Self::call), for callers that remember the context in their own way.
    pub(crate) fn look_up(
        &self,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
        remember: impl FnOnce(&Arc<Context>),
    ) -> Option<DropReason> {
        // This runs before anything that could be locked when a forked child is set up. Recalling a context takes no
        // lock, and every verb runs its own check.
        fork::check();
        if self.client.is_disabled() {
            return None;
        }
        let act = |context: &Context| {
            context.call();
            self.act(context, &verb)
        };
        // The lock under which it is found is let go before a context is made.
        if let Some(known) = self.client.shared().index.find(self.name, &self.tags, self.kind) {
            remember(&known);
            if let Some(done) = act(&known) {
                return done;
            }
        }
        let made = self.make_or_fold(values).and_then(|made| act(&made).ok_or(DropReason::Invalid));
        made.unwrap_or_else(|reason| self.client.shared().refuse(reason, values))
    }

    /// Makes the context of a call, or finds its metric's overflow context. Returns the reason if there is neither.
    fn make_or_fold(&self, values: u64) -> Result<Found<'_>, DropReason> {
        match self.find_or_make() {
            Err(Refusal::ContextLimit(_)) => self.fold(values),
            made => made.map_err(|_| DropReason::Invalid),
        }
    }

    /// Finds the metric's overflow context for a call, or returns the reason why there is none.
    fn fold(&self, values: u64) -> Result<Found<'_>, DropReason> {
        let context = self.find_or_make_overflow().map_err(|refusal| match refusal {
            Refusal::ContextLimit(_) => DropReason::ContextLimit,
            Refusal::EmptyName | Refusal::Kind(_) => DropReason::Invalid,
        })?;
        context.fold(1);
        if !self.options.folded {
            self.client.shared().ledger.folded_values.add(values);
        }
        Ok(context)
    }
}
