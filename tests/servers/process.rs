//! A server as a child process: found by a variable, started on a free port, read line by line, never left behind.

use crate::support::PATIENCE;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

/// How often a server is started anew: the port that was free may have been taken before the server had it.
const MAX_STARTS: usize = 5;

/// Where a program is that a test needs. Where nobody says, the test has to return: this says why.
pub(crate) fn program(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    if path.is_none() {
        // Not `eprintln`, which is shown for tests that fail only.
        let _ = writeln!(io::stderr(), "skipped: set {variable} to run {}", test_name());
    }
    path.map(PathBuf::from)
}

fn test_name() -> String {
    thread::current().name().unwrap_or("this test").to_owned()
}

/// A UDP port of this host that was free a moment ago.
pub(crate) fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("there is a free port");
    socket.local_addr().expect("it is bound").port()
}

/// A TCP port of this host that was free a moment ago.
pub(crate) fn free_tcp_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Starts a server, on other ports where it does not come up.
#[track_caller]
pub(crate) fn start<S>(try_start: impl Fn() -> Result<S, String>) -> S {
    let mut failures = Vec::new();
    for _ in 0..MAX_STARTS {
        match try_start() {
            Ok(server) => return server,
            Err(failure) => failures.push(failure),
        }
    }
    panic!("the server does not start: {failures:#?}");
}

/// A child process and the lines that it prints. Dropping it kills the process, panics included.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Reads what `child` prints to `output`, one of its own pipes.
    pub(crate) fn new(mut child: Child, output: impl Read + Send + 'static) -> Self {
        let (lines, received) = mpsc::channel();
        // Ends with the pipe, and so with the process.
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                if lines.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        let input = child.stdin.take();
        Self { child, input, output: received, seen: Vec::new() }
    }

    /// Everything that was printed until there was enough of it, from the start; or what went wrong.
    pub(crate) fn read_until(&mut self, enough: impl Fn(&[String]) -> bool) -> Result<&[String], String> {
        let start = Instant::now();
        while !enough(&self.seen) {
            let left = PATIENCE.saturating_sub(start.elapsed());
            match self.output.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(why) => return Err(format!("{why}, after {:#?}", self.seen)),
            }
        }
        Ok(&self.seen)
    }

    /// Writes a line to the process's standard input, one of its own pipes.
    #[track_caller]
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("it has an input"), "{line}").expect("it reads its input");
    }

    /// Tells the process to end by closing its standard input, and returns everything that it printed.
    #[track_caller]
    pub(crate) fn end(mut self) -> Vec<String> {
        self.input = None;
        let start = Instant::now();
        loop {
            match self.output.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => return std::mem::take(&mut self.seen),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end, after {:#?}", self.seen),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended by itself, there is nothing to kill, but still its entry to be removed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
