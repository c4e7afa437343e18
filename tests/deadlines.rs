//! A flush and a shutdown wait for a name, a connection and a slow agent for as long as their caller does, and no
//! longer.

#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "the system's resolver is replaced")]

mod support;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use support::stream_agent::{Mood, StreamAgent};
use support::{Agent, PATIENCE, TempDir, assert_conserved, resolver, unix_address, wait_until};
use tasktag::{Client, DropReason, FlushError};

/// Longer than a flush waits that nobody asked for.
const LONG: Duration = Duration::from_millis(400);
/// Less than what is waited for takes, and more than a flush may wait that nobody asked for.
const SHORT: Duration = Duration::from_millis(300);

/// Whether names are found by now.
static FOUND: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Finds this host under every name, once `FOUND` says so.
///
/// # Safety
///
/// As of the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getaddrinfo(
    _: *const libc::c_char,
    service: *const libc::c_char,
    hints: *const libc::addrinfo,
    found: *mut *mut libc::addrinfo,
) -> libc::c_int {
    let found_yet = FOUND.0.lock().unwrap_or_else(PoisonError::into_inner);
    drop(FOUND.1.wait_while(found_yet, |found| !*found).unwrap_or_else(PoisonError::into_inner));
    // SAFETY: the pointers are the caller's, passed on.
    unsafe { resolver::hidden()(c"127.0.0.1".as_ptr(), service, hints, found) }
}

fn set_found(found: bool) {
    *FOUND.0.lock().unwrap() = found;
    FOUND.1.notify_all();
}

#[track_caller]
fn assert_lost(client: &Client, values: u64, why: &str) {
    let stats = client.stats();
    assert_conserved(&stats);
    assert_eq!((stats.dropped(DropReason::Transport).values, stats.sent.values), (values, 0), "{stats}");
    assert!(stats.last_error.as_ref().unwrap().ends_with(why), "{stats}");
}

#[test]
fn a_name_is_waited_for() {
    for scheme in ["udp", "tcp"] {
        set_found(false);
        let (udp, tcp) = (Agent::udp(), StreamAgent::tcp());
        let port = if scheme == "udp" { udp.port() } else { tcp.socket_address().port() };
        let guard = support::builder().agent(format!("{scheme}://statsd.example:{port}")).build().unwrap();
        let client = guard.client().clone();
        client.counter("jobs").increment(1);
        assert_eq!(client.flush(SHORT), Err(FlushError::TimedOut(SHORT)), "{scheme}");
        wait_until(|| client.stats().flushes == 1);
        assert_lost(&client, 1, "its name was not resolved in time");
        client.counter("cron.rows").increment(12345);
        thread::scope(|scope| {
            let ending = scope.spawn(|| guard.shutdown(PATIENCE));
            thread::sleep(LONG);
            assert!(!ending.is_finished());
            set_found(true);
            assert_eq!(ending.join().unwrap(), Ok(()), "{scheme}");
        });
        let expected = "cron.rows:12345|c|#task_id:0042";
        let came = if scheme == "udp" {
            udp.lines(1)
        } else {
            vec![
                String::from_utf8(tcp.received_until(expected.len() + 1).concat()).unwrap().trim().to_owned(),
            ]
        };
        assert_eq!(came, [expected]);
        assert_eq!(client.stats().sent.values, 1);
    }
}

/// A server whose queue of connections is full, and what fills it.
fn busy_server() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // SAFETY: it touches no memory.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let filling = vec![connect()];
    (listener, filling)
}

#[test]
fn a_connection_is_waited_for() {
    let (listener, filling) = busy_server();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let guard = support::builder().agent(address).build().unwrap();
    let client = guard.client().clone();
    client.counter("jobs").increment(1);
    assert_eq!(client.flush(SHORT), Err(FlushError::TimedOut(SHORT)));
    wait_until(|| client.stats().flushes == 1);
    assert_lost(&client, 1, "it did not accept a connection in time");
    client.counter("cron.rows").increment(12345);
    thread::scope(|scope| {
        let ending = scope.spawn(|| guard.shutdown(PATIENCE));
        thread::sleep(LONG);
        assert!(!ending.is_finished());
        drop((listener.accept().unwrap(), filling));
        let mut received = String::new();
        listener.accept().unwrap().0.read_to_string(&mut received).unwrap();
        assert_eq!(received, "cron.rows:12345|c|#task_id:0042\n");
        assert_eq!(ending.join().unwrap(), Ok(()));
    });
    assert_eq!(client.stats().sent.values, 1);
}

#[test]
fn a_connection_is_begun_before_there_is_anything_to_send() {
    let agent = StreamAgent::tcp();
    let _guard = support::builder().agent(agent.address()).build().unwrap();
    wait_until(|| agent.connections() == 1);
}

#[test]
fn an_agent_that_comes_between_the_start_and_the_first_flush_loses_nothing() {
    let address = StreamAgent::tcp().socket_address();
    let guard = support::builder().agent(format!("tcp://{address}")).build().unwrap();
    thread::sleep(Duration::from_millis(50));
    let Ok(agent) = StreamAgent::tcp_at(address) else { return };
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(agent.received_until(23), [b"jobs:1|c|#task_id:0042\n"]);
}

#[test]
fn an_agent_that_is_slow_gets_all_of_it() {
    let agent = StreamAgent::tcp();
    agent.set_mood(Mood::Deaf);
    let guard = support::builder().agent(agent.address()).context_limit(100_000).build().unwrap();
    let (client, filling) = (guard.client().clone(), "x".repeat(1300));
    let gauges: Vec<_> = (0..60_000).map(|n| client.gauge(&format!("n{n}.{filling}")).register()).collect();
    for gauge in &gauges {
        gauge.set(1.5);
    }
    thread::scope(|scope| {
        let flushing = scope.spawn(|| client.flush(PATIENCE));
        thread::sleep(LONG);
        assert!(!flushing.is_finished());
        agent.set_mood(Mood::Eager);
        assert_eq!(flushing.join().unwrap(), Ok(()));
    });
    let stats = client.stats();
    assert_eq!((stats.sent.values, stats.dropped_total().values), (60_000, 0));
}

#[test]
fn an_agent_that_takes_nothing_is_given_up_in_time_and_what_it_did_not_take_is_counted() {
    let directory = TempDir::new();
    let deaf = UnixDatagram::bind(directory.join("agent")).unwrap();
    let guard = support::builder()
        .agent(unix_address(&directory.join("agent")))
        .max_packet_size(100)
        .build()
        .unwrap();
    let client = guard.client().clone();
    let gauges: Vec<_> = (0..2000).map(|n| client.gauge(&format!("level.{n}")).register()).collect();
    for gauge in &gauges {
        gauge.set(1.5);
    }
    let start = Instant::now();
    assert_eq!(client.flush(LONG), Err(FlushError::TimedOut(LONG)));
    assert!(start.elapsed() >= LONG / 2, "it had its chance");
    wait_until(|| client.stats().flushes == 1);
    let stats = client.stats();
    assert_conserved(&stats);
    assert!(stats.sent.values > 0 && stats.dropped(DropReason::Transport).values > 0, "{stats}");
    assert!(stats.last_error.unwrap().ends_with("it did not take a packet in time"));
    assert_eq!(guard.shutdown(LONG), Err(FlushError::TimedOut(LONG)));
    drop(deaf);
}

#[test]
fn of_several_callers_the_most_patient_one_decides() {
    let (listener, filling) = busy_server();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let guard = support::builder().agent(address).build().unwrap();
    let client = guard.client();
    // Keeps the worker until both have asked.
    let (enter, entered) = crossbeam_channel::bounded::<()>(0);
    let (leave, left) = crossbeam_channel::bounded::<()>(0);
    let watch = client.watch_pool("keeper", move || {
        let _ = enter.try_send(());
        let _ = left.recv();
        tasktag::PoolStatus::default()
    });
    // Reported by each flush.
    let level = client.gauge("level").register();
    level.set(1.0);
    thread::scope(|scope| {
        let first = scope.spawn(|| client.flush(SHORT));
        drop(entered);
        thread::sleep(Duration::from_millis(20));
        let patient = scope.spawn(|| client.flush(PATIENCE));
        let hasty = scope.spawn(|| client.flush(SHORT));
        thread::sleep(Duration::from_millis(20));
        drop(leave);
        drop(watch);
        for impatient in [first, hasty] {
            assert_eq!(impatient.join().unwrap(), Err(FlushError::TimedOut(SHORT)));
        }
        assert!(!patient.is_finished());
        drop((listener.accept().unwrap(), filling));
        let _connection = listener.accept().unwrap();
        assert_eq!(patient.join().unwrap(), Ok(()));
    });
    assert_conserved(&client.stats());
}

#[test]
fn what_is_refused_at_once_is_not_waited_for() {
    let directory = TempDir::new();
    let start = Instant::now();
    for address in [unix_address(&directory.join("none")), "tcp://127.0.0.1:1".to_owned()] {
        let guard = support::builder().agent(address).build().unwrap();
        let client = guard.client().clone();
        for _ in 0..3 {
            client.counter("jobs").increment(1);
            assert_eq!(client.flush(PATIENCE), Ok(()), "the worker is through with it");
        }
        client.counter("jobs").increment(1);
        assert_eq!(guard.shutdown(PATIENCE), Ok(()));
        assert_eq!(client.stats().dropped(DropReason::Transport).values, 4);
    }
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
}
