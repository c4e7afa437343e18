//! A task id comes from where the program says: an ordinal, a hash, a lease, and every source says which it was.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{
    Client, ClientBuilder, ConfigError, TaskId, TaskIdClaim, TaskIdPool, TaskIdSource, TaskIdSourceKind,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// What a child is to do.
const CHILD: &str = "TASK_ID_SOURCES_CHILD";
const DIRECTORY: &str = "TASK_ID_SOURCES_DIRECTORY";

type Vars<'a> = &'a [(&'a str, &'a str)];

fn pool(size: u32) -> TaskIdPool {
    TaskIdPool::new(size).unwrap()
}

/// A directory that is gone after the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tasktag-sources-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn source(&self) -> TaskIdSource {
        TaskIdSource::leased(&self.0)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn builder(source: TaskIdSource, vars: Vars) -> ClientBuilder {
    Client::builder().capture(&Capture::new()).task_id_from(source).from_vars(vars.iter().copied())
}

/// The id of a client with this source where these variables are set, and no others.
fn try_id(source: TaskIdSource, vars: Vars) -> Result<TaskId, ConfigError> {
    Ok(builder(source, vars).build()?.client().task_id())
}

#[track_caller]
fn id(source: TaskIdSource, vars: Vars) -> (u32, TaskIdSourceKind) {
    let id = try_id(source, vars).unwrap();
    (id.number(), id.source())
}

const KUBERNETES: (&str, &str) = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");

#[test]
fn the_ordinal_of_each_platform_is_the_id() {
    let table: [(Vars, u32); 22] = [
        (&[KUBERNETES, ("HOSTNAME", "shop-0")], 1),
        (&[KUBERNETES, ("HOSTNAME", "shop-web-41")], 42),
        (&[KUBERNETES, ("HOSTNAME", "ip-10-0-0-7"), ("POD_NAME", "shop-2")], 3),
        (&[KUBERNETES, ("HOSTNAME", "shop-7d4b9c6f5-x2x8z"), ("POD_INDEX", "9")], 10),
        (&[KUBERNETES, ("HOSTNAME", "import-5-x2x8z"), ("JOB_COMPLETION_INDEX", "5")], 6),
        (&[KUBERNETES, ("HOSTNAME", "import-7"), ("JOB_COMPLETION_INDEX", "0")], 1),
        (&[("JOB_COMPLETION_INDEX", "0")], 1),
        (&[("NOMAD_ALLOC_INDEX", "0"), ("NOMAD_ALLOC_ID", "5d3b4f7e")], 1),
        (&[("NOMAD_ALLOC_INDEX", "999")], 1000),
        (&[("CF_INSTANCE_INDEX", "3"), ("CF_INSTANCE_GUID", "f3c1")], 4),
        (&[("DYNO", "web.1")], 1),
        (&[("DYNO", "worker.12")], 12),
        (&[("DYNO", "web.1000")], 1000),
        (&[("CONTAINER", "web-1")], 1),
        (&[("CONTAINER", "background-jobs-3")], 3),
        (&[("CLOUD_RUN_TASK_INDEX", "0")], 1),
        (&[("CLOUD_RUN_TASK_INDEX", "77")], 78),
        (&[("TASK_SLOT", "1")], 1),
        (&[("TASK_SLOT", "8"), ("HOSTNAME", "f00ba5")], 8),
        (&[("SYSTEMD_INSTANCE", "4")], 4),
        (&[("NOMAD_ALLOC_INDEX", ""), ("TASK_SLOT", "2")], 2),
        (&[("NOMAD_ALLOC_INDEX", "many"), ("TASK_SLOT", "2")], 2),
    ];
    for (vars, number) in table {
        let expected = (number, TaskIdSourceKind::Platform);
        assert_eq!(id(TaskIdSource::platform(), vars), expected, "{vars:?}");
        assert_eq!(id(TaskIdSource::detect(), vars), expected, "{vars:?}");
    }
}

#[test]
fn what_only_looks_like_an_ordinal_is_none() {
    let table: [Vars; 23] = [
        &[],
        // Pods of a Deployment and of a DaemonSet; the five characters at the end may all be digits.
        &[KUBERNETES, ("HOSTNAME", "shop-7d4b9c6f5-x2x8z")],
        &[KUBERNETES, ("HOSTNAME", "shop-7d4b9c6f5-24567")],
        &[KUBERNETES, ("HOSTNAME", "shop-x2x8z")],
        &[KUBERNETES, ("HOSTNAME", "shop-01")],
        &[KUBERNETES, ("HOSTNAME", "shop-")],
        &[KUBERNETES, ("HOSTNAME", "-3")],
        &[KUBERNETES, ("HOSTNAME", "shop")],
        // A host of that name, and no pod.
        &[("HOSTNAME", "shop-3")],
        &[("POD_INDEX", "3")],
        &[("DYNO", "run.1234")],
        &[("DYNO", "scheduler.1234")],
        &[("DYNO", "release.1234")],
        &[("DYNO", "web-12a34b56d-e78f9")],
        &[("DYNO", "web.0")],
        &[("DYNO", ".1")],
        &[("CONTAINER", "one-off-1234")],
        &[("CONTAINER", "podman")],
        &[("TASK_SLOT", "0")],
        &[("TASK_SLOT", "+1")],
        &[("SYSTEMD_INSTANCE", "eu")],
        &[("NOMAD_ALLOC_INDEX", "-1")],
        &[("CF_INSTANCE_INDEX", "4294967296")],
    ];
    for vars in table {
        let error = try_id(TaskIdSource::platform(), vars).unwrap_err().to_string();
        assert_eq!(
            error,
            r#"the setting task_id_from can't be "platform": no environment variable gives an ordinal"#,
            "{vars:?}"
        );
        assert_ne!(id(TaskIdSource::detect(), vars).1, TaskIdSourceKind::Platform, "{vars:?}");
    }
}

#[test]
fn an_ordinal_beyond_the_pool_shares_a_bucket_and_says_so() -> Result<(), Box<dyn Error>> {
    for (ordinal, number, kind) in [
        ("9", 10, TaskIdSourceKind::Platform),
        ("10", 1, TaskIdSourceKind::Shared),
        ("25", 6, TaskIdSourceKind::Shared),
        ("4294967295", 6, TaskIdSourceKind::Shared),
    ] {
        let capture = Capture::new();
        let vars = [("CF_INSTANCE_INDEX", ordinal)];
        let guard =
            builder(TaskIdSource::platform(), &vars).task_id_pool(pool(10)).capture(&capture).build()?;
        let (client, shared) = (guard.client().clone(), u64::from(kind == TaskIdSourceKind::Shared));
        assert_eq!((client.task_id().number(), client.task_id().source()), (number, kind), "{ordinal}");
        assert_eq!(client.stats().shared_task_ids, shared, "{ordinal}");
        guard.shutdown(PATIENCE)?;
        let counted =
            capture.take_lines().into_iter().filter(|line| line.contains("client.task_ids_shared:1|c"));
        assert_eq!(counted.count() as u64, shared, "{ordinal}");
    }
    Ok(())
}

#[test]
fn processes_that_share_a_container_have_ids_of_their_own() {
    let mut ids = BTreeSet::new();
    for instance in ["0", "1", "2", "3", "4"] {
        for index in 0..4 {
            let source = TaskIdSource::platform().process(index, 4);
            let (number, kind) = id(source, &[("CF_INSTANCE_INDEX", instance)]);
            assert_eq!(kind, TaskIdSourceKind::Platform);
            assert!(ids.insert(number), "{number} twice");
        }
    }
    assert_eq!(ids, (1..=20).collect());

    let vars: Vars = &[("FLY_MACHINE_ID", "e784079b449483")];
    let hashed = |index| id(TaskIdSource::hashed().process(index, 4), vars).0;
    assert_eq!([hashed(0), hashed(1), hashed(2), hashed(3)], [600, 973, 554, 55]);

    for (index, of) in [(4, 4), (0, 0), (u32::MAX, 1)] {
        let error = try_id(TaskIdSource::platform().process(index, of), vars).unwrap_err().to_string();
        let reason = format!("process {index} of {of} does not exist, because processes are counted from 0");
        assert_eq!(error, format!(r#"the setting task_id_from can't be "platform": {reason}"#));
    }
}

/// Golden values, from another implementation: every version, on every platform, gives a task the same bucket.
#[test]
fn a_hash_is_the_same_in_every_version() {
    let uuid = "0d1b3a5c-7e9f-4a2b-8c4d-6e8f0a1b2c3d";
    let uri = "http://169.254.170.2/v4/8f03e41243824aea923aca126495f665-3356213583";
    let table: [(Vars, u32); 17] = [
        (&[("ECS_CONTAINER_METADATA_URI_V4", uri)], 692),
        (&[("ECS_CONTAINER_METADATA_URI", "http://169.254.170.2/v3/8f03e412/")], 615),
        (&[KUBERNETES, ("HOSTNAME", "shop-7d4b9c6f5-x2x8z")], 808),
        (&[KUBERNETES, ("HOSTNAME", "node-3"), ("POD_NAME", "shop-7d4b9c6f5-x2x8z")], 808),
        (&[("NOMAD_ALLOC_ID", uuid)], 162),
        (&[("FLY_MACHINE_ID", "e784079b449483"), ("FLY_ALLOC_ID", "other")], 357),
        (&[("FLY_ALLOC_ID", "e784079b449483")], 357),
        (&[("RENDER_INSTANCE_ID", "srv-c9k2m3-7f9c8-abcde")], 447),
        (&[("RAILWAY_REPLICA_ID", uuid)], 162),
        (&[("CF_INSTANCE_GUID", uuid)], 162),
        (&[("DYNO", "run.9157")], 861),
        (&[("CONTAINER", "one-off-1234")], 501),
        (&[("HOSTNAME", "shop-host-3")], 478),
        (&[("COMPUTERNAME", "SHOP-HOST-3")], 895),
        (&[("HOSTNAME", "shop-host-3"), ("SYSTEMD_INSTANCE", "eu")], 592),
        (&[("HOSTNAME", "größe")], 912),
        (&[("HOSTNAME", "shop-host-3"), ("ECS_CONTAINER_METADATA_URI_V4", "/")], 478),
    ];
    let found = table.map(|(vars, _)| id(TaskIdSource::hashed(), vars));
    assert!(found.iter().all(|(_, kind)| *kind == TaskIdSourceKind::Hashed));
    assert_eq!(found.map(|(number, _)| number), table.map(|(_, number)| number));
}

#[test]
fn a_host_without_variables_has_a_hash_where_its_kernel_names_it() {
    if let Ok(name) = fs::read_to_string("/proc/sys/kernel/hostname") {
        let named = id(TaskIdSource::hashed(), &[("HOSTNAME", name.trim())]);
        assert_eq!(id(TaskIdSource::hashed(), &[]), named);
    }
}

#[test]
fn every_source_says_what_it_is() {
    let directory = Directory::new("says");
    let vars: Vars = &[("TASK_SLOT", "7"), ("HOSTNAME", "shop-host-3")];
    for (source, kind, text, named) in [
        (TaskIdSource::random(), TaskIdSourceKind::Random, "random", "random"),
        (TaskIdSource::fixed(42), TaskIdSourceKind::Fixed, "fixed", "fixed(42)"),
        (TaskIdSource::platform(), TaskIdSourceKind::Platform, "platform", "platform"),
        (TaskIdSource::hashed(), TaskIdSourceKind::Hashed, "hashed", "hashed"),
        (
            directory.source(),
            TaskIdSourceKind::Leased,
            "leased",
            &format!("leased({})", directory.0.display()),
        ),
    ] {
        let id = try_id(source.clone(), vars).unwrap();
        assert_eq!((id.source(), id.source().to_string().as_str()), (kind, text));
        assert_eq!(source.to_string(), named);
    }
    assert_eq!(TaskIdSourceKind::Shared.to_string(), "shared");
    assert_eq!(pool(9).id(3).unwrap().source(), TaskIdSourceKind::Fixed);
    assert_eq!(pool(9).draw().unwrap().source(), TaskIdSourceKind::Random);
    let both = TaskIdSource::platform().or(TaskIdSource::leased("/run/shop"));
    assert_eq!(both.to_string(), "platform or leased(/run/shop)");
}

#[test]
fn ids_are_equal_wherever_they_came_from() {
    let hashed = try_id(TaskIdSource::fixed(42), &[]).unwrap();
    let ordinal = try_id(TaskIdSource::platform(), &[("TASK_SLOT", "42")]).unwrap();
    assert_ne!(hashed.source(), ordinal.source());
    assert_eq!((hashed, hashed.cmp(&ordinal)), (ordinal, std::cmp::Ordering::Equal));
    assert_eq!(std::collections::HashSet::from([hashed, ordinal]).len(), 1);
}

#[test]
fn a_fixed_number_outside_the_pool_is_an_error() {
    for number in [0, 1001] {
        let error = try_id(TaskIdSource::fixed(number), &[]).unwrap_err().to_string();
        let expected = format!(
            r#"the setting task_id_from can't be "fixed({number})": a task id is a number from 1 to 1000"#
        );
        assert_eq!(error, expected);
    }
    assert_eq!(id(TaskIdSource::fixed(1000), &[]).0, 1000);
}

#[test]
fn the_strongest_source_that_is_there_is_detected() {
    let directory = Directory::new("detect");
    let path = directory.0.to_str().unwrap();
    let several = format!("{path}:/nobody/has/this");
    let table: [(Vars, TaskIdSourceKind); 7] = [
        (
            &[("TASK_SLOT", "2"), ("RUNTIME_DIRECTORY", path), ("FLY_MACHINE_ID", "e7")],
            TaskIdSourceKind::Platform,
        ),
        (&[("RUNTIME_DIRECTORY", path), ("FLY_MACHINE_ID", "e7")], TaskIdSourceKind::Leased),
        (&[("RUNTIME_DIRECTORY", &several)], TaskIdSourceKind::Leased),
        (&[("RUNTIME_DIRECTORY", "/nobody/has/this"), ("FLY_MACHINE_ID", "e7")], TaskIdSourceKind::Hashed),
        (&[("FLY_MACHINE_ID", "e7")], TaskIdSourceKind::Hashed),
        (&[("RUNTIME_DIRECTORY", "/nobody/has/this")], TaskIdSourceKind::Random),
        // A host's name alone is not a task's.
        (&[("HOSTNAME", "shop-host-3")], TaskIdSourceKind::Random),
    ];
    for (vars, kind) in table {
        assert_eq!(id(TaskIdSource::detect(), vars).1, kind, "{vars:?}");
    }
}

#[test]
fn another_source_stands_in_for_one_that_is_not_there() {
    let source =
        || TaskIdSource::platform().or(TaskIdSource::leased("/nobody/has/this")).or(TaskIdSource::fixed(7));
    assert_eq!(id(source(), &[]), (7, TaskIdSourceKind::Fixed));
    assert_eq!(id(source(), &[("TASK_SLOT", "3")]), (3, TaskIdSourceKind::Platform));
    // The last one's error, where none is there.
    let none = TaskIdSource::leased("/nobody/has/this").or(TaskIdSource::platform());
    let error = try_id(none, &[]).unwrap_err().to_string();
    assert!(error.ends_with(r#""platform": no environment variable gives an ordinal"#), "{error}");
    let process = TaskIdSource::hashed().or(TaskIdSource::platform().process(1, 2));
    assert_eq!(
        id(process, &[("DYNO", "web.1")]),
        id(TaskIdSource::hashed().process(1, 2), &[("DYNO", "web.1")])
    );
}

#[test]
fn a_variable_or_a_given_id_goes_before_the_source() {
    let vars: Vars = &[("TASK_SLOT", "2"), ("TASKTAG_TASK_ID", "7")];
    assert_eq!(id(TaskIdSource::platform(), vars), (7, TaskIdSourceKind::Fixed));
    let given = builder(TaskIdSource::platform(), vars).task_id(pool(20).id(3).unwrap()).build().unwrap();
    assert_eq!(given.client().task_id().as_str(), "03");
    let error = try_id(TaskIdSource::platform(), &[("TASKTAG_TASK_ID", "0")]).unwrap_err();
    assert!(matches!(error, ConfigError::Variable { variable: "TASKTAG_TASK_ID", .. }), "{error}");
}

#[test]
fn a_source_keeps_to_the_pool_of_its_client() {
    let of = |source: TaskIdSource, vars: Vars| {
        let guard = builder(source, vars).task_id_pool(pool(20)).build().unwrap();
        guard.client().task_id()
    };
    assert_eq!(of(TaskIdSource::platform(), &[("TASK_SLOT", "2")]).as_str(), "02");
    assert_eq!(of(TaskIdSource::random(), &[]).pool(), pool(20));
    let hashed = of(TaskIdSource::hashed(), &[("DYNO", "run.9157")]);
    assert!(hashed.pool() == pool(20) && hashed.as_str().len() == 2);
}

// Leases.

#[test]
fn a_directory_that_can_not_lease_is_an_error_that_names_it() -> Result<(), Box<dyn Error>> {
    let directory = Directory::new("refused");
    let file = directory.0.join("file");
    fs::write(&file, "")?;
    // The last one exists, and not even root may create files in it.
    for path in [directory.0.join("missing"), file, PathBuf::from("/proc/self")] {
        if !path.starts_with("/proc") || path.exists() {
            let error = try_id(TaskIdSource::leased(&path), &[]).unwrap_err();
            let text = error.to_string();
            let start = format!(
                "the setting task_id_from can't be \"leased({0})\": a lease needs a directory that exists, is writable \
                 and supports file locks: {0}",
                path.display()
            );
            assert!(text.starts_with(&start), "{text}");
            assert!(matches!(error, ConfigError::Setting { setting: "task_id_from", .. }));
        }
    }
    Ok(())
}

#[test]
fn an_empty_name_is_no_directory_to_lease_from() {
    let error = try_id(TaskIdSource::leased(""), &[]).unwrap_err().to_string();
    assert_eq!(
        error,
        r#"the setting task_id_from can't be "leased()": a lease needs a directory, but the path is empty"#
    );
    // Nor is what stands before a colon with nothing before it.
    assert_eq!(
        id(TaskIdSource::detect(), &[("RUNTIME_DIRECTORY", ":/run/shop")]).1,
        TaskIdSourceKind::Random
    );
}

#[test]
fn each_lease_is_another_id_until_the_pool_is_full_and_then_a_bucket_is_shared() {
    for size in [1, 2, 10, 40] {
        let directory = Directory::new(&format!("full-{size}"));
        let claim = || directory.source().claim(pool(size)).unwrap();
        let held: Vec<_> = (0..size).map(|_| claim()).collect();
        let ids: BTreeSet<_> = held.iter().map(|claim| claim.task_id().number()).collect();
        assert_eq!(ids, (1..=size).collect());
        assert!(held.iter().all(|claim| claim.task_id().source() == TaskIdSourceKind::Leased));
        for _ in 0..3 {
            let late = claim().task_id();
            assert_eq!(late.source(), TaskIdSourceKind::Shared);
            assert!((1..=size).contains(&late.number()));
        }
    }
}

#[test]
fn a_shared_bucket_is_any_of_them() {
    let directory = Directory::new("any");
    let claim = || directory.source().claim(pool(10)).unwrap();
    let _held: Vec<_> = (0..10).map(|_| claim()).collect();
    // One of ten is missing from 500 draws once in 10^22 runs.
    let shared: BTreeSet<_> = (0..500).map(|_| claim().task_id().number()).collect();
    assert_eq!(shared, (1..=10).collect());
}

#[test]
fn a_shared_bucket_is_in_the_stats_and_in_telemetry() -> Result<(), Box<dyn Error>> {
    let directory = Directory::new("counted");
    let start = |capture: &Capture| {
        let builder = builder(directory.source(), &[]).task_id_pool(pool(2)).capture(capture);
        builder.flush_interval(Duration::from_secs(3600)).build()
    };
    let guards = [start(&Capture::new())?, start(&Capture::new())?];
    assert!(guards.iter().all(|guard| guard.client().stats().shared_task_ids == 0));
    let capture = Capture::new();
    let late = start(&capture)?;
    assert_eq!(late.client().stats().shared_task_ids, 1);
    late.shutdown(PATIENCE)?;
    let lines = capture.take_lines();
    let counted: Vec<_> = lines.iter().filter(|line| line.contains("client.task_ids_shared:1|c|#")).collect();
    assert!(counted.len() == 1 && counted[0].contains(",task_id_source:shared,"), "{lines:?}");
    // It holds no slot, and still knows that the pool is full.
    assert!(lines.iter().any(|line| line.starts_with("tasktag.task_id.fill:1|g|#")), "{lines:?}");
    Ok(())
}

#[test]
fn the_odds_are_visible_every_10_seconds() -> Result<(), Box<dyn Error>> {
    let directory = Directory::new("gauges");
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let others: Vec<_> = (0..4).map(|_| directory.source().claim(pool(50)).unwrap()).collect();
    let guard =
        builder(directory.source(), &[]).task_id_pool(pool(50)).capture(&capture).clock(&clock).build()?;
    let tail = format!("|g|#task_id_source:leased,{}", guard.client().task_id().tag());
    let gauges = || -> Vec<String> {
        clock.advance(Duration::from_secs(10));
        capture.take_lines().into_iter().filter(|line| line.starts_with("tasktag.")).collect()
    };
    let expected = |live: u32, fill: &str| {
        [("pool_size", "50"), ("live", &live.to_string()), ("fill", fill)]
            .map(|(name, level)| format!("tasktag.task_id.{name}:{level}{tail}"))
    };
    assert_eq!(gauges(), expected(5, "0.1"));
    drop(others);
    assert_eq!(gauges(), expected(1, "0.02"));
    // Without the directory there is neither a count nor a lease: the size is still told, under a shared bucket.
    fs::remove_dir_all(&directory.0)?;
    let gauges = gauges();
    let shared = guard.client().task_id();
    assert_eq!(shared.source(), TaskIdSourceKind::Shared);
    assert_eq!(gauges, [format!("tasktag.task_id.pool_size:50|g|#task_id_source:shared,{}", shared.tag())]);
    Ok(())
}

#[test]
fn without_a_lease_the_pools_size_and_the_source_are_told() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = builder(TaskIdSource::hashed(), &[("DYNO", "run.9157")]).capture(&capture).build()?;
    guard.client().counter("jobs").increment(1);
    let tag = guard.client().task_id().tag().to_owned();
    guard.shutdown(PATIENCE)?;
    let lines = capture.take_lines();
    let own = lines.iter().filter(|line| line.starts_with("tasktag.")).collect::<Vec<_>>();
    assert_eq!(own, [&format!("tasktag.task_id.pool_size:1000|g|#task_id_source:hashed,{tag}")]);
    let telemetry: Vec<_> = lines.iter().filter(|line| line.starts_with("datadog.")).collect();
    assert!(telemetry.len() > 3 && telemetry.iter().all(|line| line.contains(",task_id_source:hashed,")));
    // What users send has no such tag.
    assert!(lines.contains(&format!("jobs:1|c|#{tag}")), "{lines:?}");
    Ok(())
}

#[test]
fn a_client_holds_its_lease_until_its_worker_has_ended() -> Result<(), Box<dyn Error>> {
    let directory = Directory::new("guard");
    let start = || builder(directory.source(), &[]).task_id_pool(pool(1)).build().unwrap();
    let is_free = || {
        // What another test starts has a copy of every open file for a moment, until it runs its own program.
        let start = Instant::now();
        let freed = |claim: &TaskIdClaim| claim.task_id().source() == TaskIdSourceKind::Leased;
        while !freed(&directory.source().claim(pool(1)).unwrap()) {
            if start.elapsed() > PATIENCE {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    };
    let guard = start();
    assert_eq!(guard.client().task_id().source(), TaskIdSourceKind::Leased);
    let client = guard.client().clone();
    assert_eq!(start().client().task_id().source(), TaskIdSourceKind::Shared);
    guard.shutdown(PATIENCE)?;
    assert!(is_free(), "given back, though a client is left");
    assert_eq!(client.task_id().source(), TaskIdSourceKind::Leased);

    let guard = start();
    drop(guard);
    assert!(is_free(), "given back when the guard was dropped");
    Ok(())
}

#[test]
fn a_client_that_could_not_be_built_leases_nothing() {
    let directory = Directory::new("unbuilt");
    let refused = builder(directory.source(), &[]).task_id_pool(pool(40)).max_packet_size(1).build();
    assert!(refused.is_err());
    let leased = || {
        let claims: Vec<_> = (0..40).map(|_| directory.source().claim(pool(40)).unwrap()).collect();
        let leased = claims.iter().filter(|claim| claim.task_id().source() == TaskIdSourceKind::Leased);
        leased.map(|claim| claim.task_id().number()).collect::<BTreeSet<_>>().len()
    };
    // What another test starts has a copy of every open file for a moment, until it runs its own program.
    let start = Instant::now();
    while leased() < 40 {
        assert!(start.elapsed() < PATIENCE, "a slot is taken");
        std::thread::sleep(Duration::from_millis(5));
    }
}

// The process's own id.

fn child(part: &str, vars: Vars) -> Result<Vec<String>, Box<dyn Error>> {
    let directory = Directory::new(&format!("child-{}", part.replace(' ', "-")));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "child_decides_its_task_id", "--nocapture"]);
    command.env(CHILD, part).env(DIRECTORY, &directory.0).env_remove("TASKTAG_TASK_ID");
    command.envs(vars.iter().copied());
    let output = command.output()?;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| line.strip_prefix("answer: ")).map(ToOwned::to_owned).collect())
}

fn answer(text: impl std::fmt::Display) {
    // The harness leaves its own line unfinished.
    println!("\nanswer: {text}");
}

fn answer_id(id: Result<TaskId, ConfigError>) {
    match id {
        Ok(id) => answer(format_args!("{} {}", id.source(), id)),
        Err(error) => answer(error),
    }
}

/// What the other tests have done in a process of its own: an id is decided once a process.
#[test]
fn child_decides_its_task_id() {
    let Ok(part) = std::env::var(CHILD) else { return };
    let directory = std::env::var(DIRECTORY).unwrap();
    let leased = || TaskIdSource::leased(&directory);
    let client = || Client::builder().capture(&Capture::new());
    match part.as_str() {
        "installed" => {
            let guard = client().task_id_from(leased()).task_id_pool(pool(2)).install().unwrap();
            answer_id(Ok(guard.client().task_id()));
            answer_id(TaskId::try_current());
            answer_id(client().build().map(|guard| guard.client().task_id()));
            answer_id(TaskId::decide(&leased(), pool(2)));
            drop(guard);
            // The other slot, then none: the process's lease outlives the guard.
            let others = [(); 2].map(|()| leased().claim(pool(2)).unwrap().task_id().source());
            let _one = leased().claim(pool(2)).unwrap();
            answer(leased().claim(pool(2)).unwrap().task_id().source());
            assert!(others.contains(&TaskIdSourceKind::Leased));
        }
        "decided" => {
            answer_id(TaskId::decide(&TaskIdSource::fixed(7), pool(50)));
            answer_id(TaskId::try_current());
            answer_id(TaskId::decide(&TaskIdSource::random(), pool(50)));
            answer_id(TaskId::decide(&TaskIdSource::fixed(7), pool(60)));
            answer_id(
                client().task_id_from(leased()).task_id_pool(pool(50)).install().map(|_| TaskId::current()),
            );
            let own = client().task_id_from(TaskIdSource::fixed(9)).build();
            answer_id(own.map(|guard| guard.client().task_id()));
            answer_id(TaskId::try_current());
        }
        "late" => {
            let id = TaskId::current();
            assert_eq!(id.source(), TaskIdSourceKind::Random);
            answer_id(client().task_id_from(leased()).install().map(|guard| guard.client().task_id()));
            let random = client().task_id_from(TaskIdSource::random()).install();
            assert_eq!(random.unwrap().client().task_id(), id);
        }
        "variable" => {
            answer_id(TaskId::decide(&leased(), TaskIdPool::DEFAULT));
            let own = client().task_id_from(TaskIdSource::fixed(9)).build();
            answer_id(own.map(|guard| guard.client().task_id()));
            let own = client().task_id_from(TaskIdSource::fixed(9)).install();
            answer_id(own.map(|guard| guard.client().task_id()));
        }
        "platform" => {
            let guard = client().task_id_from(TaskIdSource::platform()).install();
            answer_id(guard.map(|guard| guard.client().task_id()));
            answer_id(TaskId::try_current());
            let claim = TaskIdSource::platform().claim(pool(20)).unwrap();
            answer_id(Ok(claim.task_id()));
        }
        _ => panic!("{part}"),
    }
}

#[test]
fn an_installed_client_decides_the_processs_id_and_the_process_keeps_the_lease() -> Result<(), Box<dyn Error>>
{
    let answers = child("installed", &[])?;
    let id = answers[0].as_str();
    assert!(["leased 1", "leased 2"].contains(&id), "{id}");
    assert_eq!(answers, [id, id, id, id, "shared"]);
    Ok(())
}

#[test]
fn a_process_decides_once() -> Result<(), Box<dyn Error>> {
    let answers = child("decided", &[])?;
    let other = |wanted: &str| {
        format!(
            "the setting task_id_from can't be {wanted:?}: this process's task id was already decided, from fixed(7)"
        )
    };
    assert_eq!(answers[..3], ["fixed 07", "fixed 07", &other("random")]);
    assert!(answers[3].starts_with("the setting task_id_pool can't be 60: "), "{}", answers[3]);
    assert!(answers[4].starts_with("the setting task_id_from can't be \"leased("), "{}", answers[4]);
    assert_eq!(answers[5..], ["fixed 0009", "fixed 07"]);

    let late = child("late", &[])?;
    assert!(late[0].ends_with("this process's task id was already decided, from random"), "{late:?}");
    Ok(())
}

#[test]
fn the_variable_of_the_process_goes_before_every_source() -> Result<(), Box<dyn Error>> {
    let answers = child("variable", &[("TASKTAG_TASK_ID", "42")])?;
    assert_eq!(answers, ["fixed 0042"; 3]);
    let refused = child("variable", &[("TASKTAG_TASK_ID", "0")])?;
    assert!(refused.len() == 3 && refused.iter().all(|text| text.contains("TASKTAG_TASK_ID")), "{refused:?}");
    Ok(())
}

#[test]
fn the_platform_is_read_from_the_processs_variables_unless_others_are_given() -> Result<(), Box<dyn Error>> {
    assert_eq!(child("platform", &[("TASK_SLOT", "7")])?, ["platform 0007", "platform 0007", "platform 07"]);
    Ok(())
}

// What is documented.

#[test]
fn every_variable_of_a_platform_is_documented_where_it_is_chosen_and_in_the_readme() {
    let (code, docs) = (include_str!("../src/task_id/platform.rs"), include_str!("../src/task_id/source.rs"));
    let code = code.split("#[cfg(test)]").next().unwrap();
    let is_variable =
        |text: &&str| text.len() > 3 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c == '4');
    let variables: BTreeSet<_> = code.split('"').skip(1).step_by(2).filter(is_variable).collect();
    assert!(variables.len() > 15, "{variables:?}");
    let page = include_str!("../src/guide/task_ids.rs");
    for variable in variables {
        // Tells a pod; it gives no id. The other is a host's name.
        if !["KUBERNETES_SERVICE_HOST", "COMPUTERNAME"].contains(&variable) {
            assert!(docs.contains(&format!("`{variable}`")), "{variable} in the docs");
            assert!(page.contains(&format!("`{variable}`")), "{variable} on the page");
        }
    }
}
