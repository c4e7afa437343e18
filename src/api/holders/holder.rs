//! One holder.

use super::held::Held;
use super::metrics::HolderMetrics;
use super::roster::Roster;
use super::turn::Turn;
use super::wait::Wait;
use crate::api::client::Client;
use std::sync::Arc;

/// One holder of a scarce thing: a job, an endpoint, a feature. [`Holders::of`](crate::Holders::of) returns one.
///
/// A clone is cheap and is the same holder. Look the holder up once, and keep it where the connections are used. To
/// wait, to acquire and to release take no lock and allocate nothing. They make no system call as long as the tables of
/// the holder's two timings have room.
///
/// A synchronous pool:
///
/// ```
/// # use std::sync::Mutex;
/// # let pool = Mutex::new(vec!["a connection"]);
/// # let get = || pool.lock().ok().and_then(|mut free| free.pop()).ok_or("no connection");
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let checkout = client.holders("primary", 10).of("checkout");
/// let wait = checkout.wait();
/// let connection = wait.acquired(get()?); // an error cancels the wait, without being counted
/// assert_eq!(*connection, "a connection");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a holder reports only what it waits for and holds"]
pub struct Holder {
    metrics: Arc<HolderMetrics>,
    // The oldest holds are reported for as long as there are holders.
    _roster: Arc<Roster>,
}

impl Holder {
    /// Returns the holder of this name, or `other`.
    pub(super) fn new(roster: &Arc<Roster>, name: &str) -> Self {
        Self { metrics: Arc::clone(roster.of(name)), _roster: Arc::clone(roster) }
    }

    /// Returns the value of the tag `holder`, which is `other` for a name without a slot.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metrics.name()
    }

    /// Begins a wait, which the returned guard ends.
    #[inline]
    pub fn wait(&self) -> Wait {
        Wait::new(Turn::wait(Arc::clone(&self.metrics)))
    }

    /// Waits for a future, and holds what it returns. `is_timeout` tells an error that means that the wait took too
    /// long from the others, as with [`Wait::ended`].
    ///
    /// The wait begins when the returned future is first polled. It ends with the result, or is cancelled when the
    /// future is dropped. Any runtime will do.
    ///
    /// A time limit belongs inside: around this call it would drop the future, and count nothing.
    ///
    /// ```
    /// # async fn example(checkout: &tasktag::Holder, permits: &tokio::sync::Semaphore)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use tokio::time::timeout;
    ///
    /// let permit = checkout.wait_for(timeout(Duration::from_secs(1), permits.acquire()), |_| true).await?;
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the error of the future, which is counted.
    pub async fn wait_for<C, E>(
        &self,
        acquiring: impl Future<Output = Result<C, E>>,
        is_timeout: impl FnOnce(&E) -> bool,
    ) -> Result<Held<C>, E> {
        // It lives in the future, and so is dropped with it.
        let wait = self.wait();
        wait.ended(acquiring.await, is_timeout)
    }

    /// Begins a hold of something that was acquired without a wait, for example by `try_acquire`. No wait is recorded.
    #[inline]
    pub fn hold<C>(&self, unit: C) -> Held<C> {
        Held::new(Turn::hold(Arc::clone(&self.metrics)), unit)
    }
}

/// Reports nothing, as the handles of a [disabled client](crate::Client::disabled).
impl Default for Holder {
    fn default() -> Self {
        Client::disabled().holders("", 0).of("")
    }
}
