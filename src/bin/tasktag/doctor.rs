//! `tasktag doctor`: why metrics do not arrive.

mod arrival;
mod finding;
mod identity;
mod lease;
mod reach;
mod redis;
mod root;
mod settings;
mod socket_file;
mod surroundings;
mod variables;
mod way;

use self::finding::{Finding, Level};
use self::settings::Settings;
use self::surroundings::Surroundings;
use crate::arguments::Doctor;
use crate::outcome::Failure;
use std::io::{self, Write};

/// Looks at everything that lies between a program's call and its agent, in this order.
pub(crate) fn doctor(arguments: &Doctor) -> Result<(), Failure> {
    let surroundings = Surroundings::of(arguments.env_of)?;
    let findings = examine(arguments, &surroundings);
    let mut out = io::stdout().lock();
    for finding in &findings {
        if arguments.json {
            writeln!(out, "{}", finding.object())?;
        } else {
            writeln!(out, "{finding}")?;
        }
    }
    out.flush()?;
    match findings.iter().map(|finding| finding.level).max() {
        None | Some(Level::Ok) => Ok(()),
        Some(Level::Warning) => Err(Failure::status(1)),
        Some(Level::Fault) => Err(Failure::status(2)),
    }
}

fn examine(arguments: &Doctor, surroundings: &Surroundings) -> Vec<Finding> {
    let settings = Settings::new(surroundings);
    let mut findings = variables::examine(&settings, surroundings);
    match settings.address() {
        Err(error) => findings
            .push(Finding::fault("settings", error.to_string()).advise("set it to a value that can be read")),
        Ok(_) if settings.is_disabled() => {
            let told = "the client is disabled: it sends nothing";
            findings.push(Finding::warning("settings", told).advise("unset the variable that says so"));
        }
        Ok(address) => {
            findings.push(settings.found(&address));
            let way = surroundings.way(&address);
            findings.extend(surroundings.network(&way));
            findings.extend(reach::examine(&way, surroundings.process_root()));
            if !arguments.no_send && findings.iter().all(|finding| finding.level != Level::Fault) {
                findings.push(arrival::examine(settings.builder(), &way));
            }
        }
    }
    findings.extend(identity::examine(arguments, &settings));
    let directory = arguments.lease_directory.as_deref().or_else(|| surroundings.runtime_directory());
    let root = surroundings.process_root();
    findings.extend(directory.into_iter().flat_map(|directory| lease::examine(directory, root)));
    findings.extend(arguments.redis.iter().flat_map(|url| redis::examine(url, &arguments.redis_key)));
    findings
}
