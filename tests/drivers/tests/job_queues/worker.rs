//! A process that works jobs until it is killed.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::{env, process, thread};
use tokio::runtime::Runtime;

/// Where a worker finds its jobs.
const STORE: &str = "JOB_QUEUES_STORE";
const NAME: &str = "JOB_QUEUES_WORKER";

/// Dropping it kills it, with the jobs that it has.
pub(crate) struct Worker(Child);

impl Worker {
    /// Runs a test of this file that works jobs where it is a worker.
    pub(crate) fn start(test: &str, name: &str, store: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(STORE, store).env(NAME, name);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The name of a worker and its store, where this process is one. It ends with the process that started it.
pub(crate) fn told() -> Option<(String, String)> {
    let told = (env::var(NAME).ok()?, env::var(STORE).ok()?);
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        process::exit(0);
    });
    Some(told)
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
