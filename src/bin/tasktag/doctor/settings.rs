//! What the library makes of the variables.

use super::finding::Finding;
use super::surroundings::{Surroundings, Variables};
use std::path::Path;
use std::time::Duration;
use tasktag::testing::{Capture, Parsed, ParsedMetric, parse};
use tasktag::{Client, ClientBuilder, ConfigError, DEFAULT_AGENT, Guard};

/// The metric by which it is seen how any metric is sent.
const PROBE: &str = "tasktag.doctor";
const PATIENCE: Duration = Duration::from_secs(5);

/// The variables that give the address, and two values of each that are read differently.
pub(super) const ADDRESS: [(&str, [&str; 2]); 7] = [
    ("DD_DOGSTATSD_URL", ["udp://192.0.2.1", "udp://192.0.2.2"]),
    ("DD_AGENT_HOST", ["192.0.2.1", "192.0.2.2"]),
    ("DD_DOGSTATSD_SOCKET", ["/1", "/2"]),
    ("STATSD_ADDR", ["192.0.2.1", "192.0.2.2"]),
    ("STATSD_HOST", ["192.0.2.1", "192.0.2.2"]),
    ("DD_DOGSTATSD_PORT", ["1", "2"]),
    ("STATSD_PORT", ["1", "2"]),
];

/// The settings of a client with some variables.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    variables: Variables,
    root: std::path::PathBuf,
}

impl Settings {
    pub(super) fn new(surroundings: &Surroundings) -> Self {
        Self { variables: surroundings.variables.clone(), root: surroundings.system_root().to_owned() }
    }

    /// The same with another value of a variable.
    pub(super) fn with(&self, variable: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.variables.insert(variable.to_owned(), value.to_owned());
        other
    }

    pub(super) fn builder(&self) -> ClientBuilder {
        let never = Duration::from_secs(3600);
        let builder = Client::builder().from_vars(self.variables.clone());
        builder.telemetry(false).flush_interval(never).collect_interval(never)
    }

    pub(super) fn address(&self) -> Result<String, ConfigError> {
        // What is wrong with any other variable is told as well.
        drop(self.captured()?);
        let address = self.builder().system_root(&self.root).agent_address()?;
        if self.is_of_this_process() {
            return Ok(address);
        }
        // A socket that was found in the directory of links is shown where that process has it.
        Ok(address.replacen(&self.root.display().to_string(), "", 1))
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.captured().is_ok_and(|(guard, _)| guard.client().is_disabled())
            || self.builder().agent_address().is_ok_and(|address| address == "null:")
    }

    /// The line of a metric, as an agent gets it.
    pub(super) fn line(&self) -> Result<String, ConfigError> {
        let (guard, capture) = self.captured()?;
        guard.client().gauge(PROBE).set(1.0);
        // A capture takes everything at once.
        let _ = guard.client().flush(PATIENCE);
        Ok(capture.take_lines().concat())
    }

    /// The same, read.
    pub(super) fn metric(&self) -> Option<ParsedMetric> {
        match parse(self.line().ok()?.as_bytes()).ok()?.pop()? {
            Parsed::Metric(metric) => Some(metric),
            _ => None,
        }
    }

    fn captured(&self) -> Result<(Guard, Capture), ConfigError> {
        let capture = Capture::new();
        let guard = self.builder().capture(&capture).system_root(&self.root).build()?;
        Ok((guard, capture))
    }

    /// Whether another value of a variable would change where something is sent to.
    pub(super) fn address_depends_on(&self, variable: &str, values: [&str; 2]) -> bool {
        let [one, two] = values.map(|value| self.with(variable, value).builder().agent_address().ok());
        one != two
    }

    /// Says the address and how it was found.
    pub(super) fn found(&self, address: &str) -> Finding {
        let is_set = |variable: &str| self.variables.get(variable).is_some_and(|value| !value.is_empty());
        let from: Vec<_> = ADDRESS
            .into_iter()
            .filter(|(variable, _)| is_set(variable) && !self.is_service_link(variable))
            .filter(|(variable, values)| self.address_depends_on(variable, *values))
            .map(|(variable, _)| variable)
            .collect();
        let how = if !from.is_empty() {
            format!("from {}", from.join(" and "))
        } else if address == DEFAULT_AGENT {
            "the default, because no variable says another".to_owned()
        } else {
            "the socket of a Datadog Agent on this host, because no variable says another".to_owned()
        };
        Finding::ok("address", format!("{address}, {how}"))
    }

    /// Whether Kubernetes made the variable for a Service.
    pub(super) fn is_service_link(&self, variable: &str) -> bool {
        let is_url = self.variables.get(variable).is_some_and(|value| value.contains("://"));
        is_url && variable.ends_with("_PORT")
    }

    /// Whether the files are those of this process.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.root == Path::new("/")
    }
}
