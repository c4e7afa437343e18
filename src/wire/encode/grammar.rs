//! What makes one dialect differ from another.

use super::weights::Weights;
use super::{Unencodable, clean};
use crate::vocabulary::event::{Event, ServiceCheck};
use crate::vocabulary::kind::Kind;
use std::fmt;
use std::panic::RefUnwindSafe;

/// A dialect's rules.
pub(crate) trait Grammar: fmt::Debug + Send + Sync + RefUnwindSafe {
    /// What distributions, histograms and timings can be sent as, the default first.
    fn spread_kinds(&self) -> &'static [Kind];
    fn tag_key(&self, raw: &str) -> String;
    fn tag_value(&self, raw: &str) -> String;

    /// Whether a character stays in a tag's value, whatever stands beside it. The letters, digits and marks that every
    /// dialect keeps, unless it is known to keep more.
    fn keeps_in_values(&self, c: char) -> bool {
        clean::is_kept_everywhere(c)
    }

    /// Whether a key of a tag becomes another one, though its characters may stay.
    fn renames(&self, _key: &str) -> bool {
        false
    }

    fn weights(&self) -> Weights;
    fn signed_gauges_are_differences(&self) -> bool;
    fn takes_negative_values(&self) -> bool;
    fn telemetry_prefix(&self) -> &'static str;

    /// Tags that stand in the name, before the number.
    fn tags_in_name(&self, _tags: &[(&str, &str)], _out: &mut Vec<u8>) {}

    /// Tags that stand behind the number: `|#queue:within_1_minute,task_id:0042`.
    fn tags_at_end(&self, _tags: &[(&str, &str)], _out: &mut Vec<u8>) {}

    /// Whether there are packed values and an origin.
    fn is_dogstatsd(&self) -> bool {
        false
    }

    fn has_timestamps(&self) -> bool {
        false
    }

    fn has_sets(&self) -> bool {
        true
    }

    fn reads_rates(&self) -> bool {
        true
    }

    fn member(&self, raw: &str) -> String {
        // What follows another colon is read as another value.
        clean::member(raw, |c| c != '|' && c != ':' && !c.is_control())
    }

    /// Writes a line of up to `room` bytes, and says whether it has less than all of the text. One that can't be cut to
    /// that is longer. `fields` are rendered: tags and origin.
    fn event(
        &self,
        _event: &Event,
        _fields: &[u8],
        _room: usize,
        _out: &mut Vec<u8>,
    ) -> Result<bool, Unencodable> {
        Err(Unencodable::Unsupported)
    }

    /// As [`event`](Self::event).
    fn service_check(
        &self,
        _check: &ServiceCheck,
        _fields: &[u8],
        _room: usize,
        _out: &mut Vec<u8>,
    ) -> Result<bool, Unencodable> {
        Err(Unencodable::Unsupported)
    }
}
