//! A forked child installs a client of its own, whatever a thread of its parent had begun.
#![cfg(all(feature = "redis", target_os = "linux"))]
#![allow(unsafe_code, reason = "std can't fork")]

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use tasktag::{Client, TaskIdSource};

#[test]
fn a_child_never_waits_for_a_client_that_a_thread_of_its_parent_was_installing() {
    // A server that never answers: the installation waits for its lease.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", server.local_addr().unwrap());
    let source = TaskIdSource::leased_in_redis(url, "ids");
    let installing = thread::spawn(|| Client::builder().task_id_from(source).install().is_err());
    let _connection = server.accept().unwrap();
    // SAFETY: The child uses what its one thread may use in a program of this C library: memory and new threads.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: It touches no memory of ours.
        unsafe { libc::alarm(10) };
        let own = Client::builder().agent("udp://127.0.0.1:9").install();
        let done = own.is_ok() && tasktag::client().is_some() && Client::builder().install().is_err();
        // SAFETY: It does not return.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    let ended = ExitStatus::from_raw(status);
    assert!(ended.success(), "the child: {ended}");
    assert!(installing.join().unwrap(), "the server never answered");
    assert!(tasktag::client().is_none(), "what failed is not installed");
}
