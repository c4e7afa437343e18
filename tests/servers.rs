//! Real servers and the official client agree with what is sent: every value, every count and every byte.
//!
//! A test needs a program that is not part of Rust, and says on standard error which variable would turn it on where
//! it is not told of one:
//!
//! * `TASKTAG_TEST_STATSD`: the folder of npm's `statsd` 0.9.0, with `node` in the path;
//! * `TASKTAG_TEST_COLLECTD`: `collectd` itself, with its `statsd` plugin;
//! * `TASKTAG_TEST_NETDATA`: `netdata` itself, or what starts it in its own place;
//! * `TASKTAG_TEST_NAVDOON_PYTHON`: a Python that can import the package `navdoon`;
//! * `TASKTAG_TEST_CARBON`: `carbon-cache`, or what starts it in its own place, for what `statsd` hands on to Graphite;
//! * `TASKTAG_TEST_DATADOG_PYTHON`: a Python that can import the package `datadog`.
//!
//! `.ci/run` installs all six.

#[path = "servers/carbon.rs"]
mod carbon;
#[path = "servers/collectd.rs"]
mod collectd;
#[path = "servers/datadog.rs"]
mod datadog;
#[path = "servers/navdoon.rs"]
mod navdoon;
#[path = "servers/netdata.rs"]
mod netdata;
#[path = "servers/process.rs"]
mod process;
#[path = "servers/program.rs"]
mod program;
#[path = "servers/statsd.rs"]
mod statsd;
mod support;
