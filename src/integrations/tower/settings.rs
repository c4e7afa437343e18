//! The settings of a layer.

use super::start_header::StartHeader;
use std::time::Duration;

/// The prefix, tags and limits of a layer's metrics.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) prefix: String,
    pub(super) tags: Vec<(String, String)>,
    pub(super) capacity: u32,
    pub(super) routes: usize,
    pub(super) critical: Vec<String>,
    pub(super) objectives: Vec<(String, Duration)>,
    pub(super) methods: bool,
    pub(super) distributions: bool,
    pub(super) wait: bool,
    pub(super) ignored: Vec<StartHeader>,
}
