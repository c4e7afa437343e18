//! The Agent is told which container a line came from, whatever runs the container.
//!
//! `tests/origin/` has the files of a machine of each sort. Its ids and inodes are made up.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use support::{PATIENCE, TempDir};
use tasktag::testing::Capture;
use tasktag::{Client, ClientBuilder, ConfigError, Dialect, Event, ServiceCheck, Status, TagCardinality};

const HOST_NAMESPACE: &str = "cgroup:[4026531835]";
const PRIVATE_NAMESPACE: &str = "cgroup:[4026532711]";
/// What is read of a cgroup file and of a mountinfo file, in bytes.
const MAX_CGROUP: usize = 1 << 16;
const MAX_MOUNTINFO: usize = 1 << 20;

/// The machines on which the files name the container.
const NAMED: [(&str, &str); 10] = [
    ("docker", "a759a98e12f6b1313dc6f59adc2f21c9e10f6736710f4589667bb5fe1756fef5"),
    ("docker_systemd", "53dd7e03175b4647c85c362bfa66720b3cf4a45fc1a8338edff0287d8f4548b1"),
    ("docker_private_namespace", "dc55484f09fd3025f0d58d73306780ce6f7185f84f441fc7eff5c7ffc6f4f11e"),
    ("kubernetes_containerd", "10b88250581d2dc4acef05bd1ba1e6e16eb998392cd94d5c9617b8ef6053c2da"),
    ("kubernetes_containerd_cgroupfs", "f4f3128e223cb06292131ea9d69715af66fa4cf52d4da86ed291ba71efb64db9"),
    ("kubernetes_crio", "56e8d7558df18ca4dafd4778df7d39a389ecc503ae30f45aaff05e39082f9240"),
    ("kubernetes_crio_subgroup", "c924878284babadd73ef98c6108898696408b0aed4b7469a42a267bb3f2506c9"),
    ("ecs_ec2", "b1c7f216019087dd504a949b7541808f6d7bdf80185606bd0f7181ad7d972694"),
    ("fargate_1_3", "8f1d8057e0eabc70589937a4801cf29e363f8fd9dc1563b6dbb29558f4915ea7"),
    ("fargate_1_4", "f362d328880faea10161e245a6028b72-2531612879"),
];
/// Those on which only the inode of this directory tells containers apart.
const HIDDEN: [(&str, &str); 2] = [
    ("kubernetes_private_namespace", "sys/fs/cgroup"),
    ("cgroup_v1_private_namespace", "sys/fs/cgroup/memory"),
];
/// Those without a container, and the directory of the cgroup that the process is in.
const BARE: [(&str, &str); 2] = [
    ("plain_host", "sys/fs/cgroup/memory/user.slice/user-1000.slice/session-14.scope"),
    ("host_namespace", "sys/fs/cgroup/system.slice/shop.service"),
];

/// A client that may look for its container.
fn builder() -> ClientBuilder {
    Client::builder().task_id(support::task_id()).telemetry(false)
}

fn machine(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/origin").join(name);
    assert!(root.is_dir(), "{name}");
    root
}

/// A root of its own with a machine's files, in a cgroup namespace: no repository keeps such a link.
fn in_namespace(name: &str, namespace: &str) -> TempDir {
    let (root, machine) = (TempDir::new(), machine(name));
    fs::create_dir_all(root.join("proc/self/ns")).unwrap();
    for path in ["proc/self/cgroup", "proc/self/mountinfo", "sys"] {
        symlink(machine.join(path), root.join(path)).unwrap();
    }
    symlink(namespace, root.join("proc/self/ns/cgroup")).unwrap();
    root
}

/// A root of its own with these two files.
fn with_files(cgroup: &[u8], mountinfo: &[u8]) -> TempDir {
    let root = TempDir::new();
    fs::create_dir_all(root.join("proc/self")).unwrap();
    fs::write(root.join("proc/self/cgroup"), cgroup).unwrap();
    fs::write(root.join("proc/self/mountinfo"), mountinfo).unwrap();
    root
}

/// What stands behind the tags of a line.
fn fields(builder: ClientBuilder) -> String {
    let capture = Capture::new();
    let guard = builder.capture(&capture).build().unwrap();
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    let lines = capture.take_lines();
    let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
    line.strip_prefix("jobs:1|c|#task_id:0042").unwrap_or_else(|| panic!("{line}")).to_owned()
}

fn fields_on(root: impl Into<PathBuf>) -> String {
    fields(builder().system_root(root))
}

fn inode(path: &Path) -> String {
    format!("|c:in-{}", fs::metadata(path).unwrap().ino())
}

#[test]
fn a_container_is_known_by_its_id_wherever_the_files_tell_it() {
    for (name, id) in NAMED {
        assert_eq!(fields_on(machine(name)), format!("|c:ci-{id}"), "{name}");
        for namespace in [HOST_NAMESPACE, PRIVATE_NAMESPACE] {
            let root = in_namespace(name, namespace);
            assert_eq!(fields_on(root.join("")), format!("|c:ci-{id}"), "{name} in {namespace}");
        }
    }
}

#[test]
fn a_container_whose_id_is_hidden_is_known_by_the_inode_of_its_cgroup() {
    for (name, directory) in HIDDEN {
        assert_eq!(fields_on(machine(name)), inode(&machine(name).join(directory)), "{name}");
        let root = in_namespace(name, PRIVATE_NAMESPACE);
        assert_eq!(fields_on(root.join("")), inode(&root.join(directory)), "{name}");
    }
}

#[test]
fn a_process_of_the_host_has_no_container_and_is_not_taken_for_one() {
    for (name, directory) in BARE {
        assert_eq!(fields_on(in_namespace(name, HOST_NAMESPACE).join("")), "", "{name}");
        // The namespace alone makes the difference.
        let root = in_namespace(name, PRIVATE_NAMESPACE);
        assert_eq!(fields_on(root.join("")), inode(&root.join(directory)), "{name}");
    }
    for (name, _) in HIDDEN {
        assert_eq!(fields_on(in_namespace(name, HOST_NAMESPACE).join("")), "", "{name}");
    }
}

#[test]
fn files_that_are_missing_empty_or_make_no_sense_are_no_container() {
    for name in ["garbage", "empty"] {
        assert_eq!(fields_on(machine(name)), "", "{name}");
    }
    assert_eq!(fields_on(TempDir::new().join("not/there")), "");
    let unreadable = TempDir::new();
    fs::create_dir_all(unreadable.join("proc/self/cgroup")).unwrap();
    fs::create_dir_all(unreadable.join("proc/self/mountinfo")).unwrap();
    assert_eq!(fields_on(unreadable.join("")), "");
}

#[test]
fn one_file_that_makes_no_sense_does_not_hide_what_the_other_says() {
    let garbage = fs::read(machine("garbage").join("proc/self/cgroup")).unwrap();
    let (docker, id) = (machine("docker"), NAMED[0].1);
    let cgroup = fs::read(docker.join("proc/self/cgroup")).unwrap();
    let mountinfo = fs::read(docker.join("proc/self/mountinfo")).unwrap();
    for (cgroup, mountinfo) in [
        (cgroup.clone(), garbage.clone()),
        (garbage.clone(), mountinfo.clone()),
        ([garbage.as_slice(), b"\n", &cgroup].concat(), garbage.clone()),
        (garbage.clone(), [garbage.as_slice(), b"\n", &mountinfo].concat()),
    ] {
        assert_eq!(fields_on(with_files(&cgroup, &mountinfo).join("")), format!("|c:ci-{id}"));
    }
}

#[test]
fn of_a_huge_file_the_beginning_is_read_and_no_cut_line() {
    let id = "ab".repeat(32);
    let cgroup_line = format!("4:memory:/docker/{id}\n");
    let mount_line = format!("1 2 0:3 /docker/containers/{id}/hostname /etc/hostname rw - ext4 a rw\n");
    let padding = |len: usize| [vec![b'x'; len - 1], b"\n".to_vec()].concat();
    // A file is found in up to its limit, and beyond it is not read on.
    for (before, line, limit, expected) in [
        (0, &cgroup_line, MAX_CGROUP, true),
        (MAX_CGROUP - cgroup_line.len(), &cgroup_line, MAX_CGROUP, true),
        (MAX_CGROUP - cgroup_line.len() + 2, &cgroup_line, MAX_CGROUP, false),
        (MAX_CGROUP, &cgroup_line, MAX_CGROUP, false),
        (0, &mount_line, MAX_MOUNTINFO, true),
        (MAX_MOUNTINFO - mount_line.len(), &mount_line, MAX_MOUNTINFO, true),
        (MAX_MOUNTINFO, &mount_line, MAX_MOUNTINFO, false),
    ] {
        let beginning = if before == 0 { Vec::new() } else { padding(before) };
        let text = [beginning, line.clone().into_bytes(), padding(2 * limit)].concat();
        let root = if limit == MAX_CGROUP { with_files(&text, b"") } else { with_files(b"", &text) };
        let found = fields_on(root.join(""));
        assert_eq!(found, if expected { format!("|c:ci-{id}") } else { String::new() }, "{before} {line}");
    }
    // Cut here, the path would end with an id.
    let cut = format!("4:memory:/docker/{id}");
    let text = [padding(MAX_CGROUP - cut.len()), cut.into_bytes(), b"/and/goes/on\n".to_vec()].concat();
    assert_eq!(fields_on(with_files(&text, b"").join("")), "");
    // A sparse file of 4 GiB is as good as one of a megabyte.
    let root = with_files(b"", b"");
    let mut file = fs::File::create(root.join("proc/self/mountinfo")).unwrap();
    file.write_all(mount_line.as_bytes()).unwrap();
    file.set_len(1 << 32).unwrap();
    assert_eq!(fields_on(root.join("")), format!("|c:ci-{id}"));
}

#[test]
fn a_cgroup_out_of_its_namespace_has_no_inode() {
    let root = with_files(b"0::/../../secret\n", b"");
    fs::create_dir_all(root.join("sys/fs/cgroup")).unwrap();
    fs::create_dir_all(root.join("sys/secret")).unwrap();
    assert_eq!(fields_on(root.join("")), "");
}

#[test]
fn an_inode_that_many_directories_have_tells_nothing() {
    // Every mount of it has inode 1, as the root of a cgroup hierarchy has.
    let common = "/proc";
    assert_eq!(fs::metadata(common).unwrap().ino(), 1);
    let root = with_files(b"1:memory:/\n0::/own\n", b"");
    fs::create_dir_all(root.join("sys/fs/cgroup/own")).unwrap();
    symlink(common, root.join("sys/fs/cgroup/memory")).unwrap();
    // The next controller may have another.
    let own = root.join("sys/fs/cgroup/own");
    assert_eq!(fields_on(root.join("")), inode(&own));
    fs::remove_dir(&own).unwrap();
    assert_eq!(fields_on(root.join("")), "");
}

#[test]
fn the_container_is_looked_for_once() {
    let root = with_files(format!("0::/docker/{}\n", "a".repeat(64)).as_bytes(), b"");
    let capture = Capture::new();
    let guard = builder().capture(&capture).system_root(root.join("")).build().unwrap();
    fs::write(root.join("proc/self/cgroup"), format!("0::/docker/{}\n", "b".repeat(64))).unwrap();
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(capture.take_lines(), [format!("jobs:1|c|#task_id:0042|c:ci-{}", "a".repeat(64))]);
}

#[test]
fn events_and_service_checks_say_where_they_come_from_too() {
    let capture = Capture::new();
    let (client, vars) = (
        builder().container_id("in-23").tag_cardinality(TagCardinality::High),
        [("DD_EXTERNAL_ENV", "cn-web")],
    );
    let guard = client.from_vars(vars).capture(&capture).build().unwrap();
    guard.client().send_event(Event::new("deploy", "v42"));
    guard.client().send_service_check(ServiceCheck::new("db", Status::Ok).message("fine"));
    guard.client().flush(PATIENCE).unwrap();
    let origin = "|#task_id:0042|c:in-23|e:cn-web|card:high";
    let expected = [format!("_e{{6,3}}:deploy|v42{origin}"), format!("_sc|db|0{origin}|m:fine")];
    assert_eq!(capture.take_lines(), expected);
}

#[test]
fn the_container_is_looked_for_unless_someone_says_no() {
    let on = |builder: ClientBuilder| fields(builder.system_root(machine("docker")));
    let found = format!("|c:ci-{}", NAMED[0].1);
    let says = |text| [("DD_ORIGIN_DETECTION_ENABLED", text)];
    assert_eq!(on(builder()), found);
    assert_eq!(on(builder().from_vars([("DD_ENV", "")])), found);
    assert_eq!(on(builder().origin_detection(true)), found);
    assert_eq!(on(builder().origin_detection(false)), "");
    for text in ["0", "f", "F", "false", "False", "FALSE"] {
        assert_eq!(on(builder().from_vars(says(text))), "", "{text}");
        // The program takes precedence over the environment.
        assert_eq!(on(builder().from_vars(says(text)).origin_detection(true)), found, "{text}");
    }
    for text in ["1", "t", "T", "true", "True", "TRUE", "", "fAlSe", "no", "off", "false ", "\u{fffd}"] {
        assert_eq!(on(builder().from_vars(says(text))), found, "{text}");
        assert_eq!(on(builder().origin_detection(false).from_vars(says(text))), "", "{text}");
    }
}

#[test]
fn without_detection_a_given_id_and_a_cardinality_are_still_sent_and_external_data_is_not() {
    let vars = [("DD_EXTERNAL_ENV", "it-false,cn-web,pu-77"), ("DD_CARDINALITY", "low")];
    let builder = || builder().system_root(machine("docker")).container_id("ci-77").from_vars(vars);
    assert_eq!(fields(builder()), "|c:ci-77|e:it-false,cn-web,pu-77|card:low");
    assert_eq!(fields(builder().origin_detection(false)), "|c:ci-77|card:low");
}

#[test]
fn a_given_id_goes_before_the_one_that_could_be_found_and_forges_nothing() {
    let with = |id: &str| fields(builder().system_root(machine("docker")).container_id(id));
    assert_eq!(with("container-id"), "|c:container-id");
    assert_eq!(with("ci-77,in-23"), "|c:ci-77,in-23");
    assert_eq!(with("77|#admin:yes\njobs:9|c\0"), "|c:77adminyesjobs9c");
    assert_eq!(with(&"x".repeat(256)), format!("|c:{}", "x".repeat(256)));
    // As Kubernetes writes it, and with what some Agent takes for no part of an id.
    assert_eq!(with("containerd://4f1d"), "|c:4f1d");
    assert_eq!(with("docker://abc_1"), "|c:abc-1");
    // Nothing that can be sent is nothing that was given.
    for nothing in ["", "|", "\n\t"] {
        assert_eq!(with(nothing), format!("|c:ci-{}", NAMED[0].1), "{nothing:?}");
    }
}

#[test]
fn an_id_that_is_too_long_is_an_error_that_names_it() {
    let id = "x".repeat(257);
    let error = builder().container_id(&id).build().unwrap_err();
    let ConfigError::Setting { setting: "container_id", value, reason } = error else { panic!("{error:?}") };
    assert_eq!(value, id);
    assert!(reason.contains("256"), "{reason}");
}

#[test]
fn external_data_comes_from_the_environment_and_forges_nothing() {
    let with = |data: &str| fields(builder().from_vars([("DD_EXTERNAL_ENV", data)]));
    assert_eq!(with("it-false,cn-web,pu-77"), "|e:it-false,cn-web,pu-77");
    assert_eq!(with("prod|staging"), "|e:prodstaging");
    assert_eq!(with("prod\nstaging\tdev\r"), "|e:prodstagingdev");
    assert_eq!(with("prod-环境-staging"), "|e:prod--staging");
    assert_eq!(with("cn-web|c:ci-77\njobs:9|c"), "|e:cn-webcci-77jobs9c");
    assert_eq!(with("|||"), "");
    assert_eq!(with(""), "");
    assert_eq!(with(&"x".repeat(513)), "");
}

#[test]
fn the_cardinality_is_the_programs_then_the_first_variables() {
    let with = |vars: &[(&str, &str)]| fields(builder().from_vars(vars.to_vec()));
    for (level, name) in [
        (TagCardinality::None, "none"),
        (TagCardinality::Low, "low"),
        (TagCardinality::Orchestrator, "orchestrator"),
        (TagCardinality::High, "high"),
    ] {
        let expected = format!("|card:{name}");
        assert_eq!(fields(builder().tag_cardinality(level)), expected);
        assert_eq!(with(&[("DD_CARDINALITY", name)]), expected);
        assert_eq!(with(&[("DATADOG_CARDINALITY", &name.to_uppercase())]), expected);
    }
    let both = [("DATADOG_CARDINALITY", "high"), ("DD_CARDINALITY", "Low")];
    assert_eq!(with(&both), "|card:low");
    assert_eq!(with(&[("DATADOG_CARDINALITY", "high"), ("DD_CARDINALITY", "")]), "|card:high");
    assert_eq!(fields(builder().tag_cardinality(TagCardinality::None).from_vars(both)), "|card:none");
    assert_eq!(fields(builder().from_vars(both).tag_cardinality(TagCardinality::None)), "|card:none");
}

#[test]
fn an_unknown_cardinality_is_an_error_that_names_the_variable_and_the_value() {
    for (variable, other) in [("DD_CARDINALITY", "DATADOG_CARDINALITY"), ("DATADOG_CARDINALITY", "DD_ENV")] {
        let vars = [(variable, "potato"), (other, "low")];
        let error = builder().from_vars(vars).build().unwrap_err();
        let ConfigError::Variable { variable: named, value, reason } = error else { panic!("{error:?}") };
        assert_eq!((named, value.as_str()), (variable, "potato"));
        assert!(reason.contains("none, low, orchestrator or high"), "{reason}");
    }
    // A variable that is not used can't be wrong.
    let unused = [("DD_CARDINALITY", "low"), ("DATADOG_CARDINALITY", "potato")];
    assert_eq!(fields(builder().from_vars(unused)), "|card:low");
    let overruled = [("DD_CARDINALITY", "potato")];
    assert_eq!(fields(builder().tag_cardinality(TagCardinality::High).from_vars(overruled)), "|card:high");
    assert!(builder().dialect(Dialect::Statsd).from_vars(overruled).build().is_ok());
}

#[test]
fn the_pods_tag_is_sent_beside_the_container() {
    let capture = Capture::new();
    let client =
        Client::builder().task_id(support::task_id()).telemetry(false).from_vars([("DD_ENTITY_ID", "pod")]);
    let guard = client.container_id("77").capture(&capture).build().unwrap();
    guard.client().gauge("up").register().set(1.0);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(capture.take_lines(), ["up:1|g|#dd.internal.entity_id:pod,task_id:0042|c:77"]);
}

#[test]
fn servers_that_know_no_origin_are_told_none() {
    let vars = [("DD_EXTERNAL_ENV", "cn-web"), ("DD_CARDINALITY", "low")];
    for (dialect, line) in [(Dialect::TaggedStatsd, "jobs:1|c|#task_id:0042"), (Dialect::Statsd, "jobs:1|c")]
    {
        let capture = Capture::new();
        let client = builder().dialect(dialect).system_root(machine("docker")).from_vars(vars);
        let guard =
            client.container_id("77").tag_cardinality(TagCardinality::Low).capture(&capture).build().unwrap();
        guard.client().counter("jobs").increment(1);
        guard.client().flush(PATIENCE).unwrap();
        assert_eq!(capture.take_lines(), [line]);
    }
}
