//! A server of a test's own, in a folder of its own, which ends when this is dropped.

use crate::support::{PATIENCE, TempDir, wait_until};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Debian's `nobody`: servers refuse to run as root.
const NOBODY: u32 = 65534;

/// Where a server's programs are, where somebody says so.
pub(crate) fn programs(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    if path.is_none() {
        // Not `eprintln`, which is shown for tests that fail only.
        let name = thread::current().name().unwrap_or("this test").to_owned();
        let _ = writeln!(io::stderr(), "skipped: set {variable} to run {name}");
    }
    path.map(PathBuf::from)
}

/// A folder that a server may write, whoever the server has to be.
pub(crate) fn folder() -> TempDir {
    let folder = TempDir::new();
    let path = folder.join("");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
}

/// A program that runs as an ordinary user and says nothing.
pub(crate) fn command(program: &Path, folder: &TempDir) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(folder.join("")).env("HOME", folder.join("")).env("TZ", "UTC");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[derive(Debug)]
pub(crate) struct Server(Child);

impl Server {
    /// Starts a server, and waits until it answers.
    #[track_caller]
    pub(crate) fn start(command: &mut Command, mut answers: impl FnMut() -> bool) -> Self {
        let mut server = Self(command.spawn().unwrap());
        wait_until(|| {
            thread::sleep(Duration::from_millis(10));
            assert!(server.0.try_wait().unwrap().is_none(), "the server ended: {command:?}");
            answers()
        });
        server
    }
}

impl Drop for Server {
    /// Ends the server at once. PostgreSQL then ends its sessions, which it would leave behind if it were killed. It
    /// takes the first of these signals for that, and others take the second.
    fn drop(&mut self) {
        for signal in ["-QUIT", "-TERM"] {
            let _ = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
        }
        let start = Instant::now();
        while start.elapsed() < PATIENCE && matches!(self.0.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
