//! `tasktag send` sends what a program would, and `tasktag time` ends as the command that it runs.

#![cfg(all(feature = "cli", unix))]

#[path = "command/run.rs"]
mod run;
mod support;

use run::{kill, run, tasktag, wait};
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use support::{Agent, TempDir};

/// What comes of a command at an agent that the environment names.
#[track_caller]
fn sent(arguments: &[&str]) -> Vec<String> {
    let agent = Agent::udp();
    let address = agent.address();
    let variables = [
        ("DD_DOGSTATSD_URL", address.as_str()),
        ("TASKTAG_TASK_ID", "42"),
        ("DD_ORIGIN_DETECTION_ENABLED", "0"),
    ];
    let ended = run(arguments, &variables);
    assert_eq!((ended.status, ended.out.as_str(), ended.err.as_str()), (Some(0), "", ""), "{arguments:?}");
    agent.drain()
}

#[test]
fn each_kind_is_sent_with_its_tags_and_the_task_id() {
    for (arguments, line) in [
        (
            ["gauge", "backup.bytes", "123", "--tag", "host:db1", "--tag", "nightly"].as_slice(),
            "backup.bytes:123|g|#host:db1,nightly,task_id:0042",
        ),
        (&["gauge", "balance", "-2.5", "--prefix", "shop"], "shop.balance:-2.5|g|#task_id:0042"),
        (&["counter", "jobs"], "jobs:1|c|#task_id:0042"),
        (&["counter", "jobs", "7", "--without-task-id"], "jobs:7|c"),
        (&["timing", "query", "12.5"], "query:12.5|ms|#task_id:0042"),
        (&["distribution", "size", "-1"], "size:-1|d|#task_id:0042"),
        (&["histogram", "size", "1"], "size:1|h|#task_id:0042"),
        (&["set", "users", "a:b"], "users:a:b|s|#task_id:0042"),
        (&["gauge", "fill", "1", "--dialect", "graphite"], "fill;task_id=0042:1|g"),
        (
            &["event", "deploy", "v42", "--alert-type", "error", "--priority", "low", "--tag", "env:eu"],
            "_e{6,3}:deploy|v42|p:low|t:error|#env:eu,task_id:0042",
        ),
        (&["check", "db.up", "critical", "--message", "no"], "_sc|db.up|2|#task_id:0042|m:no"),
    ] {
        assert_eq!(sent(&[&["send"], arguments].concat()), [line]);
    }
}

#[test]
fn what_is_not_sent_is_told_and_the_status_says_so() {
    let directory = TempDir::new();
    let nobody = format!("unix://{}", directory.join("nobody").display());
    let ended = run(&["send", "counter", "jobs", "--agent", &nobody], &[]);
    assert_eq!((ended.status, ended.out.as_str()), (Some(1), ""));
    assert_eq!(ended.err, format!("error: not sent: {nobody}: No such file or directory (os error 2)\n"));

    let ended = run(&["send", "counter", "jobs"], &[("DD_DOGSTATSD_URL", "http://agent")]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.err.contains("the environment variable DD_DOGSTATSD_URL can't be"), "{}", ended.err);
    assert_eq!(run(&["send", "gauge", "fill", "nan"], &[]).status, Some(2));
    assert_eq!(run(&["send", "check", "db", "fine"], &[]).status, Some(2));
}

#[test]
fn a_command_is_timed_and_ends_as_it_did() {
    let lines = sent(&["time", "backup", "--tag", "host:db1", "--", "true"]);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.starts_with("backup:") && line.ends_with("|ms|#host:db1,outcome:ok,task_id:0042"), "{line}");

    let (agent, script) = (Agent::udp(), |script| ["time", "backup", "--seconds", "--", "sh", "-c", script]);
    let address = agent.address();
    for (command, status) in [("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)] {
        let ended = run(&script(command), &[("DD_DOGSTATSD_URL", &address)]);
        assert_eq!((ended.status, ended.err.as_str()), (Some(status), ""), "{command}");
        let lines = agent.drain();
        assert!(lines.len() == 1 && lines[0].contains("|d|#outcome:error,task_id:"), "{lines:?}");
    }
    let ended = run(&["time", "backup", "--", "/nobody/has/this"], &[("DD_DOGSTATSD_URL", &address)]);
    assert_eq!(ended.status, Some(127), "{ended:#?}");
    let ended = run(&["time", "backup", "--", "/"], &[("DD_DOGSTATSD_URL", &address)]);
    assert_eq!(ended.status, Some(126), "{ended:#?}");
    assert_eq!(agent.drain(), [""; 0]);
}

#[test]
fn a_commands_status_and_output_are_its_own_whatever_the_agent_does() {
    let variables = [("DD_DOGSTATSD_URL", "unix:///nobody/listens/here")];
    let ended = run(&["time", "backup", "--", "sh", "-c", "echo out; echo err >&2; exit 3"], &variables);
    assert_eq!((ended.status, ended.out.as_str()), (Some(3), "out\n"));
    assert!(ended.err.starts_with("err\ntasktag: not sent: unix:///nobody/listens/here: "), "{}", ended.err);
    let ended = run(&["time", "backup", "--", "true"], &[("TASKTAG_DIALECT", "none")]);
    assert_eq!(ended.status, Some(0));
    assert!(ended.err.starts_with("tasktag: the environment variable TASKTAG_DIALECT"), "{}", ended.err);
}

#[test]
fn a_signal_ends_the_command_and_its_time_is_still_sent() {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    agent.set_read_timeout(Some(support::PATIENCE)).unwrap();
    // It reads what never comes, so that it ends with this test at the latest.
    let mut command = tasktag(&["time", "backup", "--", "sh", "-c", "echo up; exec cat"]);
    command.env("DD_DOGSTATSD_URL", format!("udp://{}", agent.local_addr().unwrap()));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut up = [0; 3];
    child.stdout.take().unwrap().read_exact(&mut up).unwrap();
    kill(child.id(), "TERM");
    let status = wait(&mut child);
    assert_eq!((status.code(), status.signal()), (Some(143), None));
    let mut line = [0; 1000];
    let len = agent.recv(&mut line).unwrap();
    assert!(line[..len].starts_with(b"backup:"), "{:?}", String::from_utf8_lossy(&line[..len]));
}

/// As `nohup` starts a program, and a shell one in the background.
#[cfg(target_os = "linux")]
#[test]
fn signals_that_are_ignored_stay_ignored_by_the_command_too() {
    const SCRIPT: &str = "grep SigIgn /proc/self/status; exec cat";
    let agent = Agent::udp();
    let timed = tasktag(&["time", "backup", "--", "sh", "-c", SCRIPT]);
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "trap '' HUP INT QUIT; exec \"$0\" \"$@\""])
        .arg(timed.get_program())
        .args(timed.get_args());
    shell.env("DD_DOGSTATSD_URL", agent.address()).env_remove("TASKTAG_DIALECT").stdin(Stdio::piped());
    let mut child = shell.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let mask = u64::from_str_radix(said.trim_start_matches("SigIgn:").trim(), 16).unwrap();
    // The first bit is that of signal 1, and so 0b111 of HUP, INT and QUIT.
    assert_eq!(mask & 0b111, 0b111, "the command ignores them: {said}");
    for signal in ["HUP", "INT", "QUIT", "TERM"] {
        kill(child.id(), signal);
    }
    // Of two signals that wait, the lower one ends a process.
    let status = wait(&mut child);
    assert_eq!((status.code(), status.signal()), (Some(143), None), "it ended by TERM and not by HUP");
    assert_eq!(agent.drain().iter().filter(|line| line.starts_with("backup:")).count(), 1);
}
