//! Objectives: promises about events and about time, and how fast their budgets are used.
//!
//! `course` is the middle, from what was seen in each slice to burn rates, without a clock or a thread; `probe` looks at
//! the clock and at what is seen, and has `metrics` report it.

mod builder;
mod burn_alert;
mod burn_window;
mod by_event;
mod by_time;
mod counts;
mod course;
mod events;
mod goal;
mod grid;
mod history;
mod history_file;
mod metrics;
mod probe;
mod record;
mod ring;
mod slice;
mod standing;
mod target;
mod timer;

pub use self::builder::{DEFAULT_MIN_BAD, DEFAULT_PERIOD_DAYS, DEFAULT_SLICE, ObjectiveBuilder};
pub use self::burn_alert::{AlertSeverity, BurnAlert};
pub use self::burn_window::BurnWindow;
pub use self::by_event::{ByEvent, Objective};
pub use self::by_time::{ByTime, TimeObjective};
#[cfg(feature = "tower")]
pub(crate) use self::events::Events;
pub use self::slice::{SliceCounts, SliceState};
pub use self::target::Target;
pub use self::timer::ObjectiveTimer;
