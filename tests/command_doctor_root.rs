//! `tasktag doctor --env-of` finds a socket's file where the other process has it, though that has a root or mounts of
//! its own.
//!
//! It needs root, or a namespace of users, and says on standard error that it was skipped otherwise.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(unsafe_code, reason = "std changes no root")]

#[path = "command/namespaces.rs"]
mod namespaces;
#[path = "command/run.rs"]
mod run;
mod support;

use namespaces::unshare;
use run::{run, tasktag};
use std::ffi::CString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use support::{Agent, TempDir, unix_address};

const TEST: &str = "a_socket_is_found_in_the_root_of_the_process_that_is_looked_at";
/// Tells a child of the test which root to look into.
const ROOT: &str = "COMMAND_DOCTOR_ROOT";

/// Gives this thread a root of its own, and returns its number, which `/proc` takes for a process's.
fn change_root(root: &Path) -> io::Result<u32> {
    let root = CString::new(root.as_os_str().as_bytes()).unwrap();
    // SAFETY: it makes three system calls, of which one reads a path that lives until it returns.
    unsafe {
        if libc::unshare(libc::CLONE_FS) != 0 || libc::chroot(root.as_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(libc::gettid().cast_unsigned())
    }
}

/// What the doctor says of a thread that has another root, and of whose variables this process was started with.
fn examine(root: &Path) {
    let (sender, changed) = mpsc::channel();
    let (_alive, silence) = mpsc::channel::<()>();
    let root = root.to_owned();
    thread::spawn(move || {
        sender.send(change_root(&root)).unwrap();
        let _ = silence.recv();
    });
    match changed.recv().unwrap() {
        Ok(thread) => {
            let ended = run(&["doctor", "--env-of", &thread.to_string()], &[]);
            println!("{}{}", ended.out, ended.err);
        }
        Err(error) => println!("no root: {error}"),
    }
}

#[test]
fn a_socket_is_found_in_the_root_of_the_process_that_is_looked_at() {
    if let Some(root) = std::env::var_os(ROOT) {
        return examine(Path::new(&root));
    }
    let directory = TempDir::new();
    fs::create_dir_all(directory.join("run/datadog")).unwrap();
    fs::create_dir(directory.join("var")).unwrap();
    // As in most images: here it would lead to the run of the host.
    symlink("/run", directory.join("var/run")).unwrap();
    let chosen = Agent::unix(&directory.join("run/chosen"));
    let default = Agent::unix(&directory.join("run/datadog/dsd.socket"));
    // Whoever may keep this root may have another.
    let Some(_) = unshare(&["--root", "/"]) else { return };
    let looked = |variables: &[(&str, &str)]| {
        let mut child = unshare(&["--root", "/"]).unwrap();
        child
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env_clear()
            .env(ROOT, directory.path());
        String::from_utf8(child.envs(variables.iter().copied()).output().unwrap().stdout).unwrap()
    };
    let said = looked(&[("DD_DOGSTATSD_URL", "unix:///var/run/chosen")]);
    assert!(said.contains("address: unix:///var/run/chosen, from DD_DOGSTATSD_URL\n"), "{said}");
    assert!(said.contains("OK      test metric: "), "{said}");
    assert_eq!(
        chosen.drain().iter().filter(|line| line.starts_with("tasktag.doctor:1|g")).count(),
        1,
        "{said}"
    );
    let said = looked(&[]);
    assert!(
        said.contains("address: unix:///var/run/datadog/dsd.socket, the socket of a Datadog Agent"),
        "{said}"
    );
    assert!(default.drain().concat().contains("tasktag.doctor:1|g"), "{said}");
    let said = looked(&[("DD_DOGSTATSD_URL", "unix:///var/run/other/socket")]);
    let told =
        "FAULT   connection: there is no file /run/other/socket; of its directories only /run exists\n";
    assert!(said.contains(told), "{said}");

    // It has 98 bytes there, and more from here.
    let path = format!("/run/{}/agent", "a".repeat(87));
    let (folder, short) = (directory.join(&path[1..path.len() - 6]), directory.join("short"));
    fs::create_dir(&folder).unwrap();
    symlink(&folder, &short).unwrap();
    let long = Agent::unix(&short.join("agent"));
    fs::create_dir(directory.join("run/leases")).unwrap();
    let said =
        looked(&[("DD_DOGSTATSD_URL", &format!("unix://{path}")), ("RUNTIME_DIRECTORY", "/var/run/leases")]);
    assert!(said.contains("OK      test metric: "), "{said}");
    assert!(long.drain().concat().contains("tasktag.doctor:1|g"), "{said}");
    assert!(said.contains(" may make slots in /run/leases\n"), "{said}");
    assert!(!said.contains("/proc/"), "{said}");
    let said = looked(&[("RUNTIME_DIRECTORY", "/run/none")]);
    assert!(said.contains("FAULT   lease: /run/none: "), "{said}");
    drop(long);
    let said = looked(&[("DD_DOGSTATSD_URL", &format!("unix://{path}"))]);
    assert!(said.contains(&format!("FAULT   connection: {path} is a socket that nobody reads")), "{said}");
}

#[test]
fn a_socket_is_found_in_the_mounts_of_the_process_that_is_looked_at() {
    let directory = TempDir::new();
    let Some(mut command) = unshare(&["--mount"]) else { return };
    let address = unix_address(&directory.join("agent"));
    let script = "mount -t tmpfs none \"$1\" && exec \"$2\" listen \"$DD_DOGSTATSD_URL\"";
    let program = tasktag(&[]).get_program().to_owned();
    command.args(["sh", "-c", script, "sh"]).arg(directory.path()).arg(program);
    command.env_clear().env("DD_DOGSTATSD_URL", &address).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut other = command.spawn().unwrap();
    // It listens once it says something.
    other.stderr.take().unwrap().read_exact(&mut [0; 1]).unwrap();
    let ended = run(&["doctor", "--env-of", &other.id().to_string()], &[]);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(ended.status, Some(0), "{}", ended.out);
    assert!(ended.out.contains(&format!("address: {address}, from DD_DOGSTATSD_URL\n")), "{}", ended.out);
    assert!(
        ended.out.contains("OK      test metric: tasktag.doctor is in the agent's queue"),
        "{}",
        ended.out
    );
}
