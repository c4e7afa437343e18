//! `tasktag doctor --env-of` warns of another network if the address of the agent means something else there, and
//! otherwise does not.
//!
//! It needs root, or a namespace of users, and says on standard error that it was skipped otherwise.

#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "command/namespaces.rs"]
mod namespaces;
#[path = "command/run.rs"]
mod run;
mod support;

use namespaces::unshare;
use run::{Ended, run};
use std::io::Read;
use std::process::Stdio;
use support::{Agent, TempDir};

/// What the doctor says of a process that has a network of its own, and this agent.
fn examine(address: &str) -> Option<Ended> {
    let mut command = unshare(&["--net"])?;
    command.args(["sh", "-c", "echo; read _"]).env_clear().env("DD_DOGSTATSD_URL", address);
    let mut other = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It has its network and its variables once it says something, and runs no other program then: while one begins,
    // the system shows no variables.
    other.stdout.as_mut().unwrap().read_exact(&mut [0; 1]).unwrap();
    let ended = run(&["doctor", "--env-of", &other.id().to_string()], &[]);
    other.kill().unwrap();
    other.wait().unwrap();
    Some(ended)
}

#[test]
fn another_network_is_a_warning_unless_the_agent_has_a_sockets_file() {
    let (directory, udp) = (TempDir::new(), Agent::udp());
    let unix = Agent::unix(&directory.join("agent"));
    let Some(ended) = examine(&unix.address()) else { return };
    assert_eq!(ended.status, Some(0), "{}", ended.out);
    assert!(!ended.out.contains("network"), "{}", ended.out);

    let ended = examine(&udp.address()).unwrap();
    assert_eq!(ended.status, Some(1), "{}", ended.out);
    assert!(ended.out.contains("WARNING network: process "), "{}", ended.out);

    let ended = examine(&format!("unix:@tasktag-nobody-{}", std::process::id())).unwrap();
    assert_eq!(ended.status, Some(2), "{}", ended.out);
    assert!(ended.out.contains("WARNING network: process "), "{}", ended.out);
    assert!(
        ended.out.contains("FAULT   connection: the socket without a file does not answer"),
        "{}",
        ended.out
    );
    assert!(!ended.out.contains("this network namespace"), "it is the wrong one: {}", ended.out);
}
