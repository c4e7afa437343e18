//! Datadog's DogStatsD for serverless functions: its extension for AWS Lambda, and the equivalents for Azure and
//! Google.
//!
//! What they accept: <https://github.com/DataDog/serverless-components>, `crates/dogstatsd`.

use super::dogstatsd;
use super::grammar::Grammar;
use super::weights::Weights;
use crate::vocabulary::kind::Kind;

#[derive(Debug)]
pub(super) struct Serverless;

impl Grammar for Serverless {
    fn spread_kinds(&self) -> &'static [Kind] {
        &[Kind::Distribution]
    }

    fn tag_key(&self, raw: &str) -> String {
        dogstatsd::tag_key(raw)
    }

    fn tag_value(&self, raw: &str) -> String {
        dogstatsd::tag_value(raw)
    }

    fn keeps_in_values(&self, c: char) -> bool {
        dogstatsd::stays_in_tag(c)
    }

    fn weights(&self) -> Weights {
        Weights::Repeats
    }

    fn signed_gauges_are_differences(&self) -> bool {
        false
    }

    fn takes_negative_values(&self) -> bool {
        true
    }

    fn telemetry_prefix(&self) -> &'static str {
        dogstatsd::TELEMETRY_PREFIX
    }

    fn tags_at_end(&self, tags: &[(&str, &str)], out: &mut Vec<u8>) {
        dogstatsd::tags(tags, out);
    }

    fn has_timestamps(&self) -> bool {
        true
    }

    fn has_sets(&self) -> bool {
        false
    }

    fn reads_rates(&self) -> bool {
        // The server reads rates, but counts each value once.
        false
    }
}
