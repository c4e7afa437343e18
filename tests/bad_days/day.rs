//! One day of a client: what its callers do, what goes wrong meanwhile, and the books in the evening.

use super::agent::Agent;
use super::books::Books;
use super::caller::{Caller, Handles};
use super::child::Birth;
use super::dice::Dice;
use super::fault::Fault;
use super::names::{self, Answer};
use super::transport::Transport;
use super::watched::{Manner, Watched};
use crate::support::received::Received;
use crate::support::stream_agent::Mood;
use crate::support::{self, PATIENCE, assert_conserved_when_idle, wait_until};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, fs, thread};
use tasktag::testing::ManualClock;
use tasktag::{Client, Dialect, DropReason, Guard};

const CALLERS: u64 = 3;
/// Packets of a flood: more than the buffers of a connection hold.
const FLOOD: u64 = 600;

/// What follows from a seed.
#[derive(Clone, Copy, Debug)]
struct Plan {
    seed: u64,
    fault: Fault,
    transport: Transport,
    dialect: Dialect,
    packet_size: usize,
    channel: usize,
    contexts: usize,
    telemetry: bool,
    is_wordy: bool,
    // By hand, or as time goes by.
    by_hand: bool,
    operations: u64,
}

impl Plan {
    fn new(seed: u64, pairs: &[(Fault, Transport)]) -> (Self, Dice) {
        let mut dice = Dice::new(seed);
        // Seeds that follow each other have every fault with every transport.
        let place = seed % pairs.len() as u64;
        let (fault, transport) = pairs[usize::try_from(place).expect("a place")];
        let size = |dice: &mut Dice, sizes: &[usize]| dice.pick(sizes);
        let plan = Self {
            seed,
            fault,
            transport,
            dialect: dice.pick(&[Dialect::DogStatsd, Dialect::TaggedStatsd, Dialect::Statsd]),
            packet_size: size(&mut dice, &[200, 512, 1432, 8192]),
            channel: size(&mut dice, &[16, 64, 4096]),
            contexts: size(&mut dice, &[12, 60, 2000]),
            telemetry: dice.one_in(2),
            is_wordy: dice.one_in(2),
            by_hand: dice.one_in(2),
            operations: dice.within(100, 500),
        };
        (plan, dice)
    }
}

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
        let Plan { seed, fault, transport, .. } = self.plan;
        let Books { accepted, sent, dropped, diary, .. } = self.books;
        write!(f, "seed {seed}: {fault:?} over {transport:?}, {} operations; ", diary.operations)?;
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
        let answer = if plan.transport == Transport::Udp6 { Answer::Ipv6 } else { Answer::Ipv4 };
        names::set(if plan.fault == Fault::Unresolved { Answer::Silence } else { answer });
        let mut agent = Agent::new(plan.transport);
        let (watched, listener) = (Watched::default(), Watched::default());
        let clock = plan.by_hand.then(ManualClock::new);
        let told = listener.clone();
        let mut builder = agent.hire(support::builder(), plan.fault == Fault::Unresolved);
        builder = builder
            .clock(&clock.clone().unwrap_or_default())
            .dialect(plan.dialect)
            .max_packet_size(plan.packet_size)
            .channel_capacity(plan.channel)
            .context_limit(plan.contexts)
            .telemetry(plan.telemetry)
            .shutdown_timeout(Duration::from_millis(5))
            .on_loss(move |notice| told.tell(notice));
        if plan.by_hand {
            builder = builder
                .flush_interval(Duration::from_millis(100))
                .collect_interval(Duration::from_millis(50));
        }
        if plan.fault == Fault::Refusing {
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
        for moment in moments {
            wait_until(|| {
                self.pass_time();
                progress.load(Ordering::Relaxed) >= moment
            });
            self.is_bad = !self.is_bad;
            if self.is_bad { self.strike() } else { self.relent() }
        }
    }

    fn pass_time(&mut self) {
        // Nothing but the test ends what holds the worker of a capture.
        let is_held = self.is_bad && self.plan.fault == Fault::Stopped;
        if let Some(clock) = self.clock.as_ref().filter(|_| !is_held) {
            clock.advance(Duration::from_millis(self.dice.pick(&[1, 50, 100, 1_300])));
        }
        thread::sleep(Duration::from_micros(200));
    }

    fn strike(&mut self) {
        match self.plan.fault {
            Fault::Killed => self.agent.kill(),
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
            Fault::ProbesHang => self.watched.set(Manner::Hangs),
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
        let answer = if self.plan.transport == Transport::Udp6 { Answer::Ipv6 } else { Answer::Ipv4 };
        names::set(answer);
    }

    /// Sends until something is lost, or has gone to an agent that takes it all.
    fn flood(&mut self) {
        if !self.plan.fault.needs_a_flood() || !self.plan.transport.is_stream() {
            return;
        }
        let lost = |client: &Client| client.stats().dropped(DropReason::Transport);
        let (before, text) = (lost(&self.client), "x".repeat(8000));
        for number in 0..FLOOD {
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
        self.born += 1;
    }

    fn bear(&mut self) {
        self.born += 1;
        let birth = Birth {
            guard: &mut self.guard,
            handles: &self.handles,
            watched: &self.watched,
            number: CALLERS + self.born,
            dice: self.dice.split(),
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
        let stats = assert_conserved_when_idle(&self.client);
        let packets = self.agent.take_packets();
        let Plan { fault, transport, dialect, .. } = self.plan;
        let received = Received::new(dialect, &packets);
        books = Books::of(&stats, books.diary);
        eprintln!("{:?} {stats}", self.plan);
        books.add(&self.others);
        let is_whole = books.assert_explain(&received, transport, fault.loses_unseen(transport));
        Evening { plan: self.plan, books, is_whole }
    }
}

/// Whether a thread of a client's is left.
fn has_threads() -> bool {
    let tasks = fs::read_dir("/proc/self/task").expect("this system has it");
    let name = |task: std::io::Result<fs::DirEntry>| fs::read_to_string(task.ok()?.path().join("comm")).ok();
    tasks.filter_map(name).any(|name| name.starts_with("tasktag"))
}
