//! An agent behind a node port or a balancer that is replaced is reached again: what stands between remembers the port
//! that packets come from, so that they come from another one then.

#![cfg(target_os = "linux")]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;
use support::{PATIENCE, assert_conserved, wait_until};
use tasktag::Guard;

const LINE: &[u8] = b"jobs:1|c|#task_id:0042\n";

fn client_of(address: SocketAddr) -> Guard {
    support::builder().agent(format!("udp://{address}")).build().unwrap()
}

fn send(guard: &Guard) {
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_conserved(&guard.client().stats());
}

/// Whom a line comes from.
fn sender(agent: &UdpSocket) -> SocketAddr {
    let mut buffer = [0; 100];
    let (len, from) = agent.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], LINE);
    from
}

#[test]
fn after_a_refusal_packets_come_from_another_port() {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = agent.local_addr().unwrap();
    let guard = client_of(address);
    send(&guard);
    let before = sender(&agent);
    send(&guard);
    assert_eq!(sender(&agent), before, "and from the same one until then");
    drop(agent);
    wait_until(|| {
        send(&guard);
        guard.client().stats().dropped_total().values > 0
    });
    let mut agent = None;
    wait_until(|| {
        agent = UdpSocket::bind(address).ok();
        agent.is_some()
    });
    send(&guard);
    assert_ne!(sender(&agent.unwrap()), before);
}

const CHILD: &str = "REPLACED_AGENT_CHILD";

/// Changes the rules of this network namespace.
fn rules(text: &str) {
    assert!(Command::new("nft").arg(text).status().unwrap().success(), "{text}");
}

fn translate_to(pod: &str) {
    rules("flush chain ip t out");
    rules(&format!("add rule ip t out udp dport 8125 ip daddr 127.0.0.1 dnat to {pod}:9001"));
}

/// The part of the next test that runs in a network namespace of its own.
#[test]
fn child_sends_to_a_node_port_whose_pod_is_replaced() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    rules("add table ip t");
    rules("add chain ip t out { type nat hook output priority -100; }");
    translate_to("127.0.0.2");
    let first = UdpSocket::bind("127.0.0.2:9001").unwrap();
    let guard = client_of("127.0.0.1:8125".parse().unwrap());
    send(&guard);
    assert_eq!(first.recv(&mut [0; 99]).unwrap(), LINE.len());
    drop(first);
    translate_to("127.0.0.3");
    let second = UdpSocket::bind("127.0.0.3:9001").unwrap();
    second.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    wait_until(|| {
        send(&guard);
        second.recv(&mut [0; 99]).is_ok()
    });
}

#[test]
fn a_node_port_whose_pod_is_replaced_leads_to_the_new_one() {
    let able = Command::new("unshare").args(["-n", "nft", "add table ip t"]).output();
    if !able.is_ok_and(|output| output.status.success()) {
        return println!("skipped: it takes root's rights, unshare and nft");
    }
    let program = std::env::current_exe().unwrap();
    let script = "ip link set lo up && exec \"$0\" --exact child_sends_to_a_node_port_whose_pod_is_replaced";
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", script])
        .arg(program)
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
