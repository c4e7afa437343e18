//! A forked child lets go of its parent's connection, so that the agent hears when the parent is gone, and of nothing
//! else.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std can't fork")]

mod support;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;
use support::fork::{assert_done, fork};
use support::{PATIENCE, TempDir};
use tasktag::Guard;

fn send(guard: &Guard, name: &str) {
    guard.client().counter(name).increment(1);
    guard.client().flush(PATIENCE).unwrap();
}

#[test]
fn the_parents_connection_ends_with_the_parents_client_though_a_child_lives() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let unix = UnixListener::bind(&path).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses =
        [format!("unixstream://{}", path.display()), format!("tcp://{}", tcp.local_addr().unwrap())];
    for address in addresses {
        let is_tcp = address.starts_with("tcp");
        let guard = support::builder().agent(address).build().unwrap();
        send(&guard, "parent");
        let accept = || -> Box<dyn Read + Send> {
            if is_tcp { Box::new(tcp.accept().unwrap().0) } else { Box::new(unix.accept().unwrap().0) }
        };
        let mut connection = accept();
        // SAFETY: the child uses what its one thread may use in a program of this C library.
        let child = unsafe { libc::fork() };
        if child == 0 {
            send(&guard, "child");
            loop {
                std::thread::sleep(PATIENCE);
            }
        }
        let mut of_child = accept();
        let mut first = [0; 8];
        of_child.read_exact(&mut first).unwrap();
        drop(guard);
        // Else the child would keep it open.
        let mut all = Vec::new();
        connection.read_to_end(&mut all).unwrap();
        assert!(all.ends_with(b"parent:1|c|#task_id:0042\n"));
        // SAFETY: it is this test's child, and `waitpid` writes nothing.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
    }
}

#[test]
fn what_a_child_opened_under_the_number_of_its_parents_connection_stays_open() {
    let agent = TcpListener::bind("127.0.0.1:0").unwrap();
    let guard = support::builder().agent(format!("tcp://{}", agent.local_addr().unwrap())).build().unwrap();
    send(&guard, "parent");
    let connection = agent.accept().unwrap().0;
    assert_done(fork(|| {
        // A daemon closes what it was born with, and opens its own.
        (3..256).for_each(|descriptor| {
            // SAFETY: nothing of the parent's is used in this process any more.
            unsafe { libc::close(descriptor) };
        });
        let own: Vec<_> = (0..16).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let numbers: Vec<_> = own.iter().map(AsRawFd::as_raw_fd).collect();
        assert!(numbers.contains(&3));
        guard.client().counter("child").increment(1);
        let all_open = own.iter().all(|listener| {
            let address = listener.local_addr().unwrap();
            TcpStream::connect_timeout(&address, Duration::from_secs(9)).is_ok()
        });
        std::mem::forget(own);
        all_open
    }));
    drop(connection);
}
