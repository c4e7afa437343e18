//! The library's threads take none of the program's signals: one that the main thread blocks waits for it.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;
use tasktag::{Client, PoolStatus};

const PATIENCE: Duration = Duration::from_secs(60);

/// Each thread of this process by its name, and the signals that it blocks.
fn blocked() -> Vec<(String, u64)> {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let read = |path: std::path::PathBuf| match fs::read_to_string(path) {
        Ok(text) => Some(text),
        // It has ended meanwhile.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) || error.raw_os_error() == Some(3) => None,
        Err(error) => panic!("{error}"),
    };
    let thread = |path: std::path::PathBuf| {
        let status = read(path.join("status"))?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim();
        Some((read(path.join("comm"))?.trim().to_owned(), u64::from_str_radix(mask, 16).unwrap()))
    };
    threads.filter_map(|entry| thread(entry.unwrap().path())).collect()
}

/// Whether a mask has a signal, by its number.
fn has(mask: u64, signal: u32) -> bool {
    mask >> (signal - 1) & 1 == 1
}

#[test]
fn every_thread_of_the_library_blocks_what_a_program_may_handle_and_no_other_thread_does() {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let guard = Client::builder()
        .agent(format!("udp://localhost:{}", agent.local_addr().unwrap().port()))
        .also(tasktag::Agent::at(format!("tcp://{}", server.local_addr().unwrap())))
        .on_loss(|_| {})
        .build()
        .unwrap();
    guard.client().watch_pool("primary", PoolStatus::default).detach();
    let writing = Client::builder().writer(Vec::new()).build().unwrap();
    for client in [guard.client(), writing.client()] {
        client.counter("jobs").increment(1);
        client.flush(PATIENCE).unwrap();
    }
    let found = blocked();
    let ours: Vec<_> = found.iter().filter(|(name, _)| name.starts_with("tasktag")).collect();
    for name in ["tasktag", "tasktag-probes", "tasktag-writer"] {
        assert!(ours.iter().any(|(found, _)| found == name), "{name}: {found:?}");
    }
    // SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGCHLD, SIGPROF, and a real-time one; SIGILL,
    // SIGFPE, SIGSEGV.
    let (handled, faults) = ([1, 2, 10, 12, 13, 14, 15, 17, 27, 40], [4, 8, 11]);
    for (name, mask) in ours {
        assert!(handled.iter().all(|signal| has(*mask, *signal)), "{name} {mask:x}");
        assert!(!faults.iter().any(|signal| has(*mask, *signal)), "{name} {mask:x}");
    }
    let others = found.iter().filter(|(name, _)| !name.starts_with("tasktag"));
    assert!(others.clone().count() > 0);
    for (name, mask) in others {
        assert!(!has(*mask, 15), "{name} was left as it was: {mask:x}");
    }
}
