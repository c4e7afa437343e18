//! A forked child installs a client of its own, whatever a thread of its parent had begun.
#![cfg(all(feature = "redis", target_os = "linux"))]

mod support;

use std::net::TcpListener;
use std::thread;
use support::fork::{assert_done, fork};
use tasktag::{Client, TaskIdSource};

#[test]
fn a_child_never_waits_for_a_client_that_a_thread_of_its_parent_was_installing() {
    // A server that never answers: the installation waits for its lease.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", server.local_addr().unwrap());
    let source = TaskIdSource::leased_in_redis(url, "ids");
    let installing = thread::spawn(|| Client::builder().task_id_from(source).install().is_err());
    let _connection = server.accept().unwrap();
    assert_done(fork(|| {
        let own = Client::builder().agent("udp://127.0.0.1:9").install();
        own.is_ok() && tasktag::client().is_some() && Client::builder().install().is_err()
    }));
    assert!(installing.join().unwrap(), "the server never answered");
    assert!(tasktag::client().is_none(), "what failed is not installed");
}
