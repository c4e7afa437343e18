//! A client that is built disabled starts nothing.

use std::net::UdpSocket;
use std::time::Duration;
use tasktag::{Agent, Client, ClientBuilder, PoolStatus, Stats, TaskIdSource};

const PATIENCE: Duration = Duration::from_secs(60);

/// A builder whose address and lease would be noticed.
fn builder(agent: &UdpSocket) -> ClientBuilder {
    let address = format!("udp://{}", agent.local_addr().unwrap());
    let lease = std::env::temp_dir().join(format!("tasktag-disabled-{}", std::process::id()));
    Client::builder().agent(address).task_id_from(TaskIdSource::leased(lease))
}

/// The names of this process's threads.
#[cfg(target_os = "linux")]
fn own_threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("tasktag")).collect()
}

fn assert_does_nothing(builder: ClientBuilder, agent: &UdpSocket) {
    let guard = builder.build().unwrap();
    assert!(guard.client().is_disabled());
    let client = guard.client();
    client.counter("done").increment(1);
    client.timing("took").register().record(12.5);
    client.event("title", "text");
    let _watch = client.watch_pool("primary", PoolStatus::default);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(guard.client().stats(), Stats::default());
    guard.shutdown(PATIENCE).unwrap();
    agent.set_nonblocking(true).unwrap();
    assert!(agent.recv(&mut [0; 8]).is_err());
}

// One test: threads are the process's.
#[test]
fn a_client_that_is_built_disabled_has_no_thread_no_lease_and_no_packet() {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let lease = std::env::temp_dir().join(format!("tasktag-disabled-{}", std::process::id()));
    assert_does_nothing(builder(&agent).disabled(true), &agent);
    assert_does_nothing(builder(&agent).agent("null:"), &agent);
    assert_does_nothing(builder(&agent).agent("null:").disabled(false), &agent);
    let also = Agent::at(format!("udp://{}", agent.local_addr().unwrap()));
    assert_does_nothing(builder(&agent).agent("null:").also(also), &agent);
    assert_does_nothing(builder(&agent).from_vars([("TASKTAG_DISABLED", "1")]), &agent);
    assert!(!lease.exists(), "the directory is not even made");
    #[cfg(target_os = "linux")]
    assert_eq!(own_threads(), [""; 0]);
}
