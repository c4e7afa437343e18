//! A pool of mongodb, whose events alone tell of it: what is counted at the call says who waits, and its events do not.

mod mongo_server;
#[path = "../../support/mod.rs"]
mod support;
#[path = "../../pools/watched.rs"]
mod watched;

use mongo_server::MongoServer;
use mongodb::bson::doc;
use mongodb::event::EventHandler;
use mongodb::event::cmap::CmapEvent;
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{PATIENCE, wait_until};
use tasktag::{Holder, Holders, PoolStatus};
use tokio::runtime::Runtime;
use watched::Watched;

const MAX: u32 = 2;

/// How often each event came.
#[derive(Debug, Default)]
struct Events {
    started: AtomicU64,
    checked_out: AtomicU64,
    checked_in: AtomicU64,
    failed: AtomicU64,
}

impl Events {
    fn count(&self, event: &CmapEvent) {
        let count = match event {
            CmapEvent::ConnectionCheckoutStarted(_) => &self.started,
            CmapEvent::ConnectionCheckedOut(_) => &self.checked_out,
            CmapEvent::ConnectionCheckedIn(_) => &self.checked_in,
            CmapEvent::ConnectionCheckoutFailed(_) => &self.failed,
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn in_use(&self) -> u64 {
        self.checked_out.load(Ordering::Relaxed) - self.checked_in.load(Ordering::Relaxed)
    }

    /// What the events seem to say of who waits.
    fn naive_waiting(&self) -> u64 {
        let ended = self.checked_out.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed);
        self.started.load(Ordering::Relaxed) - ended
    }
}

/// A call that is counted for as long as it lasts, cut short or not.
async fn ping(calls: Holder, database: Database) {
    let _call = calls.hold(());
    database.run_command(doc! { "ping": 1 }).await.unwrap();
}

async fn connect(server: &MongoServer, events: &Arc<Events>) -> Database {
    let mut options = ClientOptions::parse(server.url()).await.unwrap();
    let events = Arc::clone(events);
    options.max_pool_size = Some(MAX);
    options.cmap_event_handler = Some(EventHandler::callback(move |event| events.count(&event)));
    Client::with_options(options).unwrap().database("shop")
}

/// Calls under way, less those that have a connection.
fn status(events: &Events, calls: &Holders) -> PoolStatus {
    let (in_use, calls) = (events.in_use(), calls.report().held());
    PoolStatus::new().max(u64::from(MAX)).in_use(in_use).waiting(calls.saturating_sub(in_use))
}

#[test]
fn a_call_that_was_cut_while_it_waited_does_not_wait_for_ever() {
    let runtime = Runtime::new().unwrap();
    let (server, events, watched) = (MongoServer::start(), Arc::new(Events::default()), Watched::new());
    let database = runtime.block_on(connect(&server, &events));
    // They are read and not sent: `Watched` takes only what is sent of the pool.
    let calls = tasktag::Client::disabled().holders("calls", 2);
    let _watch = watched.client().watch_pool("primary", {
        let (events, calls) = (Arc::clone(&events), calls.clone());
        move || status(&events, &calls)
    });
    let busy: Vec<_> = (0..MAX).map(|_| runtime.spawn(ping(calls.of("busy"), database.clone()))).collect();
    wait_until(|| events.in_use() == u64::from(MAX));
    let third = runtime.spawn(ping(calls.of("third"), database.clone()));
    wait_until(|| events.naive_waiting() == 1);
    watched.flush().assert(&[("pool.in_use", Some(2.0)), ("pool.waiting", Some(1.0))]);

    third.abort();
    assert!(runtime.block_on(third).unwrap_err().is_cancelled());
    assert_eq!(events.naive_waiting(), 1, "no event tells of the end of a wait that was cut");
    watched.flush().assert(&[("pool.in_use", Some(2.0)), ("pool.waiting", Some(0.0))]);

    server.answer();
    runtime.block_on(async {
        for call in busy {
            tokio::time::timeout(PATIENCE, call).await.unwrap().unwrap();
        }
    });
    wait_until(|| events.in_use() == 0);
    assert_eq!(events.naive_waiting(), 1);
    watched.flush().assert(&[("pool.in_use", Some(0.0)), ("pool.waiting", Some(0.0))]);
}
