//! Processes of this program, each of which measures one thing and prints its numbers.

use std::env;
use std::process::{Command, Stdio};

/// Runs this program with arguments, and reads the numbers that it prints; none if it fails.
pub fn numbers(arguments: &[&str]) -> Vec<f64> {
    let output = Command::new(env::current_exe().expect("it runs"))
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .expect("it can be run again");
    if !output.status.success() {
        return Vec::new();
    }
    read(&output.stdout)
}

/// The numbers in what a program printed.
pub fn read(printed: &[u8]) -> Vec<f64> {
    String::from_utf8_lossy(printed).split_whitespace().filter_map(|number| number.parse().ok()).collect()
}
