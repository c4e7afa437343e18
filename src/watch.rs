//! Pools and queues as they are watched: a status, and the gauges that report it.

mod pool;
mod queue;

pub use self::pool::PoolStatus;
pub use self::queue::{QueueDepth, QueueStatus, QueueTicket};

use crate::client::Client;
use crate::handle::Gauge;
use crate::probe::{Collect, Watch};
use std::marker::PhantomData;

/// One gauge of a status.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub(crate) name: &'static str,
    /// Whether `<name>.max` is reported too. A configured limit has no peak.
    pub(crate) peak: bool,
    /// `None` is reported as nothing.
    pub(crate) value: Option<f64>,
}

/// A status that can be watched.
pub trait Watchable: Send + 'static {
    /// The default prefix of its gauges, and the key of the tag that names what is watched.
    #[doc(hidden)]
    const NOUN: &'static str;
    #[doc(hidden)]
    fn fields(&self) -> Vec<Field>;
}

/// A pool or a queue that is about to be watched. [`Client::pool`] and [`Client::queue`] give one.
///
/// Gauges are named `<prefix>.<field>` with the client's own prefix before them, and tagged with what is watched:
/// `shop.pool.in_use` with `pool:primary`. The peak since the last flush is `<prefix>.<field>.max`; the configured
/// limits, `pool.max` and `queue.capacity`, have none.
#[derive(Clone, Debug)]
#[must_use = "nothing is watched until `watch` is called"]
pub struct WatchBuilder<'a, S> {
    client: &'a Client,
    prefix: String,
    tags: Vec<(String, String)>,
    status: PhantomData<fn() -> S>,
}

impl<'a, S: Watchable> WatchBuilder<'a, S> {
    pub(crate) fn new(client: &'a Client, name: &str) -> Self {
        let tags = vec![(S::NOUN.to_owned(), name.to_owned())];
        Self { client, prefix: S::NOUN.to_owned(), tags, status: PhantomData }
    }

    /// What the gauges' names start with. Defaults to `pool` or `queue`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.trim_end_matches('.').clone_into(&mut self.prefix);
        self
    }

    /// Adds a tag to every gauge.
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Has the worker ask `status` at every collection, four times a second by default, until the [`Watch`] is
    /// dropped.
    ///
    /// The worker asks: nothing else is sent while `status` runs, so it must be quick and must not wait. A panic of it
    /// is caught and counted; after three in a row it is asked no more.
    pub fn watch(self, status: impl FnMut() -> S + Send + 'static) -> Watch {
        let probe = StatusProbe {
            client: self.client.clone(),
            prefix: self.prefix,
            tags: self.tags,
            status,
            gauges: Vec::new(),
        };
        Watch::new(self.client.shared().watch(Box::new(probe)))
    }
}

/// Asks for a status and sets a gauge for each of its fields.
#[derive(Debug)]
struct StatusProbe<F> {
    client: Client,
    prefix: String,
    tags: Vec<(String, String)>,
    status: F,
    // In the order of the status's fields; a field that was never known has none.
    gauges: Vec<Option<Gauge>>,
}

impl<F> StatusProbe<F> {
    fn register(&self, field: Field) -> Gauge {
        let name = if self.prefix.is_empty() {
            field.name.to_owned()
        } else {
            format!("{}.{}", self.prefix, field.name)
        };
        let tags: Vec<_> = self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let builder = self.client.gauge(&name).tags(&tags);
        if field.peak { builder.peak().register() } else { builder.register() }
    }
}

impl<S: Watchable, F: FnMut() -> S + Send> Collect for StatusProbe<F> {
    fn collect(&mut self) {
        let fields = (self.status)().fields();
        let mut gauges = std::mem::take(&mut self.gauges);
        gauges.resize_with(fields.len(), || None);
        for (gauge, field) in gauges.iter_mut().zip(fields) {
            match (field.value, gauge) {
                (Some(value), gauge) => gauge.get_or_insert_with(|| self.register(field)).set(value),
                (None, Some(gauge)) => gauge.unset(),
                (None, None) => {}
            }
        }
        self.gauges = gauges;
    }
}

/// `part / whole` of what is known, and nothing where the whole is 0.
fn ratio(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    match (part, whole) {
        (Some(part), Some(whole)) if whole > 0 => Some(part as f64 / whole as f64),
        _ => None,
    }
}

fn level(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}
