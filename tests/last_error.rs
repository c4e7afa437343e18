//! Why nothing arrives is said: in the stats, beside the agent's address, and in the notice of the loss.

#![cfg(unix)]

mod support;

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::mpsc;
use std::time::SystemTime;
use support::{Agent, PATIENCE, TempDir, unix_address, wait_until};
use tasktag::testing::Capture;
use tasktag::{Client, LossNotice};

/// Sends a value to nobody, and says why it did not arrive, in the stats and in a notice.
fn why(agent: &str) -> String {
    let (told, notices) = mpsc::channel();
    let act = move |notice: &LossNotice| told.send(notice.clone()).unwrap();
    let guard = support::builder().agent(agent).on_loss(act).build().unwrap();
    let client = guard.client().clone();
    // Which packet a refusal speaks of is known late where the kernel was interrupted.
    wait_until(|| {
        client.counter("jobs").increment(1);
        client.flush(PATIENCE).unwrap();
        client.stats().last_error.is_some()
    });
    let error = client.stats().last_error.unwrap();
    let notice = notices.recv().unwrap();
    assert_eq!(notice.last_error.as_ref(), Some(&error));
    assert!(notice.to_string().ends_with(&format!("(transport); last error: {error}")), "{notice}");
    assert!(client.stats().to_string().ends_with(&format!("; last error: {error}")));
    drop(guard);
    let error = error.strip_prefix(agent).unwrap_or_else(|| panic!("{error} begins with the address"));
    error.strip_prefix(": ").unwrap().to_owned()
}

#[test]
fn each_way_not_to_arrive_has_its_reason() {
    let directory = TempDir::new();
    let path = |name: &str| directory.join(name).display().to_string();
    let _stream = UnixListener::bind(path("stream")).unwrap();
    let _datagram = UnixDatagram::bind(path("datagram")).unwrap();
    drop(UnixDatagram::bind(path("dead")).unwrap());
    fs::write(path("file"), "").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let closed_udp = udp.local_addr().unwrap();
    udp.connect(closed_udp).unwrap();
    let closed_tcp = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (agent, reason) in [
        (format!("unix://{}", path("none")), "No such file or directory"),
        (format!("unixstream://{}", path("none")), "No such file or directory"),
        (format!("unix://{}", path("dead")), "Connection refused"),
        (format!("unix://{}", path("file")), "Connection refused"),
        (format!("unixstream://{}", path("file")), "Connection refused"),
        (format!("unix://{}", path("stream")), "Protocol wrong type for socket"),
        (format!("unixstream://{}", path("datagram")), "Protocol wrong type for socket"),
        (format!("udp://{closed_udp}"), "Connection refused"),
        (format!("tcp://{closed_tcp}"), "Connection refused"),
        ("udp://agent.invalid:8125".to_owned(), "failed to lookup address information"),
        ("tcp://agent.invalid:8125".to_owned(), "failed to lookup address information"),
    ] {
        let why = why(&agent);
        assert!(why.starts_with(reason), "{agent}: {why}");
    }
}

#[test]
fn once_something_gets_through_the_error_is_gone_and_its_time_is_known() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let guard = support::builder().agent(unix_address(&path)).build().unwrap();
    let client = guard.client();
    let send = || {
        client.counter("jobs").increment(1);
        client.flush(PATIENCE).unwrap();
        client.stats()
    };
    let stats = send();
    assert!(stats.last_error.is_some() && stats.last_sent_at.is_none(), "{stats:?}");
    let _agent = Agent::unix(&path);
    let before = SystemTime::now();
    let stats = send();
    assert_eq!(stats.last_error, None);
    assert!((before..=SystemTime::now()).contains(&stats.last_sent_at.unwrap()), "{stats:?}");
    client.flush(PATIENCE).unwrap();
    assert_eq!(client.stats().last_sent_at, stats.last_sent_at, "a flush of nothing says nothing");
}

#[test]
fn each_agent_has_an_error_of_its_own() {
    let directory = TempDir::new();
    let nobody = unix_address(&directory.join("nobody"));
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).also(tasktag::Agent::at(&nobody)).build().unwrap();
    let client = guard.client();
    client.counter("jobs").increment(1);
    client.flush(PATIENCE).unwrap();
    let error = |agent| client.stats_of(agent).unwrap().last_error;
    assert_eq!((error(0), client.stats().last_error), (None, None));
    assert!(error(1).unwrap().starts_with(&nobody));
    capture.set_away(true);
    client.counter("jobs").increment(1);
    client.flush(PATIENCE).unwrap();
    assert_eq!(error(0).as_deref(), Some("custom: it is away, as the test asked for"));
}

#[test]
fn a_writer_says_why_it_wrote_nothing() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let guard = Client::builder().writer(Full).telemetry(false).build().unwrap();
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(guard.client().stats().last_error.as_deref(), Some("custom: no storage space"));
}
