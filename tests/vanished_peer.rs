//! What a connection took with it when it broke is moved from what was sent to what was dropped, as far as the system
//! says so, and an agent's host that vanished is noticed within some seconds.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use support::{PATIENCE, TempDir, assert_conserved, wait_until};
use tasktag::{DropReason, Guard, LossNotice};

/// The least time between two connections, and some more.
const BACKOFF: Duration = Duration::from_millis(60);

fn send(guard: &Guard, n: u64) {
    guard.client().counter("rows").increment(n);
    guard.client().flush(PATIENCE).unwrap();
    assert_conserved(&guard.client().stats());
}

#[test]
fn what_an_agent_left_unread_when_it_was_killed_is_dropped() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let agent = UnixListener::bind(&path).unwrap();
    let (told, notices) = mpsc::channel();
    let guard = support::builder()
        .agent(format!("unixstream://{}", path.display()))
        .on_loss(move |notice: &LossNotice| told.send(notice.to_string()).unwrap())
        .build()
        .unwrap();
    send(&guard, 1);
    let mut hung = agent.accept().unwrap().0;
    let mut first = [0; 27];
    hung.read_exact(&mut first).unwrap();
    for _ in 0..5 {
        send(&guard, 1000);
    }
    assert_eq!(guard.client().stats().sent.values, 6);
    // A reset: five packets were not read.
    drop(hung);
    thread::sleep(BACKOFF);
    send(&guard, 7);
    let stats = guard.client().stats();
    assert_eq!((stats.accepted.values, stats.sent.values), (7, 2), "{stats}");
    let lost = stats.dropped(DropReason::Transport);
    assert_eq!((lost.values, lost.lines, lost.packets), (5, 5, 5));
    assert!(notices.recv().unwrap().contains("5 values, 5 lines (transport); last error: unixstream://"));
    let mut second = [0; 27];
    agent.accept().unwrap().0.read_exact(&mut second).unwrap();
    assert_eq!(&second[4..], b"rows:7|c|#task_id:0042\n");
}

#[test]
fn what_a_killed_agent_left_unread_is_dropped_though_another_took_its_place() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let agent = UnixListener::bind(&path).unwrap();
    let guard = support::builder().agent(format!("unixstream://{}", path.display())).build().unwrap();
    for _ in 0..5 {
        send(&guard, 1000);
    }
    let hung = agent.accept().unwrap().0;
    // The new one is there before anything is sent again.
    fs::remove_file(&path).unwrap();
    let next = UnixListener::bind(&path).unwrap();
    drop((agent, hung));
    send(&guard, 7);
    let stats = guard.client().stats();
    assert_eq!((stats.sent.values, stats.dropped(DropReason::Transport).values), (1, 5), "{stats}");
    let mut first = [0; 27];
    next.accept().unwrap().0.read_exact(&mut first).unwrap();
    assert_eq!(&first[4..], b"rows:7|c|#task_id:0042\n");
}

#[test]
fn what_an_agent_read_before_it_hung_up_was_sent() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let agent = UnixListener::bind(&path).unwrap();
    let guard = support::builder().agent(format!("unixstream://{}", path.display())).build().unwrap();
    for round in 1..=5 {
        send(&guard, 1);
        let mut connection = agent.accept().unwrap().0;
        // A connection that lasted for more than a flush is followed by the next as soon as the first was.
        send(&guard, 1);
        connection.read_exact(&mut [0; 2 * 27]).unwrap();
        assert_eq!(guard.client().stats().sent.values, 2 * round);
        drop(connection);
        thread::sleep(BACKOFF);
    }
    assert_eq!(guard.client().stats().dropped_total().values, 0);
}

const CHILD: &str = "VANISHED_PEER_CHILD";

fn rules(text: &str) {
    assert!(Command::new("nft").arg(text).status().unwrap().success(), "{text}");
}

/// The part of the next test that runs in a network namespace of its own.
#[test]
fn child_sends_to_a_host_that_vanishes() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let agent = TcpListener::bind("127.0.0.2:8125").unwrap();
    let guard = support::builder().agent("tcp://127.0.0.2:8125").build().unwrap();
    send(&guard, 1);
    let mut connection = agent.accept().unwrap().0;
    connection.read_exact(&mut [0; 23]).unwrap();
    rules("add table ip t");
    rules("add chain ip t in { type filter hook input priority 0; }");
    rules("add rule ip t in tcp dport 8125 drop");
    rules("add rule ip t in tcp sport 8125 drop");
    let start = Instant::now();
    let mut taken = 0;
    wait_until(|| {
        guard.client().counter("rows").increment(1);
        // Not for as long as a connection to nobody takes.
        let _ = guard.client().flush(Duration::from_millis(500));
        let stats = guard.client().stats();
        taken = taken.max(stats.sent.values);
        thread::sleep(Duration::from_millis(200));
        stats.dropped(DropReason::Transport).values > 1
    });
    assert!(start.elapsed() > Duration::from_secs(5), "a lost packet alone ends no connection");
    assert!(taken > 10);
    let stats = guard.client().stats();
    assert_eq!(
        (stats.sent.values, stats.dropped_total()),
        (1, stats.dropped(DropReason::Transport)),
        "{stats}"
    );
    // The host is back.
    rules("delete table ip t");
    wait_until(|| {
        send(&guard, 1);
        guard.client().stats().sent.values > 1
    });
    guard.shutdown(Duration::from_secs(1)).unwrap();
}

#[test]
fn a_host_that_vanishes_is_noticed_and_what_it_did_not_acknowledge_is_dropped() {
    let able = Command::new("unshare").args(["-n", "nft", "add table ip t"]).output();
    if !able.is_ok_and(|output| output.status.success()) {
        return println!("skipped: it takes root's rights, unshare and nft");
    }
    let script = "ip link set lo up && exec \"$0\" --exact child_sends_to_a_host_that_vanishes";
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
