//! Two versions of the crate in one program have one random task id, also in its forked children, and disturb nothing
//! of each other.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = r#"
use std::net::UdpSocket;
use std::time::Duration;

fn say(process: &str) {
    println!("{process} {} {}", tasktag::TaskId::current(), other::TaskId::current());
}

fn main() {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    agent.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = format!("udp://{}", agent.local_addr().unwrap());
    let first = tasktag::Client::builder().agent(&address).telemetry(false).install().unwrap();
    let second = other::Client::builder().agent(&address).telemetry(false).install().unwrap();
    say("parent");
    // SAFETY: The child uses the crate, as a forked child may, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        say("child");
        unsafe { libc::_exit(0) };
    }
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    tasktag::counter!("first.calls").increment(1);
    other::counter!("second.calls").increment(2);
    first.client().flush(Duration::from_secs(10)).unwrap();
    second.client().flush(Duration::from_secs(10)).unwrap();
    let mut packet = [0; 2000];
    for _ in 0..2 {
        let len = agent.recv(&mut packet).unwrap();
        print!("{}\n", String::from_utf8_lossy(&packet[..len]).trim_end());
    }
}
"#;

/// Copies the sources of this crate, under another version.
fn copy_as(version: &str, to: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy_folder(&root.join("src"), &to.join("src"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let own = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
    let head = manifest.split("[dev-dependencies]").next().unwrap();
    let readme = head.replacen(&own, &format!("version = \"{version}\""), 1);
    fs::write(to.join("Cargo.toml"), readme).unwrap();
    fs::copy(root.join("README.md"), to.join("README.md")).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy_folder(&from, &to) } else { assert!(fs::copy(from, to).is_ok()) }
    }
}

fn write_program() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("two_versions");
    copy_as("0.1.0-first", &folder.join("first"));
    copy_as("0.1.0-second", &folder.join("second"));
    // Beside the two and not above them: a path below a workspace is taken for a member of it.
    let program = folder.join("program");
    fs::create_dir_all(program.join("src")).unwrap();
    fs::write(program.join("src/main.rs"), PROGRAM).unwrap();
    let manifest = r#"
[package]
name = "two_versions"
edition = "2024"

[dependencies]
libc = "0.2"
tasktag = { path = "../first" }
other = { package = "tasktag", path = "../second" }

[workspace]
"#;
    fs::write(program.join("Cargo.toml"), manifest).unwrap();
    // The versions that this crate is tested with, which are here already.
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"), program.join("Cargo.lock")).unwrap();
    program
}

#[test]
fn two_versions_in_one_program_have_one_random_task_id() {
    let program = write_program();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["run", "--quiet", "--offline", "--target-dir"])
        .arg(program.join("target"))
        .current_dir(&program);
    cargo.env_remove("TASKTAG_TASK_ID").env_remove("RUSTFLAGS");
    let ran = cargo.output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}{complained}");
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split(' ').collect()).collect();
    let [child, parent, first, second] = lines.as_slice() else { panic!("{said}{complained}") };
    let (child, parent) = if child[0] == "child" { (child, parent) } else { (parent, child) };
    assert_eq!((parent[0], parent[1]), ("parent", parent[2]), "{said}");
    assert_eq!((child[0], child[1]), ("child", child[2]), "{said}");
    assert_eq!(first[..], [format!("first.calls:1|c|#task_id:{}", parent[1])]);
    assert_eq!(second[..], [format!("second.calls:2|c|#task_id:{}", parent[1])]);
}
