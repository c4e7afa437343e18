//! Detects Datadog's extension of AWS Lambda, an agent with its own dialect.

use crate::setup::env::Environment;
use crate::wire::transport::Address;
use std::net::IpAddr;
use std::path::Path;

/// The path under the system's root by which Datadog's own Lambda libraries recognize the extension.
const EXTENSION: &str = "opt/extensions/datadog-agent";

/// Returns whether this process is a function with the extension, and the address may be that of the extension.
pub(super) fn is_behind(address: &Address, environment: &Environment, root: Option<&Path>) -> bool {
    is_local_udp(address)
        && environment.is_lambda_function()
        && root.is_some_and(|root| root.join(EXTENSION).exists())
}

fn is_local_udp(address: &Address) -> bool {
    let Address::Udp { host, .. } = address else { return false };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
