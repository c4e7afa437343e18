//! The worker: the thread that sends everything to the agents.

pub(crate) mod aggregate;
pub(crate) mod registry;
pub(crate) mod route;
mod schedule;
pub(crate) mod telemetry;

pub(crate) use self::schedule::{Schedule, random_phase};

use crate::callback::probe::Watched;
use crate::context::handle_cache::IdleGauges;
use crate::ledger::DropReason;
use crate::mailbox::control::Order;
use crate::mailbox::post::Post;
use crate::mailbox::record::Record;
use crate::mailbox::shared::Shared;
use crate::mailbox::workforce::Unstarted;
use crate::process::fork;
use crate::process::thread::Thread;
use crate::task_id::{TaskId, TaskIdClaim, TaskIdSourceKind};
use crate::wire::transport::Turn;
use crate::worker::aggregate::Aggregate;
use crate::worker::registry::{Flush, Registry};
use crate::worker::route::Route;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// The thread's name in `/proc/self/task/*/comm`.
const THREAD_NAME: &str = "tasktag";

/// How often the last flush is tried if it panics.
const MAX_LAST_TRIES: u32 = 3;

/// The nanoseconds between the worker's periodic tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intervals {
    pub(crate) collect: u64,
    pub(crate) flush: u64,
}

/// Everything that only the worker owns. None of it is shared or locked.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    /// The source of its orders and records. It stays the same even if its client gets a new one.
    pub(crate) post: Arc<Post>,
    /// The generation of its process. The worker stops once its process has a later one.
    pub(crate) generation: u32,
    /// The agents. There is always at least one.
    pub(crate) routes: Vec<Route>,
    pub(crate) schedule: Schedule,
    /// Whether there was a collection, and the last one found nothing.
    pub(crate) found_nothing: bool,
    pub(crate) idle_gauges: IdleGauges,
    pub(crate) registry: Registry,
    pub(crate) aggregate: Aggregate,
    pub(crate) probes: Vec<Watched>,
    /// Held until the worker has stopped and nothing more is sent under the id.
    pub(crate) claim: Arc<TaskIdClaim>,
    /// The task id that everything is reported under.
    pub(crate) task_id: TaskId,
    /// How often the lease of a task id was lost, as far as it was counted.
    pub(crate) losses: u64,
}

/// How long a thread without a worker may take to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// A thread that waits for its worker. It is started first, so that a failure is an error before anything is decided or
/// acquired.
#[derive(Debug)]
pub(crate) struct WorkerThread {
    // `None` once the worker was handed over, or if there will be none.
    way: Option<SyncSender<Box<Worker>>>,
    thread: Option<Thread>,
}

impl WorkerThread {
    pub(crate) fn start() -> io::Result<Self> {
        let (way, arriving) = sync_channel::<Box<Worker>>(1);
        let live = move || arriving.recv().map_or((), |worker| worker.live());
        let thread = Thread::spawn(THREAD_NAME, live)?;
        Ok(Self { way: Some(way), thread: Some(thread) })
    }

    /// Hands the worker to the thread, which starts to work.
    pub(crate) fn hand(mut self, worker: Box<Worker>) -> Option<Thread> {
        // The thread is waiting, so the channel has room and a receiver.
        let _ = self.way.take().map(|way| way.send(worker));
        self.thread.take()
    }
}

/// If there is no worker after all, the thread ends too.
impl Drop for WorkerThread {
    fn drop(&mut self) {
        drop(self.way.take());
        if let Some(thread) = self.thread.take() {
            thread.wait(FAREWELL);
        }
    }
}

impl Worker {
    /// Works until it is stopped, and survives panics.
    fn live(mut self) {
        self.post.control.start();
        let mut last_tries = MAX_LAST_TRIES;
        while last_tries > 0 && catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            // What the worker was processing is counted as dropped. Cells, channel and connection are unchanged, and
            // the worker continues.
            self.routes.iter_mut().for_each(|route| route.outbox.write_off());
            self.shared.ledger.worker_restarts.add(1);
            self.post.control.died();
            last_tries -= u32::from(self.post.channel.is_closed());
        }
        if self.is_outlived() { self.end_outlived() } else { self.end() }
    }

    /// Returns whether its process was restored from a snapshot. The original then sends what this worker has.
    fn is_outlived(&self) -> bool {
        self.generation != fork::generation()
    }

    /// This is not the client's last worker. The next one polls its probes.
    fn end_outlived(self) {
        self.post.return_probes(self.probes);
        // Dropping a transport may panic.
        let owned = (self.routes, self.aggregate, self.registry, self.claim);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(owned)));
        self.post.control.end();
    }

    fn end(mut self) {
        self.routes.iter_mut().for_each(|route| route.outbox.abandon());
        self.shared.ledger.refuse(DropReason::WorkerPanic, self.aggregate.clear());
        self.post.leave(Box::new(self.registry));
        self.post.probes.close(self.shared.clock.now());
        // Probes, transports and the lease are dropped before anything reports the shutdown, even if one of them
        // panics.
        let owned = (self.probes, self.routes, self.aggregate);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(owned)));
        self.claim.retire();
        drop(self.claim);
        self.post.control.end();
    }

    fn work(&mut self) {
        while !self.is_outlived() {
            let (clock, post) = (&self.shared.clock, &self.post);
            let order = post.control.next_order(clock.until(self.next_due()));
            let now = clock.now();
            if self.is_outlived() {
                return;
            }
            post.probes.supervise(now);
            if order.stop {
                post.channel.close();
                self.give_time(order);
                self.collect(now);
                self.flush(now, true);
                let in_time = self.was_in_time();
                self.post.control.complete(order, in_time);
                return;
            }
            let flush = order.flush || self.schedule.flush.is_due(now);
            if flush || order.collect || self.schedule.collect.is_due(now) {
                self.collect(now);
            }
            if flush && !self.is_outlived() {
                self.give_time(order);
                self.flush(now, false);
            }
            let in_time = self.was_in_time();
            self.post.control.complete(order, in_time);
        }
    }

    /// Returns when to wake up. After a collection that found nothing the worker rests: it sleeps through the next
    /// ones, and what comes then wakes it. So whatever waits is collected as early as if it never rested. A clock that
    /// a test moves says by itself when to collect.
    fn next_due(&self) -> u64 {
        if self.found_nothing && self.shared.clock.is_running() && self.post.rest() {
            self.schedule.next_at_rest(self.claim.has_lease())
        } else {
            self.schedule.next()
        }
    }

    /// Tells the agents how long a caller waits for the next flush.
    fn give_time(&mut self, order: Order) {
        let mut agents = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        for route in &mut self.routes {
            route.outbox.begin_turn(Turn { until: order.until, agents, is_last: order.stop });
            // The remaining agents share what is left then.
            agents = agents.saturating_sub(1);
        }
    }

    /// Returns whether nothing was lost because a caller's time had run out.
    fn was_in_time(&mut self) -> bool {
        let mut in_time = true;
        for route in &mut self.routes {
            in_time &= !route.outbox.take_late();
        }
        in_time
    }

    /// Polls the client's own probes and empties the channel. Users' probes are polled on a separate thread.
    fn collect(&mut self, now: u64) {
        // The schedule moves first, so that a collection that panics is not repeated immediately.
        self.schedule.collect.pass(now);
        self.found_nothing = false;
        if self.schedule.lease.is_due(now) {
            self.schedule.lease.pass(now);
            self.post.note_leased(self.claim.show());
        }
        self.probes.extend(self.post.take_arriving_probes());
        self.probes.retain_mut(|probe| probe.collect(&self.shared.ledger));
        let (was_full, records) = (self.post.stock.is_full(), self.post.channel.len());
        self.post.stock.refill();
        for _ in 0..records {
            let Some(record) = self.post.channel.take() else { break };
            self.fold(record);
        }
        self.found_nothing = self.probes.is_empty() && was_full && records == 0;
    }

    fn fold(&mut self, record: Record) {
        let aggregate = &mut self.aggregate;
        match record {
            Record::Member(cell, member) => {
                let kept = aggregate.member(cell, member);
                self.shared.ledger.refuse(DropReason::ContextLimit, u64::from(!kept));
            }
            Record::Overflow(cell, value, n) => {
                cell.make_room_for(value);
                let kept = aggregate.overflow(cell, value, n);
                self.shared.ledger.refuse(DropReason::Invalid, if kept { 0 } else { n });
            }
            Record::LevelAt(cell, value, seconds) => {
                let kept = aggregate.levels.add(cell, seconds, value, |_, latest| latest);
                self.shared.ledger.refuse(DropReason::ContextLimit, u64::from(!kept));
            }
            Record::CountAt(cell, n, seconds) => {
                let kept = aggregate.counts.add(cell, seconds, n, u64::wrapping_add);
                self.shared.ledger.refuse(DropReason::ContextLimit, u64::from(!kept));
            }
            Record::Event(event) => self.report(|route| route.event(&event)),
            Record::ServiceCheck(check) => self.report(|route| route.service_check(&check)),
        }
    }

    /// Reports one value to all agents. All of them accept it before the first one processes it.
    fn report(&mut self, put: impl Fn(&mut Route)) {
        self.routes.iter_mut().for_each(|route| route.take_in(1));
        self.routes.iter_mut().for_each(put);
    }

    /// Reports every context, and sends what is left.
    fn flush(&mut self, now: u64, last: bool) {
        self.schedule.flush.pass(now);
        self.follow_task_id();
        // This comes after the channel was emptied, so that the context of every received record is known.
        self.registry.welcome(self.shared.index.take_arrivals());
        self.registry.flush(&mut Flush {
            clock: &self.shared.clock,
            index: &self.shared.index,
            handle_caches: &self.shared.handle_caches,
            routes: &mut self.routes,
            aggregate: &mut self.aggregate,
            now,
            idle_gauges: self.idle_gauges,
        });
        self.shared.ledger.refuse(DropReason::Invalid, self.aggregate.clear());
        let report_itself = last || self.schedule.telemetry.is_due(now);
        if report_itself {
            self.schedule.telemetry.pass(now);
        }
        let leased = self.post.leased();
        self.routes.iter_mut().for_each(|route| route.finish(report_itself, leased));
        // The shutdown reports the last flush, along with whatever else is lost then.
        if !last {
            self.post.probes.flushed(now);
        }
    }
}

impl Unstarted for Worker {
    fn start(self: Box<Self>) -> Result<Option<Thread>, Box<dyn Unstarted>> {
        match WorkerThread::start() {
            Ok(thread) => Ok(thread.hand(self)),
            Err(_) => Err(self),
        }
    }

    fn end_unstarted(mut self: Box<Self>) {
        self.post.channel.close();
        self.registry.welcome(self.shared.index.take_arrivals());
        self.end();
    }
}

/// The lease.
impl Worker {
    /// Continues under the id that the process has now. All lines are rendered again.
    fn follow_task_id(&mut self) {
        let identity = &self.post.identity;
        let lost = identity.losses() - std::mem::replace(&mut self.losses, identity.losses());
        self.shared.ledger.lost_task_ids.add(lost);
        let (task_id, before) = (identity.task_id(), self.task_id);
        if (task_id, task_id.source()) == (before, before.source()) {
            return;
        }
        self.routes.iter_mut().for_each(|route| route.rename(task_id));
        self.registry.render_anew(&mut self.routes);
        self.shared.ledger.shared_task_ids.add(u64::from(task_id.source() == TaskIdSourceKind::Shared));
        self.task_id = task_id;
    }
}
