//! The examples that print a report may be read in part, as `head` does.

use std::io::pipe;
use std::process::{Command, Output};

/// An example, as a user runs it, whose reader is gone.
fn run_unread(name: &str, arguments: &[&str]) -> Output {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--example", name, "--features", "testing", "--"]).args(arguments);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stdout(writer).output().unwrap()
}

#[track_caller]
fn assert_quiet(ended: &Output) {
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.is_empty(), "{}: {said}", ended.status);
}

#[test]
fn a_report_that_nobody_reads_ends_quietly() {
    assert_quiet(&run_unread("cardinality", &[]));
    assert_quiet(&run_unread("pools", &[]));
    assert_quiet(&run_unread("fleet", &["--seed", "1"]));
}

#[test]
fn a_report_that_nobody_reads_and_whose_file_was_not_written_says_so() {
    let ended = run_unread("fleet", &["--seed", "1", "--csv", "/nobody/writes/here.csv"]);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.starts_with("error: Broken pipe"), "{}: {said}", ended.status);
}

#[test]
fn a_mistake_is_said_in_one_line() {
    let ended = run_unread("fleet", &["--pool", "0"]);
    assert!(!ended.status.success());
    assert_eq!(String::from_utf8_lossy(&ended.stderr).lines().count(), 1);
}
