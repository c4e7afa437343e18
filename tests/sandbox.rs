//! A sandbox that refuses the system call for several datagrams costs speed and no packet.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code, reason = "std has no filters of system calls")]

mod support;

use std::process::Command;
use support::{Agent, PATIENCE, TempDir, assert_conserved};

const CHILD: &str = "SANDBOX_CHILD";

/// Has the kernel answer a system call of this process with an error.
fn forbid(call: libc::c_long, error: libc::c_int) {
    let step = |code: u16, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let (call, error) = (u32::try_from(call).unwrap(), u32::try_from(error).unwrap());
    let mut program = [
        step(0x20, 0, 0, 0),
        step(0x15, 0, 1, call),
        step(0x06, 0, 0, 0x0005_0000 | error),
        step(0x06, 0, 0, 0x7fff_0000),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: the filter and its program outlive the calls, which copy them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        // For all threads: the test's is not the only one.
        assert_eq!(libc::syscall(libc::SYS_seccomp, 1, 1, &raw const filter), 0);
    }
}

/// The part of the next test that runs in a process of its own.
#[test]
fn child_sends_many_packets_in_a_sandbox() {
    let Ok(how) = std::env::var(CHILD) else { return };
    let (family, error) = how.split_once(' ').unwrap();
    let directory = TempDir::new();
    let agent = if family == "udp" { Agent::udp() } else { Agent::unix(&directory.join("agent")) };
    forbid(libc::SYS_sendmmsg, error.parse().unwrap());
    let guard = support::builder().agent(agent.address()).max_packet_size(100).build().unwrap();
    let client = guard.client();
    let jobs: Vec<_> = (0..50).map(|n| client.counter(&format!("jobs.{n}")).register()).collect();
    for flush in 1..=5 {
        for jobs in &jobs {
            jobs.increment(1);
        }
        client.flush(PATIENCE).unwrap();
        assert_eq!(agent.lines(50).len(), 50);
        let stats = client.stats();
        assert_conserved(&stats);
        assert_eq!((stats.sent.values, stats.last_error), (50 * flush, None));
    }
}

#[test]
fn all_packets_leave_one_by_one_where_several_at_once_are_refused() {
    for family in ["udp", "unix"] {
        for error in [libc::ENOSYS, libc::EPERM, libc::EACCES] {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child_sends_many_packets_in_a_sandbox"])
                .env(CHILD, format!("{family} {error}"))
                .output()
                .unwrap();
            assert!(output.status.success(), "{family} {error}: {output:?}");
        }
    }
}
