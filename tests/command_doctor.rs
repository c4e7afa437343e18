//! `tasktag doctor` names what is wrong, what to do, and how bad it is.

#![cfg(all(feature = "cli", unix))]

#[path = "command/run.rs"]
mod run;
mod support;

use run::{Ended, run, tasktag, wait};
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use support::{Agent, TempDir, unix_address};
use tasktag::{TaskIdPool, TaskIdSource};

const NOBODY: u32 = 65534;

/// The doctor's findings with variables.
#[track_caller]
fn doctor(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    run(&[&["doctor"], arguments].concat(), variables)
}

#[track_caller]
fn at(address: &str) -> Ended {
    doctor(&[], &[("DD_DOGSTATSD_URL", address)])
}

#[track_caller]
fn assert_says(ended: &Ended, status: i32, lines: &[&str]) {
    assert_eq!((ended.status, ended.err.as_str()), (Some(status), ""), "{}", ended.out);
    for line in lines {
        assert!(ended.out.lines().any(|said| said.starts_with(line)), "{line:?} is not in {}", ended.out);
    }
}

#[test]
fn where_all_is_well_it_says_so_and_a_metric_arrives() {
    let (directory, udp) = (TempDir::new(), Agent::udp());
    let unix = Agent::unix(&directory.join("agent"));
    for (agent, test) in [
        (&udp, "tasktag.doctor left, and was not refused"),
        (&unix, "tasktag.doctor is in the agent's queue"),
    ] {
        let ended = at(&agent.address());
        let address = format!("OK      address: {}, from DD_DOGSTATSD_URL", agent.address());
        assert_says(
            &ended,
            0,
            &["OK      variables: read: DD_DOGSTATSD_URL", &address, &format!("OK      test metric: {test}")],
        );
        let lines = agent.drain();
        assert!(
            lines.iter().filter(|line| line.starts_with("tasktag.doctor:1|g|")).count() == 1,
            "{lines:?}"
        );
        doctor(&["--no-send"], &[("DD_DOGSTATSD_URL", &agent.address())]);
        assert_eq!(agent.drain().concat(), "", "an empty datagram at most");
    }
}

#[test]
fn an_agent_that_is_away_is_a_fault() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp://{}", socket.local_addr().unwrap());
    drop(socket);
    let ended = at(&address);
    assert_says(
        &ended,
        2,
        &["FAULT   connection: nobody listens at 127.0.0.1:", "        -> start the agent"],
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    assert_says(&at(&address), 0, &["OK      test metric: tasktag.doctor was taken by the connection"]);
    drop(listener);
    assert_says(&at(&address), 2, &["FAULT   connection: 127.0.0.1:"]);
}

#[test]
fn a_sockets_file_tells_what_is_wrong_with_it() {
    let directory = TempDir::new();
    let [missing, file, dead, stream] =
        ["missing/agent", "file", "dead", "stream"].map(|name| directory.join(name));
    fs::write(&file, "").unwrap();
    drop(UnixDatagram::bind(&dead).unwrap());
    let _listener = UnixListener::bind(&stream).unwrap();
    let fault = |path: &Path, says: &str| {
        assert_says(&at(&unix_address(path)), 2, &[&format!("FAULT   connection: {says}")]);
    };
    fault(&missing, &format!("there is no file {}; of its directories only", missing.display()));
    fault(&file, &format!("{} is a regular file, and no socket", file.display()));
    fault(directory.path(), &format!("{} is a directory, and no socket", directory.path().display()));
    fault(&dead, &format!("{} is a socket that nobody reads", dead.display()));
    fault(&stream, &format!("{} is a socket of another type: it is a stream", stream.display()));
    let other = format!("unixstream://{}", stream.display());
    assert_says(&at(&unix_address(&stream)), 2, &[&format!("        -> use {other}")]);
    assert_says(&at(&other), 0, &["OK      connection: "]);
}

/// Root may do anything, so it is asked as another user.
#[test]
fn a_socket_that_may_not_be_written_is_a_fault_with_its_mode_and_its_user() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let _agent = UnixDatagram::bind(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let Some(ended) = as_nobody(&["doctor"], &[("DD_DOGSTATSD_URL", &unix_address(&path))]) else { return };
    assert_says(&ended, 2, &[&format!("FAULT   connection: {} has mode 0500, user ", path.display())]);
    assert!(ended.out.contains("may not write\n        -> let the agent make its socket"), "{}", ended.out);
}

#[test]
fn a_lease_directory_is_a_fault_where_it_can_t_be_written_and_shows_who_holds_what() {
    let (agent, directory) = (Agent::udp(), TempDir::new());
    let address = agent.address();
    let variables = [("DD_DOGSTATSD_URL", address.as_str())];
    let shown = directory.path().to_str().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let claim = TaskIdSource::leased(directory.path()).claim(TaskIdPool::DEFAULT).unwrap();
    let ended = doctor(&["--lease-directory", shown], &variables);
    assert_says(&ended, 0, &["OK      lease: user ", "OK      lease: 1 slots are held, 0 are free"]);
    if cfg!(target_os = "linux") {
        let held = format!("{} by {}", claim.task_id().number(), std::process::id());
        assert!(ended.out.contains(&held), "{held} is not in {}", ended.out);
    }
    drop(claim);
    fs::create_dir(directory.join("7.lock")).unwrap();
    let ended = doctor(&[], &[variables[0], ("RUNTIME_DIRECTORY", shown)]);
    assert_says(&ended, 1, &["WARNING lease: no regular files, so that nobody gets their slots: 7.lock"]);
    assert_says(
        &doctor(&["--lease-directory", "/nobody/leases/here"], &variables),
        2,
        &["FAULT   lease: /nobody"],
    );
    let Some(ended) = as_nobody(&["doctor", "--lease-directory", shown], &variables) else { return };
    assert_says(&ended, 2, &["FAULT   lease: user 65534 can't make slots in "]);
}

/// An agent that hangs holds the doctor up for seconds, and not for ever.
#[cfg(target_os = "linux")]
#[test]
fn an_agent_that_accepts_nothing_or_reads_nothing_is_a_fault() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let directory = TempDir::new();
    let [stream, datagrams] = ["stream", "datagrams"].map(|name| directory.join(name));
    let address = SocketAddrUnix::new(&stream).unwrap();
    let socket = || {
        let flags = SocketFlags::NONBLOCK;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
    };
    let listener = socket();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let mut waiting = Vec::new();
    loop {
        let client = socket();
        match rustix::net::connect(&client, &address) {
            Ok(()) => waiting.push(client),
            Err(error) => break assert_eq!(error, rustix::io::Errno::AGAIN, "its queue is full"),
        }
    }
    let _agent = UnixDatagram::bind(&datagrams).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send_to(b"jobs:1|c", &datagrams).is_ok() {}
    for (address, fault) in [
        (format!("unixstream://{}", stream.display()), "FAULT   connection: "),
        (unix_address(&datagrams), "FAULT   test metric: tasktag.doctor was not sent: "),
    ] {
        let mut command = tasktag(&["doctor"]);
        command.env("DD_DOGSTATSD_URL", &address).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        wait(&mut child);
        assert_says(&Ended::of(child.wait_with_output().unwrap()), 2, &[fault]);
    }
}

#[test]
fn a_name_that_does_not_resolve_is_a_fault_with_the_time_that_it_took() {
    let ended = doctor(&[], &[("DD_AGENT_HOST", "name.invalid")]);
    assert_says(
        &ended,
        2,
        &[
            "OK      address: udp://name.invalid:8125, from DD_AGENT_HOST",
            "FAULT   name: name.invalid:8125 has no address: ",
        ],
    );
    assert!(ended.out.contains(" ms)\n        -> check the name"), "{}", ended.out);
}

#[test]
fn variables_are_read_or_overridden_or_misspelt_or_made_by_kubernetes() {
    let agent = Agent::udp();
    let port = agent.port().to_string();
    let of_kubernetes = [
        ("STATSD_PORT", "udp://10.96.0.12:8125"),
        ("STATSD_SERVICE_HOST", "10.96.0.12"),
        ("STATSD_PORT_8125_UDP_ADDR", "10.96.0.12"),
    ];
    let chosen =
        [("DD_AGENT_HOST", "127.0.0.1"), ("DD_DOGSTATSD_PORT", port.as_str()), ("DD_SERVICE", "shop")];
    let ended = doctor(&[], &[chosen.as_slice(), &of_kubernetes].concat());
    let address = format!("OK      address: {}, from DD_AGENT_HOST and DD_DOGSTATSD_PORT", agent.address());
    let read = "OK      variables: read: DD_AGENT_HOST, DD_DOGSTATSD_PORT, DD_SERVICE";
    assert_says(&ended, 0, &[read, "OK      variables: STATSD_PORT is not read: Kubernetes", &address]);
    assert!(ended.out.contains("#service:shop,task_id:"), "{}", ended.out);

    let wrong = [("STATSD_HOST", "other"), ("DD_DOGSTATSD_PORTS", "1"), ("TASKTAG_TASK_ID", "7")];
    let ended = doctor(&[], &[chosen.as_slice(), &wrong].concat());
    assert_says(
        &ended,
        1,
        &["WARNING variables: STATSD_HOST is set and has no effect", "OK      task id: task_id:0007, set by"],
    );
    assert!(ended.out.contains("did you mean DD_DOGSTATSD_PORT?"), "{}", ended.out);

    let ended = doctor(&[], &[("TASKTAG_DIALECT", "none")]);
    assert_says(&ended, 2, &["FAULT   settings: the environment variable TASKTAG_DIALECT can't be \"none\""]);
    assert_says(&doctor(&[], &[("TASKTAG_DISABLED", "1")]), 1, &["WARNING settings: the client is disabled"]);
}

#[test]
fn a_fleet_that_shares_ids_is_a_warning() {
    let agent = Agent::udp();
    let address = agent.address();
    let of = |tasks| doctor(&["--fleet", tasks], &[("DD_DOGSTATSD_URL", &address)]);
    assert_says(
        &of("7"),
        0,
        &["OK      fleet: of 7 tasks with random ids of 1000 buckets, two share one with 2.1 %"],
    );
    assert_says(&of("100"), 1, &["WARNING fleet: of 100 tasks"]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_variables_of_another_process_are_read_and_json_says_the_same() {
    let agent = Agent::udp();
    let mut other = tasktag(&["listen", "udp://127.0.0.1:0"]);
    other.env_clear().env("DD_DOGSTATSD_URL", agent.address()).env("DD_ENV", "other");
    let mut other = other.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // It has its variables once it says something.
    let mut told = [0; 1];
    other.stderr.take().unwrap().read_exact(&mut told).unwrap();
    let ended = doctor(&["--json", "--env-of", &other.id().to_string()], &[("DD_ENV", "own")]);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(ended.status, Some(0), "{ended:#?}");
    let findings = ended.objects();
    assert_eq!(findings[0]["text"], "read: DD_DOGSTATSD_URL, DD_ENV");
    assert!(findings.iter().all(|finding| finding["level"] == "ok"));
    assert!(agent.drain().concat().contains("#env:other,"), "{ended:#?}");
    assert_eq!(doctor(&["--env-of", "4294967295"], &[]).status, Some(2));
}

/// What `/proc` puts before a path would make it too long for a socket's name.
#[cfg(target_os = "linux")]
#[test]
fn the_socket_of_another_process_with_this_root_may_have_a_long_path() {
    let directory = TempDir::new();
    let shorter = directory.join("").as_os_str().len();
    let path = directory.join(&"a".repeat(98 - shorter));
    let agent = Agent::unix(&path);
    let mut other = tasktag(&["listen", "udp://127.0.0.1:0"]);
    other.env_clear().env("DD_DOGSTATSD_URL", unix_address(&path));
    let mut other = other.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // It has its variables once it says something.
    other.stderr.take().unwrap().read_exact(&mut [0; 1]).unwrap();
    let ended = doctor(&["--env-of", &other.id().to_string()], &[]);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_says(&ended, 0, &["OK      connection: ", "OK      test metric: tasktag.doctor is in the"]);
    assert!(!ended.out.contains("/proc/"), "{}", ended.out);
    assert!(agent.drain().concat().contains("tasktag.doctor:1|g"), "{}", ended.out);
}

/// Runs the command as a user who may do little. `None` where whoever runs the tests can't become another, or where the
/// other may not run what was built here.
fn as_nobody(arguments: &[&str], variables: &[(&str, &str)]) -> Option<Ended> {
    let directory = TempDir::new();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).ok()?;
    // The folder of what was built may be closed to others.
    let copy = directory.join("tasktag");
    fs::copy(env!("CARGO_BIN_EXE_tasktag"), &copy).ok()?;
    let mut command = std::process::Command::new(&copy);
    command.args(arguments).env_clear().envs(variables.iter().copied()).uid(NOBODY).gid(NOBODY);
    let output = loop {
        match command.output() {
            // A child of another test has the copy open for writing until it runs its own program.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
            output => break output,
        }
    };
    match output {
        Ok(output) => Some(Ended::of(output)),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "skipped: run as root to be another user ({error})");
            None
        }
    }
}
