//! How repeated values are written.

use crate::vocabulary::name::names;

/// How a distribution's repeated values are written.
///
/// | | lines | result on the server |
/// |---|---|---|
/// | [`Rates`](Self::Rates) | one for all values with the same count, `lat:12.5\|ms\|@0.25` | exact counts, and quantiles that the server computes, if it treats a rate as a repetition: the Datadog Agent, `statsd_exporter`, Telegraf, Vector |
/// | [`Repeats`](Self::Repeats) | one for each occurrence of a value | exact up to 1000 values a flush; above that, counts, quantiles and means of a sample of 1000 |
/// | [`Summaries`](Self::Summaries) | seven for all values of a flush | exact counts; the other numbers have the precision of a [`Distribution`](crate::Distribution), and are per task: they can't be added up over tasks |
///
/// Each dialect has a default; see [`Dialect`](crate::Dialect).
///
/// ```
/// use tasktag::{Client, Dialect, Weights};
///
/// // More than 1000 values a flush, for a server that ignores sample rates.
/// let builder = Client::builder().dialect(Dialect::TaggedStatsd).weights(Weights::Summaries);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Weights {
    /// Writes each value once, with a sample rate chosen so that a server computing `trunc(1 / rate)` recovers the
    /// exact count. Counts above 2^52 may be split over several lines, because not every one has such a rate.
    ///
    /// - Vector counts a value on a line at most 4,294,967,295 times.
    /// - Agent Data Plane, with its default settings, counts it at most 260,078,023 times.
    /// - `statsd_exporter` stores every repetition, which takes as much time and memory as that many lines would.
    /// - Telegraf takes the same time, and keeps 1000 values of a series unless its `percentile_limit` is higher.
    ///
    /// Don't use rates with servers that interpret them differently. Etsy's server applies a rate only to a timing's
    /// count, and to no value. netdata repeats a value at most 100 times. collectd divides the value itself by the
    /// rate. Send [`Repeats`](Self::Repeats) to these, or [`Summaries`](Self::Summaries) if there are more values than
    /// `Repeats` sends.
    Rates,
    /// Writes each value as often as it occurred, up to 1000 values of a context in a flush. If there are more, exactly
    /// 1000 of them are sent, and the others are counted as [`DropReason::Sampled`](crate::DropReason::Sampled):
    ///
    /// * The sorted values are divided into 1000 parts of equal size, and the greatest value of each part is sent. A
    ///   quantile of the sample equals that of all values: the 99th percentile, for example, is the 990th value sent.
    /// * The mean changes by at most 2 %. If the greatest value alone would raise it by more than 1 %, a lower value is
    ///   sent instead, and the server's maximum is too low. Otherwise the least and the greatest value are in the
    ///   sample.
    /// * The resolution is a thousandth of the values. A smaller group of values far from the rest either appears at
    ///   the wrong percentile or has too much weight.
    /// * The server counts only what was sent. A `.count` is at most 1000 a flush, which is 500 a second at the default
    ///   interval, and sums and rates are too low in proportion. Count calls with a [`Counter`](crate::Counter), or use
    ///   [`Summaries`](Self::Summaries), whose count is exact.
    Repeats,
    /// Writes a counter `<name>.count` and the gauges `<name>.min`, `.max`, `.avg`, `.p50`, `.p95` and `.p99`. Sets are
    /// not affected.
    Summaries,
}

names! {
    Weights, "weights":
    Rates = "rates",
    Repeats = "repeats",
    Summaries = "summaries",
}
