//! A program with the library of a system, which writes and works jobs as it is told.

use crate::database::Database;
use crate::server::programs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/queues_sql");

/// Where a program's library is.
pub(crate) struct Library {
    command: Vec<PathBuf>,
}

impl Library {
    /// graphile-worker or pg-boss. `None` where nobody says where they are.
    pub(crate) fn node() -> Option<Self> {
        let folder = programs("TASKTAG_TEST_SQL_QUEUES_NODE")?;
        Some(Self { command: vec![folder.join("node"), Path::new(FOLDER).join("jobs.mjs"), folder] })
    }

    /// procrastinate.
    pub(crate) fn python() -> Option<Self> {
        let python = programs("TASKTAG_TEST_SQL_QUEUES_PYTHON")?;
        Some(Self { command: vec![python, Path::new(FOLDER).join("jobs.py")] })
    }

    /// Starts a program. `before` and `after` stand before and after the address of the database.
    pub(crate) fn start(&self, database: &Database, before: &[&str], after: &[&str]) -> Program {
        let (socket, name) = database.address();
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args(before).args([socket, name]).args(after);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Program { child, input, output }
    }
}

/// It is killed when this is dropped, with the job that it has.
pub(crate) struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Does one thing, and waits until it is done.
    #[track_caller]
    pub(crate) fn act(&mut self, act: &str) {
        self.command(&format!("{{\"act\": \"{act}\"}}"));
    }

    /// Writes a job that is due some hours from now on, which may be below 0.
    #[track_caller]
    pub(crate) fn add(&mut self, kind: &str, hours: i32, tries: u32, priority: i32) {
        let (seconds, act) = (hours * 3600, "\"act\": \"add\"");
        self.command(&format!(
            "{{{act}, \"kind\": \"{kind}\", \"seconds\": {seconds}, \"tries\": {tries}, \"priority\": {priority}}}"
        ));
    }

    #[track_caller]
    fn command(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n", "to {line}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
