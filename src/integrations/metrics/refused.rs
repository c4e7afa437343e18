//! Stand-ins for metrics that were refused.

use crate::api::client::Client;
use crate::ledger::DropReason;
use crate::process::fork;
use metrics::{CounterFn, GaugeFn, HistogramFn};

/// Counts the values that are dropped.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) client: Client,
    pub(super) reason: DropReason,
}

impl Refused {
    fn lose(&self, values: u64) {
        fork::check();
        self.client.shared().ledger.refuse(self.reason, values);
    }
}

impl CounterFn for Refused {
    fn increment(&self, _: u64) {
        self.lose(1);
    }

    fn absolute(&self, _: u64) {
        self.lose(1);
    }
}

impl GaugeFn for Refused {
    fn increment(&self, _: f64) {
        self.lose(1);
    }

    fn decrement(&self, _: f64) {
        self.lose(1);
    }

    fn set(&self, _: f64) {
        self.lose(1);
    }
}

impl HistogramFn for Refused {
    fn record(&self, _: f64) {
        self.lose(1);
    }

    fn record_many(&self, _: f64, count: usize) {
        self.lose(count as u64);
    }
}
