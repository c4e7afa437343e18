//! Whatever becomes of a directory of leases, no two live processes go on under one id for longer than the 10 s in
//! which each shows that it is there: whoever lost its slot has another one, or shares a bucket and counts it.
//!
//! The processes are copies of this test, on clocks that are moved by hand. Some seconds are the default; with 300
//! processes it is
//!
//! ```sh
//! LEASES_SECONDS=60 LEASES_PROCESSES=300 cargo test --all-features --test leases_directory -- --nocapture at_random
//! ```

#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use support::PATIENCE;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Guard, TaskIdPool, TaskIdSource, TaskIdSourceKind};

/// Where a child leases, and from a pool of which size.
const DIRECTORY: &str = "LEASES_DIRECTORY";
const POOL: &str = "LEASES_POOL";
/// The long form.
const SECONDS: &str = "LEASES_SECONDS";
const PROCESSES: &str = "LEASES_PROCESSES";

/// How often a client shows that it is there.
const SHOWS: Duration = Duration::from_secs(10);

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tasktag-directory-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        let directory = Self(path);
        directory.make();
        directory
    }

    /// For whoever wants to lease.
    fn make(&self) {
        if fs::create_dir(&self.0).is_ok() {
            let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o777));
        }
    }

    /// At once, whoever makes files in it.
    fn remove(&self) {
        let away = self.0.with_extension("removed");
        let _ = fs::rename(&self.0, &away);
        let _ = fs::remove_dir_all(&away);
    }

    fn make_again(&self) {
        self.remove();
        self.make();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A client that leases, and the clock that it goes by.
struct Task {
    guard: Guard,
    clock: ManualClock,
    capture: Capture,
}

impl Task {
    fn start(directory: &Directory, size: u32) -> Self {
        let (clock, capture) = (ManualClock::new(), Capture::new());
        let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false);
        let builder = builder.task_id_pool(TaskIdPool::new(size).unwrap());
        let guard = builder.task_id_from(TaskIdSource::leased(&directory.0)).build().unwrap();
        Self { guard, clock, capture }
    }

    /// The 10 s pass, and what is reported then has this id.
    fn show(&self) -> (u32, TaskIdSourceKind) {
        let before = self.id();
        self.guard.client().gauge("up").set(1.0);
        self.clock.advance(SHOWS);
        let id = self.guard.client().task_id();
        let line = format!("up:1|g|#{}", id.tag());
        assert_eq!(self.capture.take_lines(), [line], "{before:?} before");
        self.id()
    }

    fn id(&self) -> (u32, TaskIdSourceKind) {
        let id = self.guard.client().task_id();
        (id.number(), id.source())
    }

    /// How often its id was lost, and was one that others may have.
    fn counted(&self) -> (u64, u64) {
        let stats = self.guard.client().stats();
        (stats.lost_task_ids, stats.shared_task_ids)
    }
}

use TaskIdSourceKind::{Leased, Shared};

#[test]
fn who_shows_itself_in_a_directory_that_was_made_again_keeps_its_id() {
    let directory = Directory::new("kept");
    let tasks: Vec<_> = (0..3).map(|_| Task::start(&directory, 3)).collect();
    let before: Vec<_> = tasks.iter().map(Task::id).collect();
    directory.make_again();
    assert_eq!(tasks.iter().map(Task::show).collect::<Vec<_>>(), before);
    let late = Task::start(&directory, 3);
    assert_eq!((late.id().1, late.counted()), (Shared, (0, 1)));
    assert_eq!(tasks.iter().map(Task::counted).collect::<Vec<_>>(), [(0, 0); 3]);
}

#[test]
fn whose_slot_another_process_has_takes_a_free_one_and_counts_a_loss() {
    let directory = Directory::new("another");
    let first = Task::start(&directory, 2);
    directory.make_again();
    // Two more than the pool has room for together: one of them has the first one's slot.
    let others = [Task::start(&directory, 2), Task::start(&directory, 2)];
    let (mut first, taken) = (first, first_id(&others));
    assert_ne!(taken.0, taken.1);
    let (_, source) = first.show();
    assert_eq!((source, first.counted()), (Shared, (1, 1)), "there is no third slot");
    drop(others);
    // For good, as where a pool is full at the start.
    assert_eq!(first.show().1, Shared);

    let directory = Directory::new("free");
    first = Task::start(&directory, 2);
    let number = first.id().0;
    directory.make_again();
    let other = loop {
        let other = Task::start(&directory, 2);
        if other.id().0 == number {
            break other;
        }
    };
    assert_eq!(first.show(), (3 - number, Leased));
    assert_eq!((first.counted(), other.counted()), ((1, 0), (0, 0)));
}

fn first_id(tasks: &[Task; 2]) -> (u32, u32) {
    (tasks[0].id().0, tasks[1].id().0)
}

#[test]
fn without_its_directory_a_task_shares_a_bucket_until_it_is_there_again() {
    let directory = Directory::new("away");
    let task = Task::start(&directory, 10);
    let leased = task.id();
    fs::remove_dir_all(&directory.0).unwrap();
    for _ in 0..3 {
        let (number, source) = task.show();
        assert_eq!((source, task.counted()), (Shared, (1, 1)));
        assert_ne!(number, leased.0, "it may be another task's by now");
    }
    directory.make();
    assert_eq!((task.show(), task.counted()), (leased, (1, 1)));
}

#[test]
fn a_start_is_not_led_to_a_slot_by_the_note_of_its_holder() {
    let directory = Directory::new("noted");
    let tasks: Vec<_> = (0..5).map(|_| Task::start(&directory, 1000)).collect();
    for task in &tasks {
        fs::remove_file(directory.0.join(format!("{}.lock", task.id().0))).unwrap();
    }
    let late: Vec<_> = (0..5).map(|_| Task::start(&directory, 1000)).collect();
    let mut ids: Vec<_> = tasks.iter().chain(&late).map(Task::id).collect();
    assert!(ids.iter().all(|(_, source)| *source == Leased));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10);
}

#[test]
fn a_claim_without_a_client_looks_when_it_is_asked() {
    let directory = Directory::new("claims");
    let lease = || TaskIdSource::leased(&directory.0).claim(TaskIdPool::new(1).unwrap()).unwrap();
    let first = lease();
    directory.make_again();
    assert_eq!(first.task_id().source(), Leased);
    assert_eq!(lease().task_id().source(), Shared);
    directory.make_again();
    let second = lease();
    assert_eq!((second.task_id().source(), first.task_id().source()), (Leased, Shared));
}

// Many processes, killed at random, in a directory to which anything happens.

/// What the test below starts and kills: it does what its input says, line by line.
#[test]
fn child_leases_and_shows_itself() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let clock = ManualClock::new();
    let builder = Client::builder().capture(&Capture::new()).clock(&clock).telemetry(false);
    let pool = TaskIdPool::new(std::env::var(POOL).unwrap().parse().unwrap()).unwrap();
    let Ok(guard) = builder.task_id_pool(pool).task_id_from(TaskIdSource::leased(directory)).install() else {
        return;
    };
    let say = || {
        let id = guard.client().task_id();
        // The harness leaves its own line unfinished.
        println!("\nid: {} {}", id.source(), id.number());
    };
    say();
    for _ in std::io::stdin().lines().map_while(Result::ok) {
        clock.advance(SHOWS);
        say();
    }
}

struct Holder {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Holder {
    /// As another user, one in three, where that is to be had.
    fn start(directory: &Path, size: u32) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_leases_and_shows_itself", "--nocapture", "--test-threads=1"]);
        command.env(DIRECTORY, directory).env(POOL, size.to_string()).env_remove("TASKTAG_TASK_ID");
        if is_root() && random(3) == 0 {
            command.uid(2001).gid(2001);
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// Its leased id, or `Ok(None)` for a shared one; an error where it could not start.
    fn id(&mut self) -> Result<Option<u32>, &'static str> {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(id) = line.trim_end().strip_prefix("id: ") {
                let (source, number) = id.split_once(' ').unwrap();
                return Ok((source == "leased").then(|| number.parse().unwrap()));
            }
            line.clear();
        }
        Err("it did not start")
    }

    fn show(&mut self) -> Option<u32> {
        self.input.write_all(b"show\n").unwrap();
        self.id().unwrap()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// What is known of the live processes: the leased id of each, and the last event before it showed itself.
#[derive(Default)]
struct Watch {
    held: BTreeMap<u32, (Option<u32>, u64)>,
    events: u64,
    starts: u64,
    shows: u64,
    shared: u64,
    lost: u64,
    checks: u64,
    wrong: Vec<String>,
}

impl Watch {
    fn note(&mut self, process: u32, leased: Option<u32>, events: u64) {
        self.shared += u64::from(leased.is_none());
        if let Some((Some(before), _)) = self.held.insert(process, (leased, events)) {
            self.lost += u64::from(leased != Some(before));
        }
    }

    /// Whether every live process has shown itself since the last event.
    fn is_quiet(&self) -> bool {
        self.held.values().all(|(_, events)| *events == self.events)
    }

    fn check(&mut self) {
        let mut holders = BTreeMap::new();
        for (process, (leased, _)) in &self.held {
            if let Some(other) = leased.and_then(|number| holders.insert(number, process)) {
                self.wrong.push(format!("{leased:?} is held by {process} and {other}"));
            }
        }
        self.checks += 1;
    }
}

/// A number below `limit` that nobody can guess.
fn random(limit: u64) -> u64 {
    RandomState::new().build_hasher().finish() % limit
}

/// Keeps one process alive, has it show itself, kills it at random and starts it again.
fn keep(directory: &Directory, size: u32, watch: &Mutex<Watch>, is_over: &(dyn Fn() -> bool + Sync)) {
    while !is_over() {
        let events = watch.lock().unwrap().events;
        let mut holder = Holder::start(&directory.0, size);
        let process = holder.child.id();
        let Ok(leased) = holder.id() else { continue };
        {
            let mut watch = watch.lock().unwrap();
            watch.starts += 1;
            watch.note(process, leased, events);
        }
        for _ in 0..random(30) {
            thread::sleep(Duration::from_millis(random(50)));
            let events = watch.lock().unwrap().events;
            let leased = holder.show();
            let mut watch = watch.lock().unwrap();
            watch.shows += 1;
            watch.note(process, leased, events);
            drop(watch);
            if is_over() {
                break;
            }
        }
        watch.lock().unwrap().held.remove(&process);
    }
}

fn happen(directory: &Directory) {
    let files = || fs::read_dir(&directory.0).into_iter().flatten().flatten().map(|entry| entry.path());
    let mode = |mode| drop(fs::set_permissions(&directory.0, fs::Permissions::from_mode(mode)));
    match random(8) {
        0 => directory.make_again(),
        1 => {
            directory.remove();
            thread::sleep(Duration::from_millis(random(200)));
            directory.make();
        }
        2 => files().filter(|_| random(2) == 0).for_each(|path| drop(fs::remove_file(path))),
        3 => drop(fs::remove_file(directory.0.join("last-seen"))),
        4 => drop(fs::write(directory.0.join("last-seen"), random(u64::MAX).to_le_bytes().repeat(90))),
        5 => {
            mode([0o000, 0o555, 0o700, 0o755][usize::try_from(random(4)).unwrap()]);
            thread::sleep(Duration::from_millis(random(200)));
            mode(0o777);
        }
        6 => mode(0o1777),
        _ => files().for_each(|path| drop(fs::set_permissions(path, fs::Permissions::from_mode(0o600)))),
    }
}

fn setting(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn no_two_processes_that_showed_themselves_have_one_id_whatever_happens_to_the_directory_at_random() {
    if std::env::var(DIRECTORY).is_ok() {
        return;
    }
    let (directory, watch) = (Directory::new("random"), Mutex::new(Watch::default()));
    let deadline = Instant::now() + Duration::from_secs(setting(SECONDS, 4).into());
    // A busy machine takes longer to see as much.
    let last = deadline + PATIENCE;
    let is_over = || {
        let enough = {
            let watch = watch.lock().unwrap();
            watch.checks >= 5 && watch.lost > 0
        };
        Instant::now() > deadline && enough || Instant::now() > last
    };
    let processes = setting(PROCESSES, 40);
    // So few slots that many who lose theirs meet another holder.
    let size = processes * 3 / 2;
    thread::scope(|scope| {
        for _ in 0..processes {
            scope.spawn(|| keep(&directory, size, &watch, &is_over));
        }
        while !is_over() {
            for _ in 0..=random(4) {
                happen(&directory);
                thread::sleep(Duration::from_millis(random(100)));
            }
            // What shows itself from now on finds the directory as it stays for a while.
            watch.lock().unwrap().events += 1;
            while !is_over() {
                thread::sleep(Duration::from_millis(5));
                let mut watch = watch.lock().unwrap();
                if watch.is_quiet() {
                    watch.check();
                    break;
                }
            }
        }
    });
    let watch = watch.into_inner().unwrap();
    println!(
        "{} starts, {} shows, {} of both shared, {} ids lost, {} events, {} checks, {} wrong",
        watch.starts,
        watch.shows,
        watch.shared,
        watch.lost,
        watch.events,
        watch.checks,
        watch.wrong.len()
    );
    assert_eq!(watch.wrong, [""; 0]);
    assert!(watch.checks >= 5 && watch.lost > 0, "{} checks, {} lost", watch.checks, watch.lost);
}
