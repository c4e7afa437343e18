//! `tasktag watch`, with a file and an agent of its own.

use crate::run::{Ended, kill, tasktag, wait};
use crate::support::{Agent, PATIENCE, TempDir};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// Soon, so that tests don't wait, and with the time for an answer that a busy machine needs.
pub(crate) const SETTINGS: &str = "flush_interval = \"100ms\"\nevery = \"2s\"\n";

pub(crate) struct Watching {
    child: Child,
    // `None` if a test has it.
    out: Option<ChildStdout>,
    // What it says to its operator, a line each.
    said: Receiver<String>,
    agent: Agent,
    _folder: TempDir,
}

impl Watching {
    /// Watches what a text in TOML says.
    #[track_caller]
    pub(crate) fn start(tables: &str) -> Self {
        Self::start_with(&format!("{SETTINGS}{tables}"), &[])
    }

    #[track_caller]
    pub(crate) fn start_with(text: &str, options: &[&str]) -> Self {
        Self::start_command(text, |command| {
            command.args(options);
        })
    }

    /// Does the same, with what a test does with the command before it starts.
    #[track_caller]
    pub(crate) fn start_command(text: &str, change: impl FnOnce(&mut Command)) -> Self {
        let (folder, agent) = (TempDir::new(), Agent::udp());
        fs::write(folder.join("watch.toml"), text).unwrap();
        let mut command = tasktag(&["watch"]);
        command.arg(folder.join("watch.toml")).env("DD_DOGSTATSD_URL", agent.address());
        change(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut child = command.spawn().expect("it starts");
        let (sender, said) = mpsc::channel();
        if let Some(err) = child.stderr.take() {
            thread::spawn(move || {
                for line in BufReader::new(err).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        let out = child.stdout.take();
        Self { child, out, said, agent, _folder: folder }
    }

    /// What it says next.
    #[track_caller]
    pub(crate) fn says(&self) -> String {
        self.said.recv_timeout(PATIENCE).expect("it says something")
    }

    /// What it says next of one source. A busy machine may have it say something of others meanwhile.
    #[track_caller]
    pub(crate) fn says_of(&self, source: &str) -> String {
        loop {
            let said = self.says();
            if said.strip_prefix(source).is_some_and(|rest| rest.starts_with(": ")) {
                return said;
            }
        }
    }

    /// Waits until it says a whole line, whatever it says before.
    #[track_caller]
    pub(crate) fn says_at_last(&self, line: &str) {
        while self.says() != line {}
    }

    /// The lines that arrive from now on, without the client's own, once each of these has come, where `*` is any
    /// value. They have no task id.
    #[track_caller]
    pub(crate) fn reports(&self, expected: &[&str]) -> Vec<String> {
        let is_there = |lines: &[String]| expected.iter().all(|one| lines.iter().any(|line| is(line, one)));
        self.agent.drain();
        let lines = own(self.agent.lines_until(is_there));
        assert!(!lines.iter().any(|line| line.contains("task_id")), "{lines:#?}");
        lines
    }

    /// All that has arrived since it was last asked.
    pub(crate) fn reported(&self) -> Vec<String> {
        own(self.agent.drain())
    }

    pub(crate) fn signal(&self, signal: &str) {
        kill(self.child.id(), signal);
    }

    /// Waits until it has ended, and returns what it said and all that arrived since it was last asked.
    #[track_caller]
    pub(crate) fn ended(mut self) -> (Ended, Vec<String>) {
        let status = wait(&mut self.child);
        let mut out = String::new();
        if let Some(mut printed) = self.out.take() {
            printed.read_to_string(&mut out).unwrap();
        }
        let err: Vec<_> = self.said.iter().collect();
        (Ended { status: status.code(), out, err: err.join("\n") }, own(self.agent.drain()))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is(line: &str, expected: &str) -> bool {
    match expected.split_once('*') {
        Some((start, end)) => line.starts_with(start) && line.ends_with(end),
        None => line == expected,
    }
}

fn own(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| !line.starts_with("datadog.dogstatsd.client.")).collect()
}

/// The value of the last line that has a name and these tags.
#[track_caller]
pub(crate) fn value(lines: &[String], name: &str, tags: &str) -> f64 {
    let found = lines.iter().rev().find_map(|line| {
        let (value, rest) = line.strip_prefix(name)?.strip_prefix(':')?.split_once('|')?;
        (rest == format!("g|#{tags}")).then(|| value.parse().unwrap())
    });
    found.unwrap_or_else(|| panic!("{name} with {tags} in {lines:#?}"))
}
