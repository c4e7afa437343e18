//! How values that were seen several times are written.

use crate::vocabulary::name::names;

/// How a distribution's values that were seen several times are written.
///
/// | | lines | what servers make of it |
/// |---|---|---|
/// | [`Rates`](Self::Rates) | one for all values of a count, `lat:12.5\|ms\|@0.25` | exact counts, and quantiles that the server computes, where a rate is a repetition: the Datadog Agent, `statsd_exporter`, Telegraf, Vector |
/// | [`Repeats`](Self::Repeats) | one for each time a value was seen | exact up to 1000 values a flush; beyond, quantiles and means of a sample of 1000, and counts of that |
/// | [`Summaries`](Self::Summaries) | seven for all values of a flush | exact counts; the rest is as near as a [`Distribution`](crate::Distribution) keeps values, and of the task, which nobody can add up over tasks |
///
/// Each dialect has a default; see [`Dialect`](crate::Dialect).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Weights {
    /// Once, with the sample rate that servers turn back into the count: they truncate `1 / rate`, so the rate written
    /// is one that they turn into exactly the count. Of a count above 2^52, not each of which has such a rate, several
    /// lines are made.
    ///
    /// A value on a line counts for 4,294,967,295 at most in Vector, and for 260,078,023 in Agent Data Plane as it is set
    /// up by default. `statsd_exporter` keeps a value as often as it was seen, which takes it the time and the memory that as
    /// many lines would. Telegraf takes the time, and keeps 1000 values of a series unless its `percentile_limit` is higher.
    ///
    /// Not for servers that read a rate otherwise: etsy's server weights no value by it, but a timing's count alone;
    /// netdata repeats no value more than 100 times; collectd divides the value itself by it. These count
    /// [`Repeats`](Self::Repeats), or take [`Summaries`](Self::Summaries) where there are more values than that.
    Rates,
    /// As often as it was seen, up to 1000 values of a context in a flush. Of more, a sample of exactly 1000 is sent, and
    /// the others are counted as [`DropReason::Sampled`](crate::DropReason::Sampled):
    ///
    /// * All values in order are cut into 1000 parts of one size, of each of which the greatest value is sent. A server
    ///   that takes a quantile of them shows what it would show of all; the 99th percentile, for example, is the 990th value.
    /// * The mean stays within 2 % of what it was. If the greatest value alone would make it higher by more than 1 %, a
    ///   lower value is sent in its place, and a server's maximum is too low. Otherwise the least and the greatest value are
    ///   among those sent. A thousandth of the values is the finest step: a part of the values that is smaller than that
    ///   and far from the rest is either shown at the wrong percentile or weighs too much.
    /// * What a server counts is what was sent. A `.count` shows 1000 a flush at most, which is 500 a second at the default
    ///   interval, and a sum or a rate is too low by as much. Count calls with a [`Counter`](crate::Counter), or use
    ///   [`Summaries`](Self::Summaries), whose count is exact.
    Repeats,
    /// A counter `<name>.count`, and the gauges `<name>.min`, `.max`, `.avg`, `.p50`, `.p95` and `.p99`. Sets are not
    /// concerned.
    Summaries,
}

names! {
    Weights, "weights":
    Rates = "rates",
    Repeats = "repeats",
    Summaries = "summaries",
}
