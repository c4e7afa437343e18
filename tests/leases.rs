//! A leased task id is no other live process's, however processes end, and a slot is free once its holder has ended.
//!
//! The processes are copies of this test. Some seconds of killing and starting are the default; a minute of it with 300
//! processes is
//!
//! ```sh
//! LEASES_SECONDS=60 LEASES_PROCESSES=300 cargo test --features testing --test leases -- --nocapture killed_at_random
//! ```

#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tasktag::testing::Capture;
use tasktag::{Client, TaskIdPool, TaskIdSource, TaskIdSourceKind};

/// Where a child leases, and from a pool of which size.
const DIRECTORY: &str = "LEASES_DIRECTORY";
const POOL: &str = "LEASES_POOL";
/// How a child is to end once its input has.
const END: &str = "LEASES_END";
/// The long form.
const SECONDS: &str = "LEASES_SECONDS";
const PROCESSES: &str = "LEASES_PROCESSES";

/// A test that waits for so long fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that is gone after the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tasktag-leases-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn claim(&self, size: u32) -> tasktag::TaskIdClaim {
        TaskIdSource::leased(&self.0).claim(TaskIdPool::new(size).unwrap()).unwrap()
    }

    fn slot(&self, number: u32) -> PathBuf {
        self.0.join(format!("{number}.lock"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the other tests start, kill, and look at from outside.
#[test]
fn child_holds_a_lease() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let pool = TaskIdPool::new(std::env::var(POOL).unwrap().parse().unwrap()).unwrap();
    let builder = Client::builder().capture(&Capture::new()).task_id_pool(pool);
    let guard = builder.task_id_from(TaskIdSource::leased(directory)).install().unwrap();
    let taken = nanos();
    let id = guard.client().task_id();
    // The harness leaves its own line unfinished.
    println!("\nleased: {} {} {taken}", id.source(), id.number());
    let end = std::env::var(END).unwrap_or_default();
    let grandchild = (end == "grandchild").then(|| Command::new("sleep").arg("600").spawn().unwrap());
    if let Some(grandchild) = &grandchild {
        println!("grandchild: {}", grandchild.id());
    }
    // The end of the input is the end of whoever started this, if nothing else.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    match end.as_str() {
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        "panic" => panic!("as it was told to"),
        _ => drop(guard),
    }
}

/// Nanoseconds since 1970, which processes of one host agree on.
fn nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// A process that leases. It is killed when this is dropped.
struct Holder {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<std::process::ChildStdout>,
}

/// What a holder said.
#[derive(Clone, Copy, Debug)]
struct Leased {
    number: u32,
    is_shared: bool,
    taken: u128,
}

impl Holder {
    fn start(directory: &Path, size: u32, end: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_holds_a_lease", "--nocapture", "--test-threads=1"]);
        command.env(DIRECTORY, directory).env(POOL, size.to_string()).env(END, end);
        command.env_remove("TASKTAG_TASK_ID");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn answer(&mut self, start: &str) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(answer) = line.trim_end().strip_prefix(start) {
                return answer.to_owned();
            }
            line.clear();
        }
        panic!("it ended before it said {start:?}: {:?}", self.child.wait());
    }

    fn leased(&mut self) -> Leased {
        let answer = self.answer("leased: ");
        let words: Vec<&str> = answer.split(' ').collect();
        assert!(["leased", "shared"].contains(&words[0]), "{answer}");
        let (number, taken) = (words[1].parse().unwrap(), words[2].parse().unwrap());
        Leased { number, is_shared: words[0] == "shared", taken }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
    }

    fn end(mut self) {
        drop(self.input.take());
        self.child.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a lease is to be had. A process that another test starts has a copy of every open file for a moment, until
/// it runs its own program: a slot that was given back by this process may be taken for so long.
fn is_free(directory: &Directory, size: u32) -> bool {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if directory.claim(size).task_id().source() == TaskIdSourceKind::Leased {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn a_slot_is_free_however_its_holder_ended() {
    for end in ["kill", "exit", "abort", "panic", "return", "grandchild"] {
        let directory = Directory::new(end);
        let mut holder = Holder::start(&directory.0, 1, end);
        let leased = holder.leased();
        assert!(!leased.is_shared && leased.number == 1, "{end}: {leased:?}");
        let grandchild = (end == "grandchild").then(|| holder.answer("grandchild: "));
        assert_eq!(directory.claim(1).task_id().source(), TaskIdSourceKind::Shared, "{end}");
        if ["kill", "grandchild"].contains(&end) {
            holder.kill();
        } else {
            holder.end();
        }
        assert!(is_free(&directory, 1), "{end}");
        if let Some(grandchild) = grandchild {
            // It lived on, and did not keep the slot.
            assert!(Command::new("kill").args(["-KILL", &grandchild]).status().unwrap().success());
        }
    }
}

#[test]
fn a_stopped_holder_keeps_its_slot_for_as_long_as_it_is_there() {
    let directory = Directory::new("stopped");
    let mut holder = Holder::start(&directory.0, 1, "");
    assert!(!holder.leased().is_shared);
    assert!(Command::new("kill").args(["-STOP", &holder.child.id().to_string()]).status().unwrap().success());
    for note in [now(), 0, 1, now() - 1000, now() + 1000] {
        write_note(&directory, 1, note);
        assert_eq!(directory.claim(1).task_id().source(), TaskIdSourceKind::Shared, "{note}");
    }
    holder.kill();
    assert!(is_free(&directory, 1));
}

#[test]
fn processes_that_start_at_once_fill_the_pool_to_the_last_slot() {
    const PROCESSES: u32 = 40;
    let directory = Directory::new("at-once");
    let mut holders: Vec<_> = (0..PROCESSES).map(|_| Holder::start(&directory.0, PROCESSES, "")).collect();
    let ids: BTreeSet<_> = holders.iter_mut().map(|holder| holder.leased().number).collect();
    assert_eq!(ids, (1..=PROCESSES).collect());
    let mut late = Holder::start(&directory.0, PROCESSES, "");
    assert!(late.leased().is_shared);
}

#[test]
fn in_a_small_pool_the_next_start_has_the_slot_of_the_one_that_was_killed() {
    let directory = Directory::new("small");
    let mut holders: Vec<_> = (0..16).map(|_| Holder::start(&directory.0, 16, "")).collect();
    let ids: Vec<_> = holders.iter_mut().map(|holder| holder.leased().number).collect();
    for place in [3, 0, 15] {
        holders[place].kill();
        holders[place] = Holder::start(&directory.0, 16, "");
        let leased = holders[place].leased();
        assert_eq!((leased.number, leased.is_shared), (ids[place], false));
    }
}

// The notes.

fn now() -> u32 {
    u32::try_from(nanos() / 1_000_000_000).unwrap()
}

/// Changes when a slot's holder was last seen.
fn write_note(directory: &Directory, number: u32, seen: u32) {
    let path = directory.0.join("last-seen");
    let mut notes = fs::read(&path).unwrap();
    // Behind the note of when a holder was last found gone.
    let place = number as usize * 4;
    notes.resize(notes.len().max(place + 4), 0);
    notes[place..place + 4].copy_from_slice(&seen.to_le_bytes());
    fs::write(&path, notes).unwrap();
}

#[test]
fn whatever_is_noted_no_two_leases_are_the_same() {
    let directory = Directory::new("notes");
    arbtest::arbtest(|u| {
        let size = u.int_in_range(1..=60)?;
        let mut held = BTreeMap::new();
        for _ in 0..u.int_in_range(0..=80)? {
            match u.int_in_range(0..=4)? {
                0 => {
                    let bytes: Vec<u8> = u.arbitrary()?;
                    fs::write(directory.0.join("last-seen"), bytes).unwrap();
                }
                1 => drop(fs::remove_file(directory.0.join("last-seen"))),
                2 if !held.is_empty() => {
                    let number = *u.choose(&held.keys().copied().collect::<Vec<u32>>())?;
                    held.remove(&number);
                }
                _ => {
                    let claim = directory.claim(size);
                    let id = claim.task_id();
                    if id.source() == TaskIdSourceKind::Leased {
                        assert!(held.insert(id.number(), claim).is_none(), "{id} twice");
                    }
                }
            }
        }
        Ok(())
    })
    .budget_ms(1000);
}

#[test]
fn a_slot_whose_holder_was_not_seen_for_long_is_tried_among_any_number() {
    let directory = Directory::new("unseen");
    let mut held: Vec<_> = (0..100).map(|_| directory.claim(100)).collect();
    let gone = held.swap_remove(57).task_id().number();
    // As if it had been killed: what is given back is noted. The others showed themselves just now.
    for (age, kind) in [(26, TaskIdSourceKind::Leased), (1000, TaskIdSourceKind::Leased)] {
        write_note(&directory, gone, now() - age);
        let start = Instant::now();
        // A copy of the file may be open for a moment, as is told above.
        let claim = loop {
            let claim = directory.claim(100);
            if claim.task_id().source() == kind || start.elapsed() > PATIENCE {
                break claim;
            }
            write_note(&directory, gone, now() - age);
        };
        assert_eq!((claim.task_id().source(), claim.task_id().number()), (kind, gone));
    }
}

#[test]
fn where_holders_are_killed_a_free_slot_is_found_however_lately_its_holder_was_seen() {
    let directory = Directory::new("killed-lately");
    let held: Vec<_> = (0..99).map(|_| directory.claim(100)).collect();
    let mut holder = Holder::start(&directory.0, 100, "");
    let mut leased = holder.leased();
    holder.kill();
    // One that was killed is found: by chance, or because it was not seen for long.
    write_note(&directory, leased.number, now() - 26);
    for _ in 0..5 {
        holder = Holder::start(&directory.0, 100, "");
        let next = holder.leased();
        assert_eq!((next.number, next.is_shared), (leased.number, false));
        holder.kill();
        leased = next;
    }
    drop(held);
}

#[test]
fn a_start_in_a_full_pool_notes_the_holders_that_it_met() {
    let directory = Directory::new("met");
    let held: Vec<_> = (0..50).map(|_| directory.claim(50)).collect();
    let old = now() - 100;
    (1..=50).for_each(|number| write_note(&directory, number, old));
    assert_eq!(directory.claim(50).task_id().source(), TaskIdSourceKind::Shared);
    let notes = fs::read(directory.0.join("last-seen")).unwrap();
    let notes: Vec<_> = notes.as_chunks::<4>().0.iter().map(|note| u32::from_le_bytes(*note)).collect();
    assert!(notes.len() == 51 && notes[1..].iter().all(|seen| *seen > old + 50), "{notes:?}");
    drop(held);
}

// Many processes, killed at random.

/// All that is known from outside: who holds what right now, and who held what from when to when.
#[derive(Default)]
struct Watch {
    held: BTreeMap<u32, u32>,
    history: Vec<(u32, u128, u128)>,
    starts: u64,
    killed_unheard: u64,
    shared: u64,
    wrong: Vec<String>,
}

impl Watch {
    fn leased(&mut self, leased: Leased, process: u32) {
        if leased.is_shared {
            self.shared += 1;
        } else if let Some(other) = self.held.insert(leased.number, process) {
            self.wrong.push(format!("{} is held by {process} and {other}", leased.number));
        }
    }

    /// Just before the process is killed.
    fn will_end(&mut self, leased: Leased) {
        if !leased.is_shared {
            self.held.remove(&leased.number);
            self.history.push((leased.number, leased.taken, nanos()));
        }
    }

    /// Each slot whose holder lives is locked, as this process sees it.
    fn look(&mut self, directory: &Directory) {
        for (number, process) in &self.held {
            let lock =
                OpenOptions::new().read(true).open(directory.slot(*number)).map(|file: File| file.try_lock());
            if !matches!(lock, Ok(Err(TryLockError::WouldBlock))) {
                self.wrong.push(format!("{process} lives and {number} is not locked: {lock:?}"));
            }
        }
    }

    /// No slot was taken before its former holder was killed.
    fn check_history(&mut self) {
        self.history.sort_unstable();
        for pair in self.history.windows(2) {
            let [(number, _, killed), (next, taken, _)] = pair else { continue };
            if number == next && taken < killed {
                self.wrong
                    .push(format!("{number} was taken {} ns before its holder was killed", killed - taken));
            }
        }
    }
}

/// A number below `limit` that nobody can guess.
fn random(limit: u64) -> u64 {
    RandomState::new().build_hasher().finish() % limit
}

/// Keeps one process alive, kills it at random and starts it again, until it is late enough and enough was seen: a busy
/// machine takes longer to see as much.
fn keep(
    directory: &Directory,
    size: u32,
    watch: &Mutex<Watch>,
    deadline: Instant,
    enough: fn(&Watch) -> bool,
) {
    let last = deadline + PATIENCE;
    while Instant::now() < deadline || Instant::now() < last && !enough(&watch.lock().unwrap()) {
        let mut holder = Holder::start(&directory.0, size, "");
        watch.lock().unwrap().starts += 1;
        if random(10) == 0 {
            // While it starts, maybe with a lock that it told nobody of.
            thread::sleep(Duration::from_micros(random(20_000)));
            watch.lock().unwrap().killed_unheard += 1;
            holder.kill();
            continue;
        }
        let leased = holder.leased();
        watch.lock().unwrap().leased(leased, holder.child.id());
        thread::sleep(Duration::from_millis(random(1000)));
        watch.lock().unwrap().will_end(leased);
        holder.kill();
    }
}

fn kill_at_random(
    name: &str,
    processes: u32,
    size: u32,
    duration: Duration,
    enough: fn(&Watch) -> bool,
) -> Watch {
    let directory = Directory::new(name);
    let watch = Mutex::new(Watch::default());
    let deadline = Instant::now() + duration;
    thread::scope(|scope| {
        for _ in 0..processes {
            scope.spawn(|| keep(&directory, size, &watch, deadline, enough));
        }
        while Instant::now() < deadline {
            thread::sleep(Duration::from_millis(100));
            watch.lock().unwrap().look(&directory);
        }
    });
    let mut watch = watch.into_inner().unwrap();
    watch.check_history();
    let ids: BTreeSet<_> = watch.history.iter().map(|(number, ..)| number).collect();
    println!(
        "{processes} processes on a pool of {size} for {duration:?}: {} starts, {} leases of {} ids, {} shared, {} \
         killed before they spoke, {} wrong",
        watch.starts,
        watch.history.len(),
        ids.len(),
        watch.shared,
        watch.killed_unheard,
        watch.wrong.len()
    );
    watch
}

fn setting(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn processes_that_are_killed_at_random_never_have_the_same_id() {
    let duration = Duration::from_secs(setting(SECONDS, 4).into());
    let processes = setting(PROCESSES, 60);
    let enough = |watch: &Watch| watch.history.len() > setting(PROCESSES, 60) as usize;
    let watch = kill_at_random("killed", processes, processes * 10 / 3, duration, enough);
    assert_eq!(watch.wrong, [""; 0]);
    assert!(enough(&watch), "{} leases", watch.history.len());
    assert_eq!(watch.shared, 0, "there was room for all");
}

#[test]
fn processes_that_are_killed_at_random_in_a_full_pool_share_a_bucket_or_have_one_alone() {
    let duration = Duration::from_secs(setting(SECONDS, 4).into());
    let enough = |watch: &Watch| watch.shared > 0 && watch.history.len() > 20;
    let watch = kill_at_random("full", 24, 20, duration, enough);
    assert_eq!(watch.wrong, [""; 0]);
    assert!(enough(&watch), "{} shared", watch.shared);
}

#[test]
fn a_client_knows_how_many_tasks_are_alive() {
    let directory = Directory::new("alive");
    let start = || {
        let builder = Client::builder().capture(&Capture::new()).clock(&tasktag::testing::ManualClock::new());
        builder.task_id_from(TaskIdSource::leased(&directory.0)).build().unwrap()
    };
    let guards = [start(), start(), start()];
    let live = |of: usize| {
        guards[of].client().flush(PATIENCE).unwrap();
        guards[of].client().live_tasks()
    };
    assert_eq!([live(0), live(1), live(2)], [Some(3); 3], "each start was noted");
    assert_eq!(Client::disabled().live_tasks(), None);
}
