//! A program that writes jobs with a system's own library, and answers each command with a line.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

/// What a variable of the environment names. Without it, the test is skipped with a word.
pub(crate) fn named_by(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    if path.is_none() {
        // Not `eprintln`, which is shown for tests that fail only.
        let name = thread::current().name().unwrap_or("this test").to_owned();
        let _ = writeln!(io::stderr(), "skipped: set {variable} to run {name}");
    }
    path.map(PathBuf::from)
}

/// A file of this folder.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/queues_redis").join(name)
}

/// A program and its children, in a process group of its own. Dropping it kills them all.
pub(crate) struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        use std::os::unix::process::CommandExt;
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// A Python with the libraries, if there is one.
    pub(crate) fn python(name: &str, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(named_by("TASKTAG_TEST_QUEUES_PYTHON")?);
        command.arg(script(name)).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
        Some(Self::start(command))
    }

    /// Has the program do something, and waits until it is done.
    #[track_caller]
    pub(crate) fn say(&mut self, words: &str) {
        writeln!(self.input, "{words}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n", "{words}");
    }

    /// Kills it and its children without a warning, as a crash does.
    pub(crate) fn crash(self) {
        drop(self);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}
