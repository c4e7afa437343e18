//! The agent's address from the environment.

use super::{Environment, usable};
use crate::vocabulary::error::ConfigError;
use crate::wire::transport::{Address, DEFAULT_PORT};
use std::path::Path;

const DD_DOGSTATSD_URL: &str = "DD_DOGSTATSD_URL";
const DD_AGENT_HOST: &str = "DD_AGENT_HOST";
const DD_DOGSTATSD_PORT: &str = "DD_DOGSTATSD_PORT";
const DD_DOGSTATSD_SOCKET: &str = "DD_DOGSTATSD_SOCKET";
const STATSD_ADDR: &str = "STATSD_ADDR";
const STATSD_HOST: &str = "STATSD_HOST";
const STATSD_PORT: &str = "STATSD_PORT";
const LOCALHOST: &str = "127.0.0.1";

/// The default path of the Datadog Agent's socket, without the leading `/`.
#[cfg(unix)]
const AGENT_SOCKET: &str = "var/run/datadog/dsd.socket";

impl Environment {
    /// Returns the agent's address, if a variable gives one. The order is that of the table in
    /// [`from_env`](crate::ClientBuilder::from_env).
    pub(crate) fn address(&self) -> Result<Option<Address>, ConfigError> {
        if let Some(url) = self.get(DD_DOGSTATSD_URL) {
            return usable(DD_DOGSTATSD_URL, url, Address::parse(url)).map(Some);
        }
        if let Some(host) = self.get(DD_AGENT_HOST) {
            return self.host(DD_AGENT_HOST, host, DD_DOGSTATSD_PORT).map(Some);
        }
        if let Some(socket) = self.get(DD_DOGSTATSD_SOCKET) {
            return usable(DD_DOGSTATSD_SOCKET, socket, socket_address(socket)).map(Some);
        }
        if let Some(host) = self.get(STATSD_ADDR) {
            return self.host(STATSD_ADDR, host, STATSD_PORT).map(Some);
        }
        if let Some(host) = self.get(STATSD_HOST) {
            return self.host(STATSD_HOST, host, STATSD_PORT).map(Some);
        }
        for variable in [DD_DOGSTATSD_PORT, STATSD_PORT] {
            if let Some(port) = self.port(variable)? {
                return usable(variable, LOCALHOST, Address::udp(LOCALHOST, port)).map(Some);
            }
        }
        Ok(None)
    }

    /// Parses a variable for a host. Its value is a host, a host with its port, or a whole address.
    fn host(
        &self,
        variable: &'static str,
        text: &str,
        port_variable: &'static str,
    ) -> Result<Address, ConfigError> {
        let is_address = text.contains("://") || text.starts_with("unix:") || text == "null:";
        if is_address {
            return usable(variable, text, Address::parse(text));
        }
        if Address::udp(text, DEFAULT_PORT).is_ok() {
            let port = self.port(port_variable)?.unwrap_or(DEFAULT_PORT);
            return usable(variable, text, Address::udp(text, port));
        }
        // A port after the host takes precedence over the variable for the port.
        usable(variable, text, Address::parse_authority(text).map(|(host, port)| Address::Udp { host, port }))
    }

    fn port(&self, variable: &'static str) -> Result<Option<u16>, ConfigError> {
        // Kubernetes sets `STATSD_PORT=udp://10.96.0.12:8125` in every pod beside a Service named `statsd`. No user
        // wrote that value. Source:
        // <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
        let is_service_link = |text: &&str| text.contains("://");
        let port = |text| usable(variable, text, Address::parse_port(text));
        self.get(variable).filter(|text| !is_service_link(text)).map(port).transpose()
    }
}

/// Parses the path of a socket or its whole address.
fn socket_address(text: &str) -> Result<Address, String> {
    if text.starts_with(['/', '@']) {
        Address::parse(&format!("unix://{text}"))
    } else {
        Address::parse(text)
    }
}

/// Returns the socket of a Datadog Agent on this host, if it exists. `root` is `/` except in tests.
#[cfg(unix)]
pub(crate) fn agent_socket(root: &Path) -> Option<Address> {
    use std::os::unix::fs::FileTypeExt;
    let path = root.join(AGENT_SOCKET);
    let is_socket = path.metadata().is_ok_and(|file| file.file_type().is_socket());
    is_socket.then(|| Address::parse(&format!("unix://{}", path.display())).ok()).flatten()
}

#[cfg(not(unix))]
pub(crate) fn agent_socket(_root: &Path) -> Option<Address> {
    None
}
