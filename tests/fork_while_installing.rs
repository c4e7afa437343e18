//! A child that is forked while another thread installs a client can install its own.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std has no process namespaces")]

mod support;

use std::process::{self, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::fork::{assert_done, fork, holds_in_child};
use tasktag::testing::Capture;
use tasktag::{Client, ConfigError, TaskId};

/// Whether a client can be installed, and no other beside it.
fn installs() -> bool {
    let Ok(guard) = Client::builder().capture(&Capture::new()).install() else { return false };
    let again = Client::builder().capture(&Capture::new()).install();
    matches!(again, Err(ConfigError::AlreadyInstalled))
        && tasktag::client().is_some_and(|client| client.task_id() == guard.client().task_id())
        && guard.client().task_id() == TaskId::current()
}

/// Tries to install a client until it is done: it takes a task id and makes most of one before it is refused.
fn install_in_vain(done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let refused = Client::builder().tag("a", "b").agent("nowhere://").install();
        assert!(matches!(refused, Err(ConfigError::Setting { .. })), "{refused:?}");
    }
}

// One test: a process has one slot for a client.
#[test]
fn a_child_forked_while_another_thread_installs_can_install_its_own() {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // The first of these are the first to use the library in this process.
        scope.spawn(|| install_in_vain(&done));
        let failed = (0..200).map(|_| fork(installs)).find(|ended| !ended.success());
        // Before anything that may panic: the other thread is waited for.
        done.store(true, Ordering::Relaxed);
        failed.into_iter().for_each(assert_done);
    });
    assert!(installs());
    let _guard = Client::builder().capture(&Capture::new()).install().unwrap();
    assert!(holds_in_child(|| !installs()), "a child of a process with a client has it");
}

const CHILD: &str = "FORK_WHILE_INSTALLING_CHILD";

/// The part of the next test that runs as the first process of a namespace.
#[test]
fn child_forks_into_namespaces_of_their_own() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    assert_eq!(process::id(), 1);
    let done = AtomicBool::new(false);
    let fork_into_a_namespace = || {
        // SAFETY: It concerns the children of this thread alone.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
        fork(|| process::id() == 1 && installs())
    };
    thread::scope(|scope| {
        scope.spawn(|| install_in_vain(&done));
        // A namespace ends with its first process: each has a thread of its own to be forked by.
        let ended = (0..50).map(|_| scope.spawn(fork_into_a_namespace).join());
        let failed = ended.map(Result::unwrap).find(|ended| !ended.success());
        done.store(true, Ordering::Relaxed);
        failed.into_iter().for_each(assert_done);
    });
}

#[test]
fn a_child_with_its_parents_number_in_a_namespace_of_its_own_can_install_its_own() {
    const IN_A_NAMESPACE: [&str; 4] = ["unshare", "--pid", "--fork", "--kill-child"];
    let able = Command::new("unshare").args(&IN_A_NAMESPACE[1..]).arg("true").output();
    if !able.is_ok_and(|output| output.status.success()) {
        return println!("skipped: it takes root's rights and unshare");
    }
    // No other signal ends the first process of a namespace.
    let output = Command::new("timeout")
        .args(["-s", "KILL", "120"])
        .args(IN_A_NAMESPACE)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child_forks_into_namespaces_of_their_own", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
