//! Namespaces of a process's own, which root makes, and other users where the system lets them.

use std::io::{self, Write};
use std::process::Command;
use std::thread;

/// `unshare` with some options. Where that is refused, it says on standard error that the test is skipped.
pub(crate) fn unshare(options: &[&str]) -> Option<Command> {
    let with = |user: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(user).args(options);
        command
    };
    let found = [[].as_slice(), &["--map-root-user"]]
        .into_iter()
        .find(|user| with(user).arg("true").output().is_ok_and(|ended| ended.status.success()));
    if found.is_none() {
        let name = thread::current().name().unwrap_or("this test").to_owned();
        // Not `eprintln`, which is shown for tests that fail only.
        let _ = writeln!(io::stderr(), "skipped: no namespace may be made here, and {name} needs one");
    }
    found.map(with)
}
