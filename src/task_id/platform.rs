//! What platforms give a task: an ordinal or a name.

use super::{TaskId, TaskIdPool, TaskIdSourceKind};

/// Returns a variable's value. An empty value counts as absent.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Set in every pod.
const KUBERNETES: &str = "KUBERNETES_SERVICE_HOST";
/// The pod's name, from the downward API or from the container's host name.
const POD_NAMES: [&str; 2] = ["POD_NAME", "HOSTNAME"];
/// The most digits of an ordinal in a pod's name. A pod outside a `StatefulSet` ends in five random characters, which
/// may all be digits.
const MAX_POD_DIGITS: usize = 4;
/// Heroku's dyno types that are numbered at random.
const ONE_OFF_DYNOS: [&str; 3] = ["run", "scheduler", "release"];
const ONE_OFF_CONTAINERS: [&str; 1] = ["one-off"];

/// Variables that hold only an ordinal, and where each counts from. A pod's variables come before the cluster's.
const NUMBERS: [(&str, u32); 6] = [
    ("JOB_COMPLETION_INDEX", 0),
    ("NOMAD_ALLOC_INDEX", 0),
    ("CF_INSTANCE_INDEX", 0),
    ("CLOUD_RUN_TASK_INDEX", 0),
    ("TASK_SLOT", 1),
    (SYSTEMD_INSTANCE, 1),
];
const POD_INDEX: &str = "POD_INDEX";
const SYSTEMD_INSTANCE: &str = "SYSTEMD_INSTANCE";
const DYNO: &str = "DYNO";
const CONTAINER: &str = "CONTAINER";

/// ECS's variables, whose values end with the container's id.
const ECS_URIS: [&str; 2] = ["ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI"];
/// Variables that hold a name which no other live task has.
const IDENTITIES: [&str; 8] = [
    "NOMAD_ALLOC_ID",
    "FLY_MACHINE_ID",
    "FLY_ALLOC_ID",
    "RENDER_INSTANCE_ID",
    "RAILWAY_REPLICA_ID",
    "CF_INSTANCE_GUID",
    DYNO,
    CONTAINER,
];
const HOST_NAMES: [&str; 2] = ["HOSTNAME", "COMPUTERNAME"];
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";

/// The variables of this process.
pub(crate) fn from_process(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// The task's ordinal, counted from 0.
pub(super) fn ordinal(variables: Variables<'_>) -> Option<u32> {
    let number = |&(variable, first): &(&str, u32)| digits(&variables(variable)?)?.checked_sub(first);
    let typed = |variable, separator, one_offs: &[&str]| {
        numbered(&variables(variable)?, separator, one_offs)?.checked_sub(1)
    };
    let of_pod = || {
        variables(KUBERNETES)?;
        let index = variables(POD_INDEX).and_then(|index| digits(&index));
        index.or_else(|| POD_NAMES.iter().find_map(|name| of_stateful_pod(&variables(name)?)))
    };
    // An indexed job's pods have names that may look like a StatefulSet's, so the job's index takes precedence.
    let (of_job, others) = NUMBERS.split_first()?;
    number(of_job)
        .or_else(of_pod)
        .or_else(|| others.iter().find_map(number))
        .or_else(|| typed(DYNO, '.', &ONE_OFF_DYNOS))
        .or_else(|| typed(CONTAINER, '-', &ONE_OFF_CONTAINERS))
}

/// Reads a number as platforms write it: without a sign and without leading zeros.
fn digits(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Reads the ordinal of `web.1`, unless dynos of the type are numbered at random.
fn numbered(text: &str, separator: char, one_offs: &[&str]) -> Option<u32> {
    let (kind, number) = text.rsplit_once(separator)?;
    if kind.is_empty() || one_offs.contains(&kind) { None } else { digits(number) }
}

/// Reads the ordinal of `shop-0`.
fn of_stateful_pod(name: &str) -> Option<u32> {
    let (set, number) = name.rsplit_once('-')?;
    if set.is_empty() || number.len() > MAX_POD_DIGITS { None } else { digits(number) }
}

/// A name that the platform gave to this task and to no other live task.
pub(super) fn identity(variables: Variables<'_>) -> Option<String> {
    let ecs = ECS_URIS.iter().find_map(|uri| variables(uri));
    let container = ecs.as_deref().and_then(|uri| uri.trim_end_matches('/').rsplit('/').next());
    let container = container.filter(|id| !id.is_empty()).map(ToOwned::to_owned);
    let of_pod = || {
        variables(KUBERNETES)?;
        POD_NAMES.iter().find_map(|name| variables(name))
    };
    container.or_else(of_pod).or_else(|| IDENTITIES.iter().find_map(|name| variables(name)))
}

/// One of the processes that share a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) index: u32,
    pub(super) of: u32,
}

impl Process {
    pub(super) const ALONE: Self = Self { index: 0, of: 1 };
}

/// The name of this host, with the systemd instance if there is one.
pub(super) fn host_name(variables: Variables<'_>) -> Option<String> {
    let from_kernel = || {
        let name = std::fs::read_to_string(HOST_NAME_FILE).ok()?.trim().to_owned();
        Some(name).filter(|name| !name.is_empty())
    };
    let host = HOST_NAMES.iter().find_map(|name| variables(name)).or_else(from_kernel)?;
    Some(variables(SYSTEMD_INSTANCE).map_or(host.clone(), |instance| format!("{host}/{instance}")))
}

/// Each ordinal has one id per process. Beyond the pool they start again from 1 and are shared.
pub(super) fn id_of_ordinal(ordinal: u32, process: Process, pool: TaskIdPool) -> TaskId {
    let place = u64::from(ordinal) * u64::from(process.of) + u64::from(process.index);
    let kind =
        if place < u64::from(pool.size()) { TaskIdSourceKind::Platform } else { TaskIdSourceKind::Shared };
    pool.id_at(place, kind)
}

/// The hash of a name, and of the process index if several processes have the name.
pub(super) fn id_of_identity(identity: &str, process: Process, pool: TaskIdPool) -> TaskId {
    let kind = TaskIdSourceKind::Hashed;
    if process.of == 1 {
        pool.id_of(identity, kind)
    } else {
        pool.id_of(&format!("{identity}/{}", process.index), kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_names_in_a_row_are_spread_evenly() {
        let names: [fn(u32) -> String; 3] = [
            |n| format!("shop-host-{n}"),
            |n| format!("{n:08x}-7e9f-4a2b-8c4d-6e8f0a1b2c3d"),
            |n| format!("e784079b4494{n:04x}"),
        ];
        for (name, size) in names.iter().flat_map(|name| [100, 128, 1000].map(|size| (name, size))) {
            let pool = TaskIdPool::new(size).unwrap();
            let mut buckets = vec![0_u32; size as usize];
            for n in 0..20 * size {
                let id = id_of_identity(&name(n), Process { index: 0, of: 1 }, pool);
                buckets[id.number() as usize - 1] += 1;
            }
            let found: f64 = buckets.iter().map(|n| (f64::from(*n) - 20.0).powi(2) / 20.0).sum();
            let freedom = f64::from(size - 1);
            // Six standard deviations.
            assert!(found < freedom + 6.0 * (2.0 * freedom).sqrt(), "{} of {size}: {found}", name(7));
        }
    }
}
