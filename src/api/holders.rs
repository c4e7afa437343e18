//! Who holds a scarce thing, for how long, and who waits for it.

mod builder;
mod family;
mod held;
mod holder;
mod metrics;
mod report;
mod roster;
mod turn;
mod wait;

pub use self::builder::HoldersBuilder;
pub use self::family::HolderFamily;
pub use self::held::Held;
pub use self::holder::Holder;
pub use self::report::{HolderReport, HoldersReport};
pub use self::wait::Wait;

use self::roster::Roster;
use crate::api::client::Client;
use std::sync::Arc;

/// Who holds the connections of a pool, for how long, who waits, and who leaks. It works for any scarce thing: permits,
/// file handles, the quota of an API. [`Client::holders`] creates one.
///
/// A pool knows how many of its connections are in use, and not by whom. Each use of a [`Holder`] says by whom:
///
/// ```
/// # async fn example(client: &tasktag::Client, pool: &tokio::sync::Semaphore)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let holders = client.holders("primary", 10);
/// let checkout = holders.of("checkout");
///
/// let connection = checkout.wait_for(pool.acquire(), |_| false).await?;
/// // … held until here, also when this panics
/// drop(connection);
/// println!("{}", holders.report());
/// # Ok(())
/// # }
/// ```
///
/// # Which metric for which question
///
/// Each metric has the tags `pool:primary` and `holder:checkout`.
///
/// | question | metric | kind |
/// |---|---|---|
/// | who holds the connections? | `pool.held.in_use`, and its peak `pool.held.in_use.max` | [occupancy](crate::Occupancy) |
/// | … on average, as a share of all? | `pool.held.utilization`, with a [`capacity`](HoldersBuilder::capacity) | occupancy |
/// | for how long at a time? | `pool.hold`, in milliseconds | timing |
/// | who waits now? | `pool.waiting`, and its peak `pool.waiting.max` | gauge |
/// | how long does one wait? | `pool.wait`, in milliseconds | timing |
/// | who gave up? | `pool.timeouts` | counter |
/// | who failed to get one? | `pool.errors` | counter |
/// | who leaks? | `pool.oldest_hold_seconds` | gauge |
///
/// A wait lasts as long as the caller does without the connection. That includes the time in which the pool opens or
/// checks one. `pool.wait` has the waits that got a connection and those that took too long. A cancelled wait is
/// recorded nowhere.
///
/// A leaked connection is the oldest hold of its holder, and its age grows at every collection. The age is 0 while
/// nothing is held. It is exact as long as the holder has at most 128 holds at once. A hold beyond that is
/// [counted](HolderReport::untracked), and the age is then that of the oldest of the others.
///
/// Holds lie within the pool's own uses: a hold begins after the pool gave the connection out, and ends before it is
/// given back. The sum of `pool.held.in_use` is therefore never above what the pool has.
///
/// A pool that is [watched](Client::watch_pool) reports a `pool.waiting` of its own, without the tag `holder`. Filter
/// by `holder:*`, or leave `waiting` out of its status.
///
/// # Names
///
/// The first names get a slot each, and keep it as long as this lives. All further ones become `other`, as with a
/// [bounded tag](crate::MetricBuilder::bounded). This is counted in [`folded`](Self::folded) and
/// [`Stats::folded_values`](crate::Stats::folded_values). If the client has no room for the contexts of another holder,
/// its name becomes `other` too.
///
/// Make one of these for each pool, and clone it. A second one with the same prefix and tags adds to the same metrics,
/// but its oldest holds are not reported, which is counted in
/// [`Stats::refused_watches`](crate::Stats::refused_watches).
///
/// A holder reports as long as this or one of its [`Holder`]s lives, and its holds and waits as long as they last.
///
/// A forked child has the same holders, and begins with none of its parent's holds and waits.
///
/// # Costs
///
/// A wait, a hold and its end read the clock three times and change about ten atomic words. They take no lock and
/// allocate nothing. Two holders share nothing that is written. A holder takes 8.5 KiB, and more as its two timings
/// need it.
#[derive(Clone, Debug)]
#[must_use = "holders report nothing unless something waits or is held"]
pub struct Holders {
    roster: Arc<Roster>,
}

/// Holders.
impl Client {
    /// Returns the holders of a pool, or of another scarce thing, with this name. At most `limit` of them have a slot,
    /// up to 256; see [`Holders`]. [`Holders::builder`] has more settings.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let holders = client.holders("primary", 10);
    /// let checkout = holders.of("checkout");
    /// # drop(checkout);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn holders(&self, name: &str, limit: usize) -> Holders {
        Holders::builder(self, name).register(limit)
    }
}

impl Holders {
    /// Returns a builder for holders with another prefix, more tags or a capacity, or for those that a closed tag
    /// names.
    pub fn builder<'a>(client: &'a Client, name: &str) -> HoldersBuilder<'a> {
        HoldersBuilder::new(client, name)
    }

    /// Returns the holder of this name. A new name is registered now, if there is a slot for it. Without a slot it
    /// becomes `other`. A name that is longer than 100 characters is truncated to 100.
    pub fn of(&self, name: &str) -> Holder {
        Holder::new(&self.roster, name)
    }

    /// Returns the number of calls of [`of`](Self::of) whose name had no slot and became `other`. A forked child
    /// continues from its parent's count.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.roster.folded()
    }

    /// Returns who holds how much, for how long, and who waits. Log it when the pool has timed out:
    ///
    /// ```
    /// # let client = tasktag::Client::disabled();
    /// # let holders = client.holders("primary", 10);
    /// # fn log(_: std::fmt::Arguments<'_>) {}
    /// log(format_args!("no connection within 30 s: {}", holders.report()));
    /// ```
    ///
    /// It also works with a [disabled](Client::disabled) client.
    #[must_use]
    pub fn report(&self) -> HoldersReport {
        self.roster.report()
    }
}

/// Reports nothing, as the handles of a [disabled client](Client::disabled).
impl Default for Holders {
    fn default() -> Self {
        Client::disabled().holders("", 0)
    }
}
