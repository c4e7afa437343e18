//! What belongs to all tasks is reported by one of them, without a task id, and by another one once it has ended.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use support::fork::{assert_done, fork};
use support::{PATIENCE, TempDir};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Guard, PoolStatus, SoleReporter, TaskIdSource};

/// Where a child's lease and its agent are.
const FOLDER: &str = "SOLE_FOLDER";

const NOTHING: [&str; 0] = [];

/// One test at a time: a child that another one forks starts all clients over.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task of the service, with a clock of its own.
struct Task {
    guard: Guard,
    capture: Capture,
    clock: ManualClock,
    sole: SoleReporter,
}

impl Task {
    fn start(folder: &TempDir, connections: u64) -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let guard = support::builder().capture(&capture).clock(&clock).build().unwrap();
        let sole = guard.client().sole_reporter(TaskIdSource::leased(folder.path())).unwrap();
        let status = move || PoolStatus::new().open(connections);
        guard.client().pool("orders").by(&sole).watch(status).detach();
        Self { guard, capture, clock, sole }
    }

    /// What is sent after this many seconds.
    fn sent_after(&self, seconds: u64) -> Vec<String> {
        self.clock.advance(Duration::from_secs(seconds));
        self.guard.client().flush(PATIENCE).unwrap();
        // The second flush has what the probes collected after the worker looked at the lease.
        self.guard.client().flush(PATIENCE).unwrap();
        self.capture.take_lines()
    }
}

#[test]
fn one_task_reports_and_its_lines_have_no_task_id() {
    let _alone = alone();
    let folder = TempDir::new();
    let [first, second] = [70, 80].map(|connections| Task::start(&folder, connections));
    assert!(first.sole.is_held() && !second.sole.is_held());
    let sent = first.sent_after(1);
    assert!(sent.contains(&"pool.open:70|g|#pool:orders".to_owned()), "{sent:?}");
    assert!(!sent.iter().any(|line| line.contains("task_id")), "{sent:?}");
    assert_eq!(second.sent_after(1), NOTHING);
}

#[test]
fn another_task_takes_over_from_one_that_shuts_down() {
    let _alone = alone();
    let folder = TempDir::new();
    let [first, second] = [70, 80].map(|connections| Task::start(&folder, connections));
    assert_ne!(first.sent_after(1), NOTHING);
    assert_eq!(second.sent_after(1), NOTHING);
    first.guard.shutdown(PATIENCE).unwrap();
    assert!(!first.sole.is_held(), "a client that has ended reports nothing");
    let sent = second.sent_after(1);
    assert!(sent.contains(&"pool.open:80|g|#pool:orders".to_owned()), "{sent:?}");
}

#[test]
fn a_lease_is_given_back_when_nothing_uses_it_any_more() {
    let _alone = alone();
    let folder = TempDir::new();
    let first = support::builder().capture(&Capture::new()).clock(&ManualClock::new()).build().unwrap();
    let lease = || TaskIdSource::leased(folder.path());
    let sole = first.client().sole_reporter(lease()).unwrap();
    let watch = first.client().pool("orders").by(&sole).watch(PoolStatus::new);
    drop(sole);
    let second = Task::start(&folder, 80);
    first.client().flush(PATIENCE).unwrap();
    assert_eq!(second.sent_after(1), NOTHING, "the watch still uses it");
    drop(watch);
    first.client().flush(PATIENCE).unwrap();
    assert_ne!(second.sent_after(1), NOTHING);
}

#[test]
fn a_task_that_loses_the_lease_sends_no_stale_gauge() {
    let _alone = alone();
    let folder = TempDir::new();
    let first = Task::start(&folder, 70);
    assert_ne!(first.sent_after(1), NOTHING);
    // Somebody removes the file, and a process that knows nothing of the first takes its place.
    fs::remove_dir_all(folder.path()).unwrap();
    fs::create_dir(folder.path()).unwrap();
    let second = Task::start(&folder, 80);
    assert!(second.sole.is_held());
    // It looks at the lease during this second.
    first.sent_after(1);
    assert!(!first.sole.is_held());
    assert_eq!(first.sent_after(1), NOTHING);
    assert_ne!(second.sent_after(1), NOTHING);
}

#[test]
fn a_holder_whose_file_was_deleted_makes_it_again_before_those_that_wait() {
    let _alone = alone();
    let folder = TempDir::new();
    let [first, second] = [70, 80].map(|connections| Task::start(&folder, connections));
    assert_ne!(first.sent_after(1), NOTHING);
    fs::remove_file(folder.path().join("1.lock")).unwrap();
    assert_eq!(second.sent_after(1), NOTHING, "the holder was seen a moment ago");
    assert_ne!(first.sent_after(1), NOTHING);
    assert_eq!(second.sent_after(1), NOTHING);
}

#[test]
fn only_a_lease_makes_a_sole_reporter() {
    let _alone = alone();
    let guard = support::builder().capture(&Capture::new()).build().unwrap();
    let error = |source| guard.client().sole_reporter(source).unwrap_err().to_string();
    let text = error(TaskIdSource::random());
    assert!(text.contains("sole_reporter") && text.contains("random"), "{text}");
    let text = error(TaskIdSource::leased("/nobody/made/this"));
    assert!(text.contains("sole_reporter") && text.contains("/nobody/made/this"), "{text}");
    let text = error(TaskIdSource::leased("/tmp").or(TaskIdSource::random()));
    assert!(text.contains("one lease"), "{text}");
}

#[test]
fn a_disabled_client_leaves_the_lease_to_others() {
    let _alone = alone();
    let folder = TempDir::new();
    let sole = Client::disabled().sole_reporter(TaskIdSource::leased(folder.path())).unwrap();
    let other = Task::start(&folder, 70);
    assert!(!sole.is_held() && other.sole.is_held());
}

#[test]
fn a_forked_child_waits_for_its_parents_lease_and_does_not_keep_it() {
    let _alone = alone();
    let folder = TempDir::new();
    let parent = Task::start(&folder, 70);
    assert_ne!(parent.sent_after(1), NOTHING);
    assert_done(fork(|| {
        let is_held = parent.sole.is_held();
        let _watch = parent.guard.client().pool("orders").by(&parent.sole).watch(PoolStatus::new);
        !is_held && parent.sent_after(1).is_empty()
    }));
    assert!(parent.sole.is_held(), "the child's end is not the parent's");
    assert_ne!(parent.sent_after(1), NOTHING);
}

/// What the test below starts and kills.
#[test]
fn child_takes_part() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let second = Duration::from_millis(100);
    let builder =
        Client::builder().agent(format!("unix://{folder}/agent")).telemetry(false).origin_detection(false);
    let guard = builder.flush_interval(second).collect_interval(second).build().unwrap();
    let sole = guard.client().sole_reporter(TaskIdSource::leased(&folder)).unwrap();
    let process = u64::from(std::process::id());
    let _watch = guard.client().pool("orders").by(&sole).watch(move || PoolStatus::new().open(process));
    println!("\nready");
    // The end of the input is the end of whoever started this, if nothing else.
    let _ = std::io::stdin().lines().count();
}

fn start_child(folder: &TempDir) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child_takes_part", "--exact", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap() == "ready"));
    child
}

/// The process that the next line is about.
fn reporter(agent: &UnixDatagram) -> u32 {
    let mut packet = [0; 8192];
    let len = agent.recv(&mut packet).unwrap();
    let text = String::from_utf8_lossy(&packet[..len]).into_owned();
    assert!(!text.contains("task_id"), "{text}");
    let open = text.lines().find_map(|line| line.strip_prefix("pool.open:")).unwrap();
    open.split('|').next().unwrap().parse().unwrap()
}

#[test]
fn another_process_takes_over_from_one_that_is_killed() {
    let _alone = alone();
    let folder = TempDir::new();
    let agent = UnixDatagram::bind(folder.path().join("agent")).unwrap();
    agent.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut children = [(); 3].map(|()| start_child(&folder));
    let mut reporters = Vec::new();
    for _ in 0..2 {
        let holder = reporter(&agent);
        assert!(!reporters.contains(&holder), "{holder} was killed");
        for _ in 0..20 {
            assert_eq!(reporter(&agent), holder, "two report at once");
        }
        let killed = children.iter_mut().find(|child| child.id() == holder).unwrap();
        killed.kill().unwrap();
        killed.wait().unwrap();
        reporters.push(holder);
        // What the killed process had sent may still be in the socket.
        let until = Instant::now() + PATIENCE;
        while reporters.contains(&reporter(&agent)) {
            assert!(Instant::now() < until, "nobody takes over");
        }
    }
    for mut child in children {
        let _ = child.kill();
        child.wait().unwrap();
    }
}
