//! The command as a child process, which is never left behind.

#![allow(dead_code, reason = "each test file uses a part")]

use crate::support::PATIENCE;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

/// The variables of the machine that a command must not see.
const PREFIXES: [&str; 5] = ["DD_", "DATADOG_", "STATSD_", "TASKTAG_", "AWS_LAMBDA_"];

/// The command with arguments, and without the variables of whoever runs the tests.
pub(crate) fn tasktag(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tasktag"));
    let of_others = std::env::vars_os().filter_map(|(key, _)| key.into_string().ok());
    for key in of_others.filter(|key| PREFIXES.iter().any(|prefix| key.starts_with(prefix))) {
        command.env_remove(key);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    Ended::of(tasktag(arguments).envs(variables.iter().copied()).output().expect("it runs"))
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it says Unicode");
        Self { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The objects of JSON that it printed, a line each.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<serde_json::Value> {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        self.out.lines().map(read).collect()
    }
}

/// `tasktag listen`, which has its sockets open.
#[derive(Debug)]
pub(crate) struct Listening {
    child: Child,
    /// The addresses in the order of the arguments, with the ports that the system chose.
    pub(crate) addresses: Vec<String>,
    output: Receiver<String>,
    err: Receiver<String>,
}

impl Listening {
    /// Starts it, with arguments of which so many are addresses.
    #[track_caller]
    pub(crate) fn start(addresses: &[&str], options: &[&str]) -> Self {
        let mut command = tasktag(&["listen"]);
        command.args(addresses).args(options);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let output = read_all(child.stdout.take().expect("it has an output"));
        let mut told = BufReader::new(child.stderr.take().expect("it has an output for errors"));
        let addresses = addresses.iter().map(|_| {
            let mut line = String::new();
            told.read_line(&mut line).expect("it says where it listens");
            let address = line.trim_end().strip_prefix("listening on ");
            address.unwrap_or_else(|| panic!("it listens, and does not say {line:?}")).to_owned()
        });
        let addresses = addresses.collect();
        Self { child, addresses, output, err: read_all(told) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> &str {
        &self.addresses[0]
    }

    /// Ends it by a signal, and returns what it said.
    #[track_caller]
    pub(crate) fn end(self, signal: &str) -> Ended {
        kill(self.id(), signal);
        self.ended()
    }

    /// Waits until it has ended, and returns what it said.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ended {
        let status = wait(&mut self.child);
        let text = |output: &Receiver<String>| output.recv_timeout(PATIENCE).expect("its output has ended");
        Ended { status: status.code(), out: text(&self.output), err: text(&self.err) }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn kill(process: u32, signal: &str) {
    let killed = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status();
    assert!(killed.expect("there is kill").success());
}

/// Waits for a child, for as long as one is patient.
#[track_caller]
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is a child of this process") {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "it does not end");
        thread::yield_now();
    }
}

/// Reads an output to its end, in a thread, so that its writer never waits.
fn read_all(mut output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = output.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}
