//! DogStatsD's encoder: metrics, events, service checks.

#![no_main]

#[path = "../src/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::dogstatsd(input));
