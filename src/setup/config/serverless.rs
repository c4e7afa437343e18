//! Whether the agent is Datadog's extension of AWS Lambda, which speaks a dialect of its own.

use crate::setup::env::Environment;
use crate::wire::transport::Address;
use std::net::IpAddr;
use std::path::Path;

/// By which Datadog's own Lambda libraries know it, under the system's root.
const EXTENSION: &str = "opt/extensions/datadog-agent";

/// Whether this is a function that has the extension, and the address may be the extension's.
pub(super) fn is_behind(address: &Address, environment: &Environment, root: Option<&Path>) -> bool {
    is_local_udp(address)
        && environment.is_lambda_function()
        && root.is_some_and(|root| root.join(EXTENSION).exists())
}

fn is_local_udp(address: &Address) -> bool {
    let Address::Udp { host, .. } = address else { return false };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
