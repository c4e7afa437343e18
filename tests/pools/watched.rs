//! A client that watches one pool, `primary`, and what it says of it at a flush.

#![allow(dead_code, reason = "each test file uses a part")]

use crate::support::{self, PATIENCE};
use std::collections::BTreeMap;
use tasktag::testing::Capture;
use tasktag::{Client, Guard};

pub(crate) struct Watched {
    guard: Guard,
    capture: Capture,
}

/// What a flush sent, by name: levels, counts, and of each timing all values.
#[derive(Debug, PartialEq)]
pub(crate) struct Flushed(BTreeMap<String, Vec<f64>>);

impl Watched {
    pub(crate) fn new() -> Self {
        let capture = Capture::new();
        Self { guard: support::builder().capture(&capture).build().unwrap(), capture }
    }

    pub(crate) fn client(&self) -> &Client {
        self.guard.client()
    }

    /// The pool as it is now: a flush reads it.
    pub(crate) fn flush(&self) -> Flushed {
        self.client().flush(PATIENCE).unwrap();
        let mut values = BTreeMap::<String, Vec<f64>>::new();
        for metric in self.capture.take_metrics().unwrap() {
            assert_eq!(metric.tag("pool"), Some("primary"), "{metric:?}");
            let value = metric.value.number().unwrap();
            assert!(value.is_finite(), "{metric:?}");
            let seen = usize::try_from(metric.count()).unwrap();
            values.entry(metric.name).or_default().extend(std::iter::repeat_n(value, seen));
        }
        let stats = self.client().stats();
        assert_eq!((stats.probe_panics, stats.refused_watches), (0, 0));
        Flushed(values)
    }
}

impl Flushed {
    /// The level or the count of a name, where it was sent.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} twice in a flush");
        values.first().copied()
    }

    pub(crate) fn values(&self, name: &str) -> &[f64] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether each name has this level or count, or is absent.
    #[track_caller]
    pub(crate) fn assert(&self, expected: &[(&str, Option<f64>)]) {
        for (name, value) in expected {
            assert_eq!(self.value(name), *value, "{name} in {self:?}");
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
