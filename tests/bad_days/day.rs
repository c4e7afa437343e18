//! One day of a client: what its callers do, what goes wrong meanwhile, and the books in the evening.

use super::agent::Agent;
use super::books::Books;
use super::caller::{Caller, Handles};
use super::child::Birth;
use super::dice::Dice;
use super::fault::Fault;
use super::names::{self, Answer};
use super::plan::Plan;
use super::transport::Transport;
use super::watched::{Manner, Watched};
use crate::support::received::Received;
use crate::support::stream_agent::Mood;
use crate::support::{self, PATIENCE, wait_until};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, fs, thread};
use tasktag::testing::ManualClock;
use tasktag::{Client, ClientBuilder, Dialect, DropReason, Guard};

const CALLERS: u64 = 3;
/// Bytes of a flood: more than the buffers of a connection hold.
const FLOOD: usize = 5_000_000;

/// What a day came to.
#[derive(Debug)]
pub(crate) struct Evening {
    plan: Plan,
    pub(crate) books: Books,
    /// Every value that was accepted was sent and came, and every caller's sums are right.
    pub(crate) is_whole: bool,
}

impl fmt::Display for Evening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, faults: [fault, other], transport, .. } = self.plan;
        let Books { accepted, sent, dropped, diary, .. } = self.books;
        write!(f, "seed {seed}: {fault:?}")?;
        if other != fault {
            write!(f, " and {other:?}")?;
        }
        write!(f, " over {transport:?}, {} operations; ", diary.operations)?;
        write!(f, "values {} = {} + {}", accepted.values, sent.values, dropped.values)?;
        f.write_str(if self.is_whole { ", whole" } else { "" })
    }
}

/// Everything of a day that its faults may touch.
struct Day {
    plan: Plan,
    dice: Dice,
    clock: Option<ManualClock>,
    agent: Agent,
    // Nothing ever happens to it.
    second: Option<Agent>,
    watched: Watched,
    listener: Watched,
    client: Client,
    guard: Option<Guard>,
    handles: Handles,
    is_bad: bool,
    // Of the children, and of whoever floods the agent.
    others: Books,
    born: u64,
}

/// A client that flushes as the clock says, by hand or every few milliseconds.
fn builder(plan: &Plan, clock: Option<&ManualClock>) -> ClientBuilder {
    let builder = match clock {
        Some(clock) => support::builder()
            .clock(clock)
            .flush_interval(Duration::from_millis(100))
            .collect_interval(Duration::from_millis(50)),
        None => Client::builder()
            .task_id(support::task_id())
            .origin_detection(false)
            .flush_interval(Duration::from_millis(20))
            .collect_interval(Duration::from_millis(5)),
    };
    builder
        .dialect(plan.dialect)
        .max_packet_size(plan.packet_size)
        .channel_capacity(plan.channel)
        .context_limit(plan.contexts)
        .telemetry(plan.telemetry)
        .shutdown_timeout(Duration::from_millis(5))
}

fn found(transport: Transport) -> Answer {
    if transport == Transport::Udp6 { Answer::Ipv6 } else { Answer::Ipv4 }
}

/// Lives through the day that follows from a seed.
pub(crate) fn live(seed: u64, pairs: &[(Fault, Transport)]) -> Evening {
    let (plan, mut dice) = Plan::new(seed, pairs);
    let callers: Vec<Dice> = (0..CALLERS).map(|_| dice.split()).collect();
    let mut day = Day::new(plan, dice);
    let progress = AtomicU64::new(0);
    let mut books = Books::default();
    thread::scope(|scope| {
        let work = |(number, dice)| {
            let mut caller = Caller::new(&day.client, &day.handles, &day.watched, number, dice);
            caller.is_wordy = plan.is_wordy;
            let progress = &progress;
            scope.spawn(move || {
                caller.work(plan.operations, progress);
                caller.diary
            })
        };
        let callers: Vec<_> = (0..).zip(callers).map(work).collect();
        day.go_wrong(&progress);
        for caller in callers {
            books.diary += caller.join().expect("a caller panicked");
        }
    });
    day.close(books)
}

impl Day {
    fn new(plan: Plan, dice: Dice) -> Self {
        names::set(if plan.has(Fault::Unresolved) { Answer::Silence } else { found(plan.transport) });
        let mut agent = Agent::new(plan.transport);
        let (watched, listener) = (Watched::default(), Watched::default());
        let (clock, told) = (plan.by_hand.then(ManualClock::new), listener.clone());
        let builder = builder(&plan, clock.as_ref()).on_loss(move |notice| told.tell(notice));
        let mut builder = agent.hire(builder, plan.has(Fault::Unresolved));
        // A child tells of one agent's books alone.
        let second = plan.has_second_agent && !plan.has(Fault::Forks);
        let second = second.then(|| Agent::new(Transport::UnixStream));
        if let Some(second) = &second {
            builder = builder.also(second.description().dialect(plan.dialect));
        }
        if plan.has(Fault::Refusing) {
            agent.kill();
        }
        let guard = builder.build().expect("the settings are right");
        let client = guard.client().clone();
        let handles = Handles::register(&client);
        Self {
            plan,
            dice,
            clock,
            agent,
            second,
            watched,
            listener,
            client,
            guard: Some(guard),
            handles,
            is_bad: false,
            others: Books::default(),
            born: 0,
        }
    }

    /// Has the fault come and go, each time after a part of what callers do.
    fn go_wrong(&mut self, progress: &AtomicU64) {
        let all = CALLERS * self.plan.operations;
        let turns = 2 * self.dice.within(1, 3);
        let mut moments: Vec<u64> = (0..turns).map(|_| self.dice.below(all)).collect();
        moments.sort_unstable();
        for (turn, moment) in moments.into_iter().enumerate() {
            wait_until(|| {
                self.pass_time();
                progress.load(Ordering::Relaxed) >= moment
            });
            self.is_bad = !self.is_bad;
            if self.is_bad { self.strike(self.plan.faults[turn / 2 % 2]) } else { self.relent() }
        }
    }

    fn pass_time(&mut self) {
        // What hangs is waited for, as nothing but the test ends it.
        let is_held = self.is_bad && (self.plan.has(Fault::Stopped) || self.plan.has(Fault::ProbesHang));
        if let Some(clock) = self.clock.as_ref().filter(|_| !is_held) {
            clock.advance(Duration::from_millis(self.dice.pick(&[1, 50, 100, 1_300])));
        }
        thread::sleep(Duration::from_micros(200));
    }

    fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Killed => {
                self.leave_unread();
                self.agent.kill();
            }
            Fault::NoticePanics => {
                self.listener.set(Manner::Panics);
                self.agent.kill();
            }
            Fault::Stopped => {
                self.agent.set_mood(Mood::Deaf);
                self.flood();
            }
            Fault::Slow => {
                self.agent.set_mood(Mood::Slow);
                self.flood();
            }
            Fault::Cut => {
                self.agent.set_mood(Mood::Deaf);
                self.flood();
                self.agent.cut();
            }
            Fault::Replaced => self.agent.replace(),
            // It was so from the start.
            Fault::Refusing => {}
            Fault::Unresolved => names::set(self.dice.pick(&[Answer::TryAgain, Answer::Silence])),
            Fault::ProbesHang => {
                self.watched.set(Manner::Hangs);
                self.find_late();
            }
            Fault::ProbesPanic => self.watched.set(Manner::Panics),
            Fault::Forks => self.bear(),
            Fault::Shutdown => {
                let timeout = Duration::from_micros(self.dice.pick(&[0, 100, 10_000, 1_000_000]));
                let _ = self.guard.take().map(|guard| guard.shutdown(timeout));
            }
            Fault::GuardDropped => drop(self.guard.take()),
            Fault::SendingPanics => self.agent.set_panicking(true),
        }
    }

    fn relent(&mut self) {
        self.agent.recover();
        self.watched.set(Manner::Answers);
        self.listener.set(Manner::Answers);
        names::set(found(self.plan.transport));
    }

    /// Has the agent hold something that it has not read.
    fn leave_unread(&self) {
        self.agent.set_mood(Mood::Deaf);
        self.client.counter("unread").increment(1);
        let _ = self.client.flush(Duration::from_millis(10));
    }

    /// Has what hangs be late, now and then: that is waited for.
    fn find_late(&mut self) {
        if let Some(clock) = self.clock.as_ref().filter(|_| self.dice.one_in(8)) {
            // It is asked, and has not answered for longer than it may.
            clock.advance(Duration::from_millis(100));
            clock.advance(Duration::from_millis(1_300));
        }
    }

    /// Fills the buffers of a connection, until something is lost or an agent takes all of it.
    fn flood(&mut self) {
        if !self.plan.transport.is_stream() || self.plan.dialect != Dialect::DogStatsd {
            return;
        }
        let lost = |client: &Client| client.stats().dropped(DropReason::Transport);
        let (before, text) = (lost(&self.client), "x".repeat(7_000));
        self.born += 1;
        for number in 0..FLOOD / text.len() {
            self.client.event(&format!("flood{}.{number}", self.born), &text);
            self.others.diary.unique += 1;
            if number % 16 == 15 {
                let _ = self.client.flush(Duration::ZERO);
                thread::sleep(Duration::from_micros(200));
                if lost(&self.client) != before {
                    break;
                }
            }
        }
    }

    fn bear(&mut self) {
        // Nobody tells a child when something is well again.
        self.relent();
        self.born += 1;
        // A writer that was at work when its process forked takes nothing from the child.
        let is_writer = self.plan.transport == Transport::Writer;
        let birth = Birth {
            guard: &mut self.guard,
            handles: &self.handles,
            watched: &self.watched,
            number: CALLERS + self.born,
            dice: self.dice.split(),
            patience: if is_writer { Duration::from_millis(100) } else { PATIENCE },
        };
        let books = birth.live();
        // What it wrote into memory was its own.
        if self.plan.transport.is_socket() {
            self.others.add(&books);
        }
    }

    /// Ends the client, if that has not happened, and compares what came with the books.
    fn close(mut self, mut books: Books) -> Evening {
        self.relent();
        if let Some(guard) = self.guard.take() {
            let ended = guard.shutdown(PATIENCE);
            assert!(ended.is_ok(), "{ended:?}");
        }
        wait_until(|| {
            thread::sleep(Duration::from_micros(100));
            !has_threads()
        });
        let stats = self.client.stats();
        let packets = self.agent.take_packets();
        let Plan { transport, dialect, .. } = self.plan;
        let received = Received::new(dialect, &packets);
        let diary = books.diary;
        books = Books::of(&stats, diary);
        books.add(&self.others);
        let is_whole = books.assert_explain(&received, transport, self.plan.loses_unseen());
        if let Some(second) = &mut self.second {
            let received = Received::new(dialect, &second.take_packets());
            let stats = self.client.stats_of(1).expect("there are two");
            let mut second = Books::of(&stats, diary);
            second.diary += self.others.diary;
            // What was lost before it was on its way to any agent is in the books of the first.
            second.has_losses |= books.has_losses;
            second.assert_explain(&received, Transport::UnixStream, false);
        }
        Evening { plan: self.plan, books, is_whole }
    }
}

/// Whether a thread of a client's is left.
fn has_threads() -> bool {
    let tasks = fs::read_dir("/proc/self/task").expect("this system has it");
    let name = |task: std::io::Result<fs::DirEntry>| fs::read_to_string(task.ok()?.path().join("comm")).ok();
    tasks.filter_map(name).any(|name| name.starts_with("tasktag"))
}
