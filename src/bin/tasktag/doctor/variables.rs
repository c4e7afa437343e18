//! Which variables are read, and which are not.

use super::finding::Finding;
use super::settings::{ADDRESS, Settings};
use super::surroundings::Surroundings;
use crate::nearest::nearest;

/// The other variables that the library knows, and two values of each that are read differently.
const OTHERS: [(&str, [&str; 2]); 14] = [
    ("TASKTAG_DISABLED", ["true", "false"]),
    ("DD_DOGSTATSD_DISABLE", ["true", "no"]),
    ("TASKTAG_DIALECT", ["influx", "graphite"]),
    ("TASKTAG_TASK_ID", ["1", "2"]),
    ("DD_TAGS", ["doctor:1", "doctor:2"]),
    ("DD_ENV", ["1", "2"]),
    ("DD_SERVICE", ["1", "2"]),
    ("DD_VERSION", ["1", "2"]),
    ("DD_ENTITY_ID", ["1", "2"]),
    ("DD_EXTERNAL_ENV", ["it-false,cn-a", "it-false,cn-b"]),
    ("DD_CARDINALITY", ["low", "high"]),
    ("DATADOG_CARDINALITY", ["low", "high"]),
    ("DD_ORIGIN_DETECTION_ENABLED", ["true", "false"]),
    ("AWS_LAMBDA_FUNCTION_NAME", ["", "doctor"]),
];

/// What a name begins with that could be meant for the library.
const PREFIXES: [&str; 3] = ["TASKTAG_", "DD_DOGSTATSD_", "STATSD_"];

/// What Kubernetes puts behind a Service's name, in front of a port.
const OF_SERVICES: [&str; 3] = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"];

pub(super) fn examine(settings: &Settings, surroundings: &Surroundings) -> Vec<Finding> {
    let is_set = |variable: &str| surroundings.variables.get(variable).is_some_and(|value| !value.is_empty());
    let (mut read, mut findings) = (Vec::new(), Vec::new());
    for (variable, values) in ADDRESS.into_iter().chain(OTHERS).filter(|(variable, _)| is_set(variable)) {
        if settings.is_service_link(variable) {
            let text = format!(
                "{variable} is not read: Kubernetes made it for a Service, and nobody chose this agent"
            );
            findings.push(Finding::ok("variables", text));
        } else if is_read(settings, variable, values) {
            read.push(variable);
        } else {
            let text = format!("{variable} is set and has no effect");
            let advice =
                "another variable takes precedence, or this dialect does not have it: unset one of them";
            findings.push(Finding::warning("variables", text).advise(advice));
        }
    }
    if !read.is_empty() {
        findings.insert(0, Finding::ok("variables", format!("read: {}", read.join(", "))));
    }
    findings.extend(unknown(surroundings).map(|variable| {
        let finding = Finding::warning("variables", format!("{variable} is none that tasktag knows"));
        let known = ADDRESS.iter().chain(&OTHERS).map(|(known, _)| *known);
        nearest(known, variable)
            .into_iter()
            .fold(finding, |finding, known| finding.advise(format!("did you mean {known}?")))
    }));
    if findings.is_empty() {
        findings.push(Finding::ok("variables", "none is set that tasktag reads"));
    }
    findings
}

/// Whether another value would change what is sent or where, or whether the value is refused.
fn is_read(settings: &Settings, variable: &str, values: [&str; 2]) -> bool {
    // What these turn off may not be there.
    if matches!(variable, "DD_ORIGIN_DETECTION_ENABLED" | "AWS_LAMBDA_FUNCTION_NAME") {
        return true;
    }
    let refused = settings.address().err().is_some_and(|error| error.to_string().contains(variable));
    let [one, two] = values.map(|value| settings.with(variable, value));
    refused
        || settings.address_depends_on(variable, values)
        || one.is_disabled() != two.is_disabled()
        || one.line().ok() != two.line().ok()
}

/// The variables that look as if they were meant for the library.
fn unknown(surroundings: &Surroundings) -> impl Iterator<Item = &str> {
    let is_known = |variable: &str| ADDRESS.iter().chain(&OTHERS).any(|(known, _)| *known == variable);
    let is_link = |variable: &str| OF_SERVICES.iter().any(|part| variable.contains(part));
    let names = surroundings.variables.keys().map(String::as_str);
    names.filter(move |name| {
        PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !is_known(name) && !is_link(name)
    })
}
