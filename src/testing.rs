//! Tools for testing a program's own instrumentation, without a socket, a sleep or a second process.
//!
//! ```
//! use std::time::Duration;
//! use tasktag::Client;
//! use tasktag::testing::{Capture, Value};
//!
//! let capture = Capture::new();
//! let guard = Client::builder().prefix("shop").capture(&capture).build()?;
//! guard.client().counter("jobs.done").tag("queue", "mail").increment(3);
//! guard.client().flush(Duration::from_secs(5))?;
//!
//! let metrics = capture.take_metrics()?;
//! let done = metrics.iter().find(|metric| metric.name == "shop.jobs.done").ok_or("not sent")?;
//! assert_eq!(done.value, Value::Number(3.0));
//! assert_eq!(done.tag("queue"), Some("mail"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod capture;
mod clock;
mod parse;
mod system_root;

pub use self::capture::Capture;
pub use self::parse::{
    ParseError, Parsed, ParsedEvent, ParsedMetric, ParsedOrigin, ParsedServiceCheck, Value, parse,
};
pub use crate::process::clock::ManualClock;
