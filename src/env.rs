//! What the environment says about the agent and the tags.

use crate::encode::Dialect;
use crate::error::ConfigError;
use crate::transport::Address;
use std::collections::HashMap;

const DD_DOGSTATSD_URL: &str = "DD_DOGSTATSD_URL";
const DD_AGENT_HOST: &str = "DD_AGENT_HOST";
const DD_DOGSTATSD_PORT: &str = "DD_DOGSTATSD_PORT";
const STATSD_HOST: &str = "STATSD_HOST";
const STATSD_PORT: &str = "STATSD_PORT";
const DD_TAGS: &str = "DD_TAGS";
const DD_ENTITY_ID: &str = "DD_ENTITY_ID";
/// Datadog's unified service tags.
const SERVICE_TAGS: [(&str, &str); 3] =
    [("DD_ENV", "env"), ("DD_SERVICE", "service"), ("DD_VERSION", "version")];
/// The Agent turns this tag into those of the pod.
const ENTITY_ID_TAG: &str = "dd.internal.entity_id";

/// Variables and their values; the empty ones are left out.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    vars: HashMap<String, String>,
}

impl Environment {
    pub(crate) fn new(vars: impl Iterator<Item = (String, String)>) -> Self {
        Self { vars: vars.filter(|(_, value)| !value.is_empty()).collect() }
    }

    fn get(&self, variable: &str) -> Option<&str> {
        self.vars.get(variable).map(String::as_str)
    }

    /// The agent's address, if any variable gives one.
    pub(crate) fn address(&self) -> Result<Option<Address>, ConfigError> {
        if let Some(url) = self.get(DD_DOGSTATSD_URL) {
            let address = Address::parse(url);
            return address.map(Some).map_err(|reason| ConfigError::variable(DD_DOGSTATSD_URL, url, reason));
        }
        match self.host_and_port(DD_AGENT_HOST, DD_DOGSTATSD_PORT)? {
            Some(address) => Ok(Some(address)),
            None => self.host_and_port(STATSD_HOST, STATSD_PORT),
        }
    }

    /// One of the two is enough: the agent is on this host, or on its usual port.
    fn host_and_port(
        &self,
        host_variable: &'static str,
        port_variable: &'static str,
    ) -> Result<Option<Address>, ConfigError> {
        let (host, port) = (self.get(host_variable), self.get(port_variable));
        if host.is_none() && port.is_none() {
            return Ok(None);
        }
        let port = port.map_or(Ok(crate::transport::DEFAULT_PORT), |text| {
            Address::parse_port(text).map_err(|reason| ConfigError::variable(port_variable, text, reason))
        })?;
        let host = host.unwrap_or("127.0.0.1");
        let address = Address::udp(host, port);
        address.map(Some).map_err(|reason| ConfigError::variable(host_variable, host, reason))
    }

    /// Global tags, in the order they are written.
    pub(crate) fn tags(&self, dialect: Dialect) -> Vec<(String, String)> {
        let listed = self.get(DD_TAGS).unwrap_or_default();
        let mut tags: Vec<(String, String)> = listed
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|tag| !tag.is_empty())
            .map(|tag| tag.split_once(':').unwrap_or((tag, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        for (variable, key) in SERVICE_TAGS {
            if let Some(value) = self.get(variable) {
                // The variable made for it goes before the list.
                tags.retain(|(listed, _)| listed != key);
                tags.push((key.to_owned(), value.to_owned()));
            }
        }
        if dialect == Dialect::DogStatsd {
            tags.extend(self.get(DD_ENTITY_ID).map(|id| (ENTITY_ID_TAG.to_owned(), id.to_owned())));
        }
        tags
    }
}
