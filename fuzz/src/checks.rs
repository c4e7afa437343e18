//! What must hold for any input: one check a target, for the fuzzer and for the replay of its corpus.
//!
//! The rules of cleaning are told again here, from the documentation of [`Dialect`], so that a mistake in the
//! encoders is not made twice.

#![allow(dead_code, reason = "each target uses a part")]

#[cfg(feature = "cadence")]
#[path = "cadence.rs"]
mod cadence_check;
mod call;
#[path = "environment.rs"]
mod environment_check;
mod input;
mod line;
#[path = "packets.rs"]
mod packets_check;
mod rule;
mod sent;
mod setting;
mod told;
mod values;

use tasktag::Dialect;

/// Panics where something does not hold for the input.
pub(crate) type Check = fn(&[u8]);

/// The targets by name, which is that of a folder of the corpus too.
pub(crate) const TARGETS: &[(&str, Check)] = &[
    #[cfg(feature = "cadence")]
    ("cadence", cadence),
    ("dogstatsd", dogstatsd),
    ("environment", environment),
    ("graphite", graphite),
    ("influx", influx),
    ("librato", librato),
    ("packets", packets),
    ("signalfx", signalfx),
    ("statsd", statsd),
    ("tagged_statsd", tagged_statsd),
];

#[cfg(feature = "cadence")]
pub(crate) fn cadence(input: &[u8]) {
    cadence_check::check(input);
}

pub(crate) fn dogstatsd(input: &[u8]) {
    call::check(Dialect::DogStatsd, input);
}

pub(crate) fn tagged_statsd(input: &[u8]) {
    call::check(Dialect::TaggedStatsd, input);
}

pub(crate) fn graphite(input: &[u8]) {
    call::check(Dialect::Graphite, input);
}

pub(crate) fn influx(input: &[u8]) {
    call::check(Dialect::Influx, input);
}

pub(crate) fn librato(input: &[u8]) {
    call::check(Dialect::Librato, input);
}

pub(crate) fn signalfx(input: &[u8]) {
    call::check(Dialect::SignalFx, input);
}

pub(crate) fn statsd(input: &[u8]) {
    call::check(Dialect::Statsd, input);
}

pub(crate) fn environment(input: &[u8]) {
    environment_check::check(input);
}

pub(crate) fn packets(input: &[u8]) {
    packets_check::check(input);
}
