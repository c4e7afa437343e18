//! One source of a task id, and what it gives a process.

use crate::task_id::TaskIdPool;
use crate::task_id::claim::TaskIdClaim;
use crate::task_id::platform::{self, Process, Variables};
#[cfg(feature = "redis")]
use crate::task_id::redis::Place;
use crate::vocabulary::error::ConfigError;
use std::fmt;
use std::path::PathBuf;

/// The setting that takes a source.
pub(in crate::task_id) const SETTING: &str = "task_id_from";
/// The setting that takes the lease of a sole reporter.
const ALONE_SETTING: &str = "sole_reporter";

/// The variable that holds the directory systemd made for a service (`RuntimeDirectory=`).
const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";

/// One source, of which a [`TaskIdSource`](super::TaskIdSource) may try several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Random,
    Fixed(u32),
    Platform,
    Hashed,
    /// A hash of a name that the platform gives; the host's name alone does not count.
    HashedByPlatform,
    Leased(PathBuf),
    LeasedInRuntimeDirectory,
    #[cfg(feature = "redis")]
    LeasedInRedis(Place),
}

impl Choice {
    /// Whether all processes of a task get the same id from this source.
    pub(super) fn is_one_a_task(&self) -> bool {
        matches!(self, Self::Platform | Self::Hashed | Self::HashedByPlatform)
    }

    pub(super) fn claim(
        &self,
        pool: TaskIdPool,
        process: Process,
        variables: Variables<'_>,
        except: Option<u32>,
    ) -> Result<TaskIdClaim, ConfigError> {
        let refused = |reason: &dyn fmt::Display| ConfigError::setting(SETTING, self, reason);
        match self {
            Self::Random => Ok(TaskIdClaim::new(pool.draw_for_process()?)),
            Self::Fixed(number) => pool
                .id(*number)
                .map(TaskIdClaim::new)
                .ok_or_else(|| refused(&format_args!("a task id is a number from 1 to {}", pool.size()))),
            Self::Platform => {
                let ordinal = platform::ordinal(variables);
                let ordinal = ordinal.ok_or_else(|| refused(&"no environment variable gives an ordinal"))?;
                Ok(TaskIdClaim::new(platform::id_of_ordinal(ordinal, process, pool)))
            }
            Self::Hashed | Self::HashedByPlatform => {
                let host = || if *self == Self::Hashed { platform::host_name(variables) } else { None };
                let identity = platform::identity(variables).or_else(host);
                let identity = identity.ok_or_else(|| refused(&"the platform gives the task no name"))?;
                Ok(TaskIdClaim::new(platform::id_of_identity(&identity, process, pool)))
            }
            Self::Leased(directory) => {
                TaskIdClaim::lease(directory, pool, except).map_err(|reason| refused(&reason))
            }
            Self::LeasedInRuntimeDirectory => {
                let listed = variables(RUNTIME_DIRECTORY)
                    .ok_or_else(|| refused(&format_args!("{RUNTIME_DIRECTORY} is not set")))?;
                // systemd separates several directories by colons.
                let first = listed.split(':').next().unwrap_or_default();
                TaskIdClaim::lease(first.as_ref(), pool, except).map_err(|reason| refused(&reason))
            }
            #[cfg(feature = "redis")]
            Self::LeasedInRedis(place) => {
                check_lease_time(place)?;
                TaskIdClaim::lease_in_redis(place, pool, false).map_err(|reason| refused(&reason))
            }
        }
    }

    /// Claims what only one process may have. A process that does not get it keeps trying.
    pub(super) fn claim_alone(&self) -> Result<TaskIdClaim, ConfigError> {
        let refused = |reason: &dyn fmt::Display| ConfigError::setting(ALONE_SETTING, self, reason);
        match self {
            Self::Leased(directory) => TaskIdClaim::lease_alone(directory).map_err(|reason| refused(&reason)),
            #[cfg(feature = "redis")]
            Self::LeasedInRedis(place) => {
                check_lease_time(place)?;
                TaskIdClaim::lease_in_redis(place, TaskIdPool::ONE, true).map_err(|reason| refused(&reason))
            }
            _ => {
                Err(refused(&"only a lease belongs to one process alone: use leased() or leased_in_redis()"))
            }
        }
    }
}

#[cfg(feature = "redis")]
fn check_lease_time(place: &Place) -> Result<(), ConfigError> {
    let time = format_args!("{:?}", place.lease);
    place.check_lease().map_err(|reason| ConfigError::setting("lease_time", time, reason))
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::Fixed(number) => write!(f, "fixed({number})"),
            Self::Platform => f.write_str("platform"),
            Self::Hashed | Self::HashedByPlatform => f.write_str("hashed"),
            Self::Leased(directory) => write!(f, "leased({})", directory.display()),
            Self::LeasedInRuntimeDirectory => write!(f, "leased({RUNTIME_DIRECTORY})"),
            #[cfg(feature = "redis")]
            Self::LeasedInRedis(place) => write!(f, "leased_in_redis({place})"),
        }
    }
}
