//! Gates whose load has to be waited for.

use super::Sealed;
use super::inquiry::Inquiry;
use crate::api::gate::{Gate, GateBuilder, Load};
use crate::vocabulary::error::ConfigError;
use tokio::runtime::Handle;

/// Adds a method to [`GateBuilder`] that measures what has to be waited for.
///
/// ```
/// # async fn waiting_jobs() -> Result<u32, std::io::Error> { Ok(30) }
/// # fn example(client: &tasktag::Client) -> Result<(), tasktag::ConfigError> {
/// use tasktag::integrations::tokio::MeasureAsync;
/// use tasktag::{Admission, Load};
/// use tokio::runtime::Handle;
///
/// let gate = client
///     .gate("mail")
///     .class("newsletters", Admission::below(0.5))
///     .measure_async(&Handle::current(), || async {
///         // SELECT count(*) FROM jobs
///         Load::of(waiting_jobs().await.ok().map(|jobs| f64::from(jobs) / 1000.0))
///     })?;
/// # drop(gate);
/// # Ok(())
/// # }
/// ```
#[allow(private_bounds, reason = "it is the builder's, and more may be added to it")]
pub trait MeasureAsync: Sealed {
    /// Sets up a gate that asks `measure` once for each sample, in a task of the runtime. The gate has an answer as
    /// soon as there is one.
    ///
    /// One question is asked at a time. A question that has no answer until the next sample is due is given up: its
    /// future is dropped, and the next one follows. After two samples without an answer, and once the runtime is shut
    /// down, the load is unknown.
    ///
    /// Return [`Load::unknown`] if a query fails. A panic is counted as that of any
    /// [watched closure](crate::WatchBuilder::watch).
    ///
    /// # Errors
    ///
    /// Fails if a threshold or a share is out of its range, or if there are more than 16 classes.
    fn measure_async<A>(
        self,
        runtime: &Handle,
        measure: impl FnMut() -> A + Send + 'static,
    ) -> Result<Gate, ConfigError>
    where
        A: Future<Output = Load> + Send + 'static;
}

impl MeasureAsync for GateBuilder<'_> {
    fn measure_async<A>(
        self,
        runtime: &Handle,
        mut measure: impl FnMut() -> A + Send + 'static,
    ) -> Result<Gate, ConfigError>
    where
        A: Future<Output = Load> + Send + 'static,
    {
        let (clock, every) = (self.clock(), self.ask_every());
        let runtime = runtime.clone();
        self.sampled(move |told| {
            let ask = move || {
                let (told, asked) = (told.clone(), measure());
                async move {
                    told.observe(asked.await);
                }
            };
            let mut inquiry = Inquiry::new(clock, runtime, every, ask);
            move || inquiry.status().is_some()
        })
    }
}
