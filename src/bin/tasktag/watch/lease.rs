//! The lease of the one process that reports.

use super::mistake::Mistake;
use super::operator::tell;
use super::reachability::{Reachability, no_answer};
use super::section::Section;
use super::server_url;
use crate::outcome::Failure;
use crate::shown_url::without_password;
use crate::stop::Stop;
use std::fmt;
use std::thread;
use std::time::Duration;
use tasktag::{Client, ConfigError, SoleReporter, TaskIdSource};

/// The time between two tries to ask a Redis for the lease.
const AGAIN: Duration = Duration::from_secs(1);
const MIN_LEASE: Duration = Duration::from_secs(1);
const MAX_LEASE: Duration = Duration::from_secs(3600);

/// Where the lease is.
#[derive(Debug)]
pub(super) struct Lease {
    source: TaskIdSource,
    /// As it may be shown.
    pub(super) place: String,
    is_in_redis: bool,
}

impl Lease {
    pub(super) fn read(mut section: Section<'_>) -> Result<Self, Mistake> {
        let directory = section.text("directory")?;
        let lease = match directory {
            Some(directory) => {
                for key in ["url", "url_variable", "key", "lease_time"] {
                    section.refuse(key, "it is for a lease in Redis, and this one is in a directory")?;
                }
                let place = format!("the directory {}", directory.value);
                Self { source: TaskIdSource::leased(directory.value), place, is_in_redis: false }
            }
            None => Self::in_redis(&mut section)?,
        };
        section.end()?;
        Ok(lease)
    }

    fn in_redis(section: &mut Section<'_>) -> Result<Self, Mistake> {
        let url = server_url::redis(section)?;
        let key = section.required("key", "the key of the lease in Redis, which nothing else uses")?;
        let time = section.time("lease_time", MIN_LEASE..=MAX_LEASE)?;
        let place = format!("{}, key {}", without_password(&url.value), key.value);
        let source = TaskIdSource::leased_in_redis(url.value, key.value);
        let source = match time {
            Some(time) => source.lease_time(time.value),
            None => source,
        };
        Ok(Self { source, place, is_in_redis: true })
    }

    /// Takes part in the choice of the one that reports, once Redis answers.
    pub(super) fn take_part(&self, client: &Client, stop: &Stop) -> Result<SoleReporter, Failure> {
        let reachability = Reachability::new(self.to_string());
        while !stop.is_told() {
            let asked = client.sole_reporter(self.source.clone());
            if !self.is_in_redis {
                return Ok(asked?);
            }
            if let Some(sole) = reachability.note(asked.map_err(cause)) {
                return Ok(sole);
            }
            thread::sleep(AGAIN);
        }
        // It was told to end, and has nothing to send.
        Err(Failure::status(0))
    }

    /// Does the same, and fails if Redis does not answer.
    pub(super) fn take_part_now(&self, client: &Client) -> Result<SoleReporter, Failure> {
        client.sole_reporter(self.source.clone()).map_err(|error| {
            if self.is_in_redis {
                Failure::lost(format!("not sent: {}", no_answer(self, &cause(error))))
            } else {
                error.into()
            }
        })
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lease, {}", self.place)
    }
}

/// Why there is no lease, without its place, which is told anyway.
fn cause(error: ConfigError) -> String {
    match error {
        ConfigError::Setting { reason, .. } => reason,
        error => error.to_string(),
    }
}

/// Whether this process has the lease, told where it changes. It is taken to have it until it does not.
#[derive(Debug)]
pub(super) struct Tenure<'a> {
    sole: &'a SoleReporter,
    is_held: bool,
}

impl<'a> Tenure<'a> {
    pub(super) fn new(sole: &'a SoleReporter) -> Self {
        Self { sole, is_held: true }
    }

    pub(super) fn look(&mut self) {
        let was_held = std::mem::replace(&mut self.is_held, self.sole.is_held());
        match (was_held, self.is_held) {
            (false, true) => tell("reporting"),
            (true, false) => tell("not reporting: another process has the lease, or it could not be renewed"),
            _ => {}
        }
    }
}
