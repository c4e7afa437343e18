//! What version 0.1.0 had, from before its contexts took what their values need.
//!
//! Where a machine matters, the figure is a ratio to something that is measured in every run. The figures of the whole
//! program, of the family and of the flush are from this bench with the library as it was then.

/// Resident kB of a timing with 1 value, of 2,000.
pub const TIMING_1_KB: f64 = 60.8;
/// … with 30 values.
pub const TIMING_30_KB: f64 = 62.2;
/// … with 1,000 values.
pub const TIMING_1000_KB: f64 = 62.3;
/// What all tables of a distribution took together, bytes.
pub const HOT_TIMING_BYTES: f64 = 176.0 * 1024.0;
/// Resident bytes of a gauge, of 100,000.
pub const GAUGE_BYTES: f64 = 1399.0;
/// Resident kB of a family of 240 timings of which 8 are used.
pub const FAMILY_KB: f64 = 15_160.0;
/// Instructions of a record on a known timing, the loop included.
pub const RECORD_INSTRUCTIONS: f64 = 38.0;
/// Resident MB of a program of four threads and 200 timings.
pub const PROGRAM_MB: f64 = 7.96;
/// CPU seconds of compiling the default build, relative to those of compiling cadence: 21.2 and 2.5.
pub const COMPILE_PER_CADENCE: f64 = 21.2 / 2.5;
/// A flush of 10,000 busy timings with 20 values each, relative to formatting their numbers.
pub const FLUSH_PER_FORMATTING: f64 = 7.3;
