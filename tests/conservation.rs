//! Whatever happens, every value that was accepted is sent or counted as dropped, and the agent got what was sent.

#![cfg(unix)]

mod support;

use arbtest::arbitrary::{self, Unstructured};
use crossbeam_channel::bounded;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;
use support::received::Received;
use support::{Agent, PATIENCE, TempDir, assert_conserved, lines_of, unix_address, wait_until};
use tasktag::testing::{Capture, ManualClock, Parsed, parse};
use tasktag::{
    Client, ClientBuilder, Counter, Dialect, Distribution, DropReason, Event, FlushError, Gauge, Kind,
    Occupancy, RegisterError, ServiceCheck, Set, Stats, Status, Tally,
};

// The property: what happens.

/// Does not fit into the smallest packets.
const LONG: &str = "a.name.of.a.hundred.characters.and.more.which.does.not.fit.into.a.small.packet.because.it.goes.on.and.on.until.here";
const SMALL_PACKET: usize = 100;
const PEAK: &str = "peak";
const GAUGES: [&str; 3] = ["gauge", PEAK, LONG];
const COUNTERS: [&str; 3] = [
    "counter",
    "other",
    "long.counter.a.name.of.a.hundred.characters.and.more.which.does.not.fit.into.a.small.packet.it.goes.on",
];
/// What calls by name use: names of each kind, of none yet, and no name.
const NAMES: [&str; 9] = ["gauge", "counter", "dist", "set", "new.a", "new.b", "new.c", "new.d", ""];
const LEVELS: [f64; 9] = [0.0, -0.0, 1.5, -2.5, 1e9, f64::MAX, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
const VALUES: [f64; 9] = [0.0, 1.0, 1.001, 12.5, -3.0, 1e-9, 1e12, f64::NAN, f64::INFINITY];
/// More than one slot of a distribution's table counts: it goes through the channel.
const HUGE: u64 = 1 << 44;

#[derive(Clone, Debug)]
enum Op {
    Set(usize, f64),
    Add(usize, f64),
    Unset(usize),
    Increment(usize, u64),
    Record(f64, u64),
    /// More values than there is room for where they belong.
    Spread,
    Insert,
    Event(usize),
    Check(usize),
    NoTitle,
    SetByName(&'static str, f64),
    IncrementByName(&'static str, u64),
    RecordByName(&'static str, f64),
    InsertByName(&'static str),
    DropGauge(usize),
    DropCounter(usize),
    RegisterGauge(usize),
    RegisterCounter(usize),
    Flush,
    Leave(bool),
    Return,
}

fn op(u: &mut Unstructured<'_>) -> arbitrary::Result<Op> {
    let slot = u.int_in_range(0..=2)?;
    let name = *u.choose(&NAMES)?;
    Ok(match u.int_in_range(0..=24)? {
        0 => Op::Set(slot, *u.choose(&LEVELS)?),
        1 => Op::Add(slot, *u.choose(&LEVELS)?),
        2 => Op::Unset(slot),
        3 | 4 => Op::Increment(slot, u.int_in_range(0..=1000)?),
        5 => Op::Record(*u.choose(&VALUES)?, u.int_in_range(0..=100)?),
        6 => Op::Record(1.0, HUGE),
        7 => Op::Spread,
        8 | 9 => Op::Insert,
        10 => Op::Event(u.int_in_range(0..=200)?),
        11 => Op::Check(u.int_in_range(0..=200)?),
        12 => Op::NoTitle,
        13 => Op::SetByName(name, *u.choose(&LEVELS)?),
        14 => Op::IncrementByName(name, u.int_in_range(0..=1000)?),
        15 => Op::RecordByName(name, *u.choose(&VALUES)?),
        16 => Op::InsertByName(name),
        17 => Op::DropGauge(slot),
        18 => Op::DropCounter(slot),
        19 => Op::RegisterGauge(slot),
        20 => Op::RegisterCounter(slot),
        21 => Op::Leave(u.arbitrary()?),
        22 => Op::Return,
        _ => Op::Flush,
    })
}

// The property: what is expected of it.

/// A metric's context, or the one for what overflows.
type Key = (&'static str, bool);

/// What is known of a context.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug)]
struct Known {
    kind: Kind,
    held: bool,
    called: bool,
    by_name: bool,
    idle_flushes: u32,
    // A handle was registered since a flush last saw that there was none left.
    registered: bool,
    // Which of them was known first.
    born: u64,
    level: Option<f64>,
    reported: Option<u64>,
    // Of the gauge that keeps its peak, since the last flush.
    highest: Option<f64>,
    added: u64,
    leaves: bool,
}

impl Known {
    /// Whether it is a gauge that stays as long as there is room.
    fn is_lasting(&self, is_overflow: bool) -> bool {
        self.kind == Kind::Gauge && !is_overflow && self.level.is_some()
    }
}

/// How many values are accepted, by the documented rules.
#[derive(Debug, Default)]
struct Model {
    limit: usize,
    small_packets: bool,
    contexts: BTreeMap<Key, Known>,
    // For what there was no room since the last flush.
    refused: BTreeSet<&'static str>,
    born: u64,
    accepted: u64,
    refused_registrations: u64,
    added: BTreeMap<&'static str, u64>,
    lost: BTreeMap<&'static str, u64>,
}

impl Model {
    /// The context that a name means, and which of the two.
    fn find(&mut self, name: &'static str, kind: Kind) -> Option<(Key, &mut Known)> {
        let contexts = |overflow| self.contexts.keys().filter(|key| key.1 == overflow).count();
        let is_known = self.contexts.contains_key(&(name, false));
        let overflow = !is_known && contexts(false) >= self.limit;
        if name.is_empty() {
            return None;
        }
        // Room would be of no use to what is refused for its kind.
        if overflow && self.contexts.get(&(name, true)).is_none_or(|known| known.kind == kind) {
            self.refused.insert(name);
        }
        self.born += 1;
        let key = (name, overflow);
        let other = self.contexts.get(&(name, !overflow)).map(|known| known.kind);
        let room = self.contexts.contains_key(&key) || !overflow || contexts(true) < self.limit;
        // A name has one kind.
        if !room || other.is_some_and(|other| other != kind) {
            return None;
        }
        let known = self.contexts.entry(key).or_insert(Known {
            kind,
            held: false,
            called: false,
            by_name: false,
            idle_flushes: 0,
            registered: false,
            born: self.born,
            level: None,
            reported: None,
            highest: None,
            added: 0,
            leaves: false,
        });
        (known.kind == kind).then_some((key, known))
    }

    /// The context that a registration's handle reports to, if it does.
    fn register(&mut self, name: &'static str, kind: Kind) -> Option<Key> {
        let found = self.find(name, kind);
        let key = found.map(|(key, known)| {
            known.held = true;
            known.registered = true;
            key
        });
        self.refused_registrations += u64::from(key.is_none());
        key
    }

    /// A call by name: refused as a value, or done to the context.
    fn call(&mut self, name: &'static str, kind: Kind) -> Option<Key> {
        let found = self.find(name, kind);
        let key = found.map(|(key, known)| {
            known.called = true;
            key
        });
        self.accepted += u64::from(key.is_none());
        key
    }

    fn set(&mut self, key: Key, level: f64) {
        if level.is_finite() {
            let known = self.contexts.get_mut(&key).unwrap();
            known.level = Some(level);
            if key.0 == PEAK {
                known.highest = Some(known.highest.map_or(level, |highest| highest.max(level)));
            }
        } else {
            self.contexts.get_mut(&key).unwrap().level = None;
        }
    }

    fn add(&mut self, key: Key, delta: f64) {
        let level = self.contexts[&key].level.unwrap_or(0.0);
        self.set(key, level + delta);
    }

    fn increment(&mut self, key: Key, n: u64) {
        self.contexts.get_mut(&key).unwrap().added += n;
        *self.added.entry(key.0).or_default() += n;
    }

    fn flush(&mut self, away: bool) {
        let leaving = self.leaving();
        for (key @ (name, overflow), known) in &mut self.contexts {
            let called = std::mem::take(&mut known.called);
            let dropped = !known.held && std::mem::take(&mut known.registered) && known.kind == Kind::Gauge;
            known.by_name = called || known.by_name && !dropped;
            let used = known.held || called;
            known.idle_flushes = if used { 0 } else { known.idle_flushes + 1 };
            let lasting = known.is_lasting(*overflow);
            known.leaves =
                leaving.contains(key) || !used && !(known.by_name && (lasting || known.idle_flushes < 150));
            let live = used || known.kind == Kind::Gauge && !known.leaves;
            let level = known.level.map(f64::to_bits);
            let spiked = known.highest.take() > known.level;
            let new = level != known.reported || spiked;
            match known.kind {
                Kind::Gauge if level.is_some() && (live || new) => {
                    self.accepted += 1 + u64::from(*name == PEAK);
                }
                Kind::Counter if known.added > 0 => {
                    self.accepted += 1;
                    let oversize = self.small_packets && name.len() > SMALL_PACKET;
                    let added = std::mem::take(&mut known.added);
                    *self.lost.entry(name).or_default() += if away || oversize { added } else { 0 };
                }
                Kind::Occupancy => self.accepted += 3,
                _ => {}
            }
            known.reported = level;
        }
        self.contexts.retain(|_, known| !known.leaves);
    }

    /// What leaves at a flush because there was no room for something else.
    fn leaving(&mut self) -> BTreeSet<Key> {
        let mut missing = std::mem::take(&mut self.refused).len();
        if missing == 0 {
            return BTreeSet::new();
        }
        let mut leaving = BTreeSet::new();
        let mut gauges = Vec::new();
        for (key, known) in self.contexts.iter().filter(|(_, known)| !known.held && !known.called) {
            let is_over = !known.by_name || known.kind == Kind::Gauge && known.registered;
            let is_idle = known.idle_flushes + 1 >= 2;
            if is_over || is_idle && !known.is_lasting(key.1) {
                leaving.insert(*key);
                missing = missing.saturating_sub(usize::from(!key.1));
            } else if is_idle {
                gauges.push((std::cmp::Reverse(known.idle_flushes), known.born, *key));
            }
        }
        // Of the gauges, those that were not set for the longest, and no more than are needed.
        gauges.sort_unstable();
        leaving.extend(gauges.into_iter().take(missing).map(|(_, _, key)| key));
        leaving
    }

    /// After the shutdown: what is in the cells is a value each.
    fn end(&mut self) {
        for ((name, _), known) in &self.contexts {
            let level = known.level.map(f64::to_bits);
            self.accepted +=
                u64::from(known.added > 0) + u64::from(level.is_some() && level != known.reported);
            *self.lost.entry(name).or_default() += known.added;
        }
    }
}

// The property: who does it.

/// A way to an agent that comes and goes, and what the agent got so far.
struct Way {
    link: Link,
    packets: Vec<Vec<u8>>,
}

enum Link {
    Unix(PathBuf, Option<Agent>),
    Udp(Agent),
    Memory(Capture, bool),
}

impl Way {
    fn new(link: Link) -> Self {
        Self { link, packets: Vec::new() }
    }

    fn build(&self, builder: ClientBuilder) -> ClientBuilder {
        match &self.link {
            Link::Unix(path, _) => builder.agent(unix_address(path)),
            Link::Udp(agent) => builder.agent(agent.address()),
            Link::Memory(capture, _) => builder.capture(capture),
        }
    }

    fn is_away(&self) -> bool {
        match &self.link {
            Link::Unix(_, agent) => agent.is_none(),
            Link::Udp(_) => false,
            Link::Memory(_, away) => *away,
        }
    }

    fn leave(&mut self, with_file: bool) {
        self.receive();
        match &mut self.link {
            Link::Unix(path, agent) => {
                let was_there = agent.take().is_some();
                if was_there && with_file {
                    std::fs::remove_file(path).unwrap();
                }
            }
            Link::Memory(capture, away) => {
                *away = true;
                capture.set_away(true);
            }
            // What is sent to nobody over UDP may look sent until the next flush: not a matter of exact sums.
            Link::Udp(_) => {}
        }
    }

    fn come_back(&mut self) {
        match &mut self.link {
            Link::Unix(path, agent) if agent.is_none() => {
                let _ = std::fs::remove_file(&*path);
                *agent = Some(Agent::unix(path));
            }
            Link::Memory(capture, away) => {
                *away = false;
                capture.set_away(false);
            }
            Link::Udp(_) | Link::Unix(..) => {}
        }
    }

    fn receive(&mut self) {
        self.packets.append(&mut match &self.link {
            Link::Unix(_, Some(agent)) | Link::Udp(agent) => agent.drain_packets(),
            Link::Unix(_, None) => Vec::new(),
            Link::Memory(capture, _) => capture.take_packets(),
        });
    }
}

/// A handle, and where it reports to.
type Slot<M> = Option<(M, Option<Key>)>;

struct Run {
    client: Client,
    clock: ManualClock,
    way: Way,
    model: Model,
    // The reader of a real socket was too late: a packet was lost on the way to an agent that was there.
    late: bool,
    gauges: [Slot<Gauge>; 3],
    counters: [Slot<Counter>; 3],
    dist: Distribution,
    set: Set,
    _occupancy: Occupancy,
    unique: u64,
}

impl Run {
    fn new(client: Client, clock: ManualClock, way: Way, mut model: Model) -> Self {
        for (name, kind) in [("dist", Kind::Distribution), ("set", Kind::Set), ("occupancy", Kind::Occupancy)]
        {
            assert_eq!(model.register(name, kind), Some((name, false)));
        }
        let (dist, set) = (client.distribution("dist").register(), client.set("set").register());
        let occupancy = client.occupancy("occupancy", 3).register();
        let (gauges, counters) = ([None, None, None], [None, None, None]);
        let (late, unique) = (false, 0);
        Self { client, clock, way, model, late, gauges, counters, dist, set, _occupancy: occupancy, unique }
    }

    fn unique(&mut self) -> String {
        self.unique += 1;
        format!("u{}", self.unique)
    }

    fn act(&mut self, op: &Op) {
        match *op {
            Op::Set(..) | Op::Add(..) | Op::Unset(_) | Op::Increment(..) => self.use_handle(op),
            Op::Record(value, n) => {
                self.dist.record_many(value, n);
                self.model.accepted += n;
            }
            Op::Spread => {
                // Values 32 octaves apart compete for the same places.
                for (power, step) in (-31..=31).flat_map(|power| (0..4).map(move |step| (power, step))) {
                    self.dist.record((1.0 + f64::from(step) / 8.0) * 2_f64.powi(32 * power));
                    self.model.accepted += 1;
                }
            }
            Op::Insert | Op::Event(_) | Op::Check(_) | Op::NoTitle => self.send_record(op),
            Op::SetByName(..) | Op::IncrementByName(..) | Op::RecordByName(..) | Op::InsertByName(_) => {
                self.call_by_name(op);
            }
            Op::DropGauge(slot) => self.drop_gauge(slot),
            Op::DropCounter(slot) => self.drop_counter(slot),
            Op::RegisterGauge(slot) => {
                self.drop_gauge(slot);
                let builder = self.client.gauge(GAUGES[slot]);
                let gauge = if slot == 1 { builder.peak() } else { builder }.register();
                self.gauges[slot] = Some((gauge, self.model.register(GAUGES[slot], Kind::Gauge)));
            }
            Op::RegisterCounter(slot) => {
                self.drop_counter(slot);
                let counter = self.client.counter(COUNTERS[slot]).register();
                self.counters[slot] = Some((counter, self.model.register(COUNTERS[slot], Kind::Counter)));
            }
            Op::Flush => {
                self.pass_time();
                let before = self.client.stats().dropped(DropReason::Transport);
                self.client.flush(PATIENCE).unwrap();
                self.flushed(before);
            }
            Op::Leave(with_file) => self.way.leave(with_file),
            Op::Return => self.way.come_back(),
        }
    }

    /// What an occupancy's utilization is of.
    fn pass_time(&self) {
        self.clock.advance(Duration::from_millis(1));
    }

    fn flushed(&mut self, before: Tally) {
        let away = self.way.is_away();
        self.model.flush(away);
        self.late |= !away && self.client.stats().dropped(DropReason::Transport) != before;
        // A UDP socket's queue is short, and what it has no room for is gone.
        if matches!(self.way.link, Link::Udp(_)) {
            self.way.receive();
        }
    }

    fn use_handle(&mut self, op: &Op) {
        match *op {
            Op::Set(slot, level) | Op::Add(slot, level) => {
                let Some((gauge, attached)) = &self.gauges[slot] else { return };
                match (op, attached) {
                    (Op::Add(..), &Some(key)) => {
                        gauge.add(level);
                        self.model.add(key, level);
                    }
                    (_, &Some(key)) => {
                        gauge.set(level);
                        self.model.set(key, level);
                    }
                    (_, None) => gauge.set(level),
                }
            }
            Op::Unset(slot) => {
                let Some((gauge, attached)) = &self.gauges[slot] else { return };
                gauge.unset();
                if let Some(key) = attached {
                    self.model.contexts.get_mut(key).unwrap().level = None;
                }
            }
            Op::Increment(slot, n) => {
                let Some((counter, attached)) = &self.counters[slot] else { return };
                counter.increment(n);
                if let Some(key) = *attached {
                    self.model.increment(key, n);
                }
            }
            _ => unreachable!("not of a handle: {op:?}"),
        }
    }

    fn send_record(&mut self, op: &Op) {
        let unique = self.unique();
        self.model.accepted += 1;
        match *op {
            Op::Insert => self.set.insert(&unique),
            Op::Event(length) => self.client.send_event(Event::new(unique, "x".repeat(length))),
            Op::Check(length) => {
                let name = "n".repeat(length + 1);
                self.client.send_service_check(ServiceCheck::new(name, Status::Ok).message(unique));
            }
            _ => self.client.event("", &unique),
        }
    }

    fn call_by_name(&mut self, op: &Op) {
        match *op {
            Op::SetByName(name, level) => {
                self.client.gauge(name).set(level);
                if let Some(key) = self.model.call(name, Kind::Gauge) {
                    self.model.set(key, level);
                }
            }
            Op::IncrementByName(name, n) => {
                self.client.counter(name).increment(n);
                if let Some(key) = self.model.call(name, Kind::Counter) {
                    self.model.increment(key, n);
                }
            }
            Op::RecordByName(name, value) => {
                self.client.distribution(name).record(value);
                let found = self.model.call(name, Kind::Distribution);
                self.model.accepted += u64::from(found.is_some());
            }
            Op::InsertByName(name) => {
                let unique = self.unique();
                self.client.set(name).insert(&unique);
                let found = self.model.call(name, Kind::Set);
                self.model.accepted += u64::from(found.is_some());
            }
            _ => unreachable!("not by name: {op:?}"),
        }
    }

    fn drop_gauge(&mut self, slot: usize) {
        if let Some((_, Some(key))) = self.gauges[slot].take() {
            let others = self.gauges.iter().flatten().any(|(_, other)| *other == Some(key));
            self.model.contexts.get_mut(&key).unwrap().held = others;
        }
    }

    fn drop_counter(&mut self, slot: usize) {
        if let Some((_, Some(key))) = self.counters[slot].take() {
            let others = self.counters.iter().flatten().any(|(_, other)| *other == Some(key));
            self.model.contexts.get_mut(&key).unwrap().held = others;
        }
    }

    fn assert_accounted_for(mut self, dialect: Dialect) {
        self.model.end();
        let stats = self.client.stats();
        assert_conserved(&stats);
        assert_eq!(stats.accepted.values, self.model.accepted, "{stats:#?}");
        assert_eq!(stats.refused_registrations, self.model.refused_registrations);
        // What was sent over UDP may be on its way still.
        wait_until(|| {
            self.way.receive();
            self.way.packets.len() as u64 >= stats.sent.packets
        });
        let received = Received::new(dialect, &self.way.packets);
        received.assert_is(stats.sent);
        assert!(
            !self.late || matches!(self.way.link, Link::Unix(..)),
            "only a Unix socket's reader can be too late"
        );
        for (name, added) in &self.model.added {
            let arrived = received.counters.get(*name).copied().unwrap_or(0);
            let lost = self.model.lost.get(name).copied().unwrap_or(0);
            assert!(
                arrived + lost == *added || self.late && arrived + lost < *added,
                "{name}: {arrived} arrived, {lost} were lost of {added}"
            );
        }
    }
}

/// Does what `u` says to a client on the way to an agent that comes and goes, and looks at the books.
fn whatever_happens(u: &mut Unstructured<'_>, way: Way, sizes: &[usize]) -> arbitrary::Result<()> {
    let dialect = *u.choose(&[Dialect::DogStatsd, Dialect::TaggedStatsd, Dialect::Statsd])?;
    let (size, limit) = (*u.choose(sizes)?, u.int_in_range(4..=12)?);
    let clock = ManualClock::new();
    let builder = support::builder()
        .clock(&clock)
        .dialect(dialect)
        .max_packet_size(size)
        .context_limit(limit)
        .channel_capacity(u.int_in_range(1..=40)?);
    let guard = way.build(builder).build().unwrap();
    let model = Model { limit, small_packets: size == SMALL_PACKET, ..Model::default() };
    let mut run = Run::new(guard.client().clone(), clock, way, model);
    let spread = !matches!(run.way.link, Link::Udp(_));
    let ops = |u: &mut Unstructured<'_>, most| -> arbitrary::Result<Vec<Op>> {
        let count = u.int_in_range(0..=most)?;
        (0..count).map(|_| op(u)).collect()
    };
    let (before, after) = (ops(u, 60)?, ops(u, 10)?);
    // Thousands of packets at once could be too many for a UDP socket's queue.
    for op in before.iter().filter(|op| spread || !matches!(op, Op::Spread)) {
        run.act(op);
    }
    run.pass_time();
    let transport = run.client.stats().dropped(DropReason::Transport);
    guard.shutdown(PATIENCE).unwrap();
    run.flushed(transport);
    for op in after.iter().filter(|op| !matches!(op, Op::Flush)) {
        run.act(op);
    }
    assert_eq!(run.client.flush(PATIENCE), Err(FlushError::Stopped));
    run.assert_accounted_for(dialect);
    Ok(())
}

#[test]
fn nothing_is_lost_unseen_over_a_unix_socket() {
    let directory = TempDir::new();
    arbtest::arbtest(|u| {
        let path = directory.join("agent");
        let _ = std::fs::remove_file(&path);
        let agent = u.arbitrary::<bool>()?.then(|| Agent::unix(&path));
        whatever_happens(u, Way::new(Link::Unix(path, agent)), &[SMALL_PACKET, 512, 8192])
    })
    .budget_ms(3_000);
}

#[test]
fn nothing_is_lost_unseen_over_udp() {
    // Large packets only: the kernel drops those that the socket's queue of some 200 kB has no room for, and counts for
    // each far more than its bytes.
    arbtest::arbtest(|u| whatever_happens(u, Way::new(Link::Udp(Agent::udp())), &[4096, 8192, 65_507]))
        .budget_ms(3_000);
}

#[test]
fn nothing_is_lost_unseen_in_memory() {
    arbtest::arbtest(|u| {
        whatever_happens(u, Way::new(Link::Memory(Capture::new(), false)), &[SMALL_PACKET, 512, 65_507])
    })
    .budget_ms(3_000);
}

// One fault each.

#[track_caller]
fn assert_dropped(stats: &Stats, reason: DropReason, values: u64) {
    assert_conserved(stats);
    assert_eq!(stats.dropped(reason).values, values, "{stats:#?}");
    assert_eq!(stats.dropped_total(), stats.dropped(reason), "for no other reason");
}

#[test]
fn a_full_channel_drops_and_counts() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).channel_capacity(4).build().unwrap();
    let client = guard.client();
    let users = client.set("users").register();
    for flush in 0..3 {
        for member in 0..10 {
            users.insert(&format!("{flush}.{member}"));
        }
        client.event("title", "text");
        client.service_check("db", Status::Ok);
        // None of these uses the channel.
        client.gauge("level").set(1.0);
        client.counter("jobs").increment(1);
        client.timing("run").record(1.0);
        client.flush(PATIENCE).unwrap();
    }
    let stats = client.stats();
    assert_dropped(&stats, DropReason::ChannelFull, 3 * 8);
    assert_eq!(stats.sent.values, 3 * (4 + 3));
    let members: Vec<String> = agent.lines(21).into_iter().filter(|line| line.starts_with("users")).collect();
    let expected =
        (0..3).flat_map(|flush| (0..4).map(move |member| format!("users:{flush}.{member}|s|#task_id:0042")));
    assert_eq!(members, expected.collect::<Vec<_>>());
}

#[test]
fn values_beyond_a_distributions_table_are_dropped_and_counted_where_the_channel_is_full() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).channel_capacity(10).build().unwrap();
    let size = guard.client().distribution("size").register();
    for octave in -500..500 {
        for step in 0..8 {
            size.record(f64::from(8 + step) * 2_f64.powi(octave));
        }
    }
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    assert_eq!(stats.accepted.values, 8000);
    let dropped = stats.dropped(DropReason::ChannelFull).values;
    assert!(
        (1..8000 - 10).contains(&dropped),
        "some fit into the table, and ten into the channel: {dropped}"
    );
    assert_dropped(&stats, DropReason::ChannelFull, dropped);
    let received = Received::new(Dialect::DogStatsd, &capture.take_packets());
    received.assert_is(stats.sent);
    assert_eq!(received.values, 8000 - dropped);
}

/// Uses every kind once, and gives the number of values that a flush makes of it.
fn use_every_kind(client: &Client) -> u64 {
    client.gauge("level").peak().set(1.0);
    client.counter("jobs").increment(5);
    client.timing("run").record(1.0);
    client.set("users").insert("a");
    client.event("title", "text");
    client.service_check("db", Status::Ok);
    7
}

#[test]
fn an_agent_that_never_was_there_gets_nothing_and_all_of_it_is_counted_over_udp() {
    // Connected to itself, it takes packets from nobody else: the kernel refuses them, and nobody gets the port.
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    taken.connect(taken.local_addr().unwrap()).unwrap();
    let address = format!("udp://{}", taken.local_addr().unwrap());
    // The kernel may be interrupted before it has refused a packet, which looks sent then: another try.
    wait_until(|| {
        let guard = support::builder().agent(&address).max_packet_size(64).build().unwrap();
        let client = guard.client().clone();
        let mut values = 0;
        for _ in 0..5 {
            values += use_every_kind(&client);
            client.flush(PATIENCE).unwrap();
            assert_conserved(&client.stats());
        }
        guard.shutdown(PATIENCE).unwrap();
        let stats = client.stats();
        assert_conserved(&stats);
        assert_eq!(stats.accepted.values, values + 2, "the gauge and its peak once more");
        assert!(stats.accepted.packets > 5, "several a flush: {stats:#?}");
        stats.dropped(DropReason::Transport) == stats.accepted
    });
}

#[test]
fn an_agent_that_never_was_there_gets_nothing_and_all_of_it_is_counted_over_a_unix_socket() {
    let directory = TempDir::new();
    let nobody = unix_address(&directory.join("agent"));
    let guard = support::builder().agent(nobody).max_packet_size(64).build().unwrap();
    let mut values = 0;
    for _ in 0..5 {
        values += use_every_kind(guard.client());
        guard.client().flush(PATIENCE).unwrap();
        assert_dropped(&guard.client().stats(), DropReason::Transport, values);
    }
    assert_eq!(guard.client().stats().sent, Tally::default());
}

#[test]
fn an_agent_that_is_away_for_some_flushes_costs_those_and_no_other() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).max_packet_size(64).build().unwrap();
    for away in [false, true, true, false, true, false] {
        capture.set_away(away);
        use_every_kind(guard.client());
        guard.client().flush(PATIENCE).unwrap();
    }
    let stats = guard.client().stats();
    assert_dropped(&stats, DropReason::Transport, 3 * 7);
    assert_eq!(stats.sent.values, 3 * 7);
    let lines = capture.take_lines();
    let one_flush: Vec<&str> = lines.iter().take(7).map(String::as_str).collect();
    assert_eq!(lines, [one_flush.clone(), one_flush.clone(), one_flush].concat());
}

#[test]
fn oversize_lines_are_dropped_and_counted() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).max_packet_size(SMALL_PACKET).build().unwrap();
    let client = guard.client();
    let handles = (client.gauge(LONG).peak().register(), client.timing("run").tag("long", LONG).register());
    for flush in 1..=3_u64 {
        handles.0.set(1.0);
        handles.1.record_many(2.0, 5);
        client.counter("jobs").increment(1);
        client.flush(PATIENCE).unwrap();
        let stats = client.stats();
        assert_dropped(&stats, DropReason::TooLarge, flush * (2 + 5));
        assert_eq!((stats.dropped_total().lines, stats.dropped_total().packets), (flush * 3, 0));
    }
    assert_eq!(agent.lines(3), ["jobs:1|c|#task_id:0042"; 3]);
}

#[test]
fn values_that_are_not_finite_are_refused_and_counted_and_make_a_gauge_absent() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).build().unwrap();
    let client = guard.client();
    let (level, run) = (client.gauge("level").register(), client.timing("run").register());
    level.set(1.0);
    run.record(1.0);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        level.set(value);
        level.add(value);
        run.record_many(value, 10);
        client.timing("run").record(value);
    }
    client.flush(PATIENCE).unwrap();
    assert_dropped(&client.stats(), DropReason::Invalid, 3 * 11);
    assert_eq!(client.stats().unset_gauges, 1, "which is no loss");
    assert_eq!(agent.lines(1), ["run:1|ms|#task_id:0042"]);
}

#[test]
fn what_finds_no_room_is_folded_and_what_another_kind_refuses_is_counted() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).context_limit(2).build().unwrap();
    let client = guard.client();
    let jobs = client.counter("jobs").register();
    client.gauge("level").set(1.0);
    let refused = client.counter("more").try_register().unwrap_err();
    assert_eq!(refused, RegisterError::ContextLimit { name: "more".to_owned(), limit: 2 });
    client.set("more").register().insert("a");
    // As many overflow contexts as contexts, and no more.
    client.counter("others").increment(5);
    client.timing("yet.more").record(1.0);
    // A handle that reports nothing, and whose members nobody claims.
    client.set("yet.more").register().insert("b");
    // Another kind.
    client.counter("more").increment(5);
    client.gauge("jobs").set(1.0);
    client.set("level").insert("a");
    jobs.increment(1);
    client.flush(PATIENCE).unwrap();
    let stats = client.stats();
    assert_conserved(&stats);
    assert_eq!(stats.dropped(DropReason::ContextLimit).values, 1);
    assert_eq!(stats.dropped(DropReason::Invalid).values, 4);
    assert_eq!((stats.accepted.values, stats.sent.values, stats.refused_registrations), (9, 4, 2));
    assert_eq!((stats.folded_values, stats.folded_registrations), (1, 1));
    let mut lines = agent.lines(6);
    lines.sort();
    let expected = [
        "jobs:1|c|#task_id:0042",
        "level:1|g|#task_id:0042",
        "more.folded:1|c|#tasktag_overflow:true,task_id:0042",
        "more:a|s|#tasktag_overflow:true,task_id:0042",
        "others.folded:1|c|#tasktag_overflow:true,task_id:0042",
        "others:5|c|#tasktag_overflow:true,task_id:0042",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_comes_after_the_shutdown_is_counted_wherever_it_was_put() {
    let agent = Agent::udp();
    // Too small for what comes: the shutdown takes precedence over a full channel.
    let guard = support::builder().agent(agent.address()).channel_capacity(1).build().unwrap();
    let client = guard.client().clone();
    let (level, jobs) = (client.gauge("level").register(), client.counter("jobs").register());
    let (run, users) = (client.timing("run").register(), client.set("users").register());
    level.set(1.0);
    guard.shutdown(PATIENCE).unwrap();
    assert_dropped(&client.stats(), DropReason::AfterShutdown, 0);
    // One level and one count: what a flush would have made of them.
    level.set(2.0);
    level.set(3.0);
    jobs.increment(1);
    jobs.increment(1);
    assert_dropped(&client.stats(), DropReason::AfterShutdown, 2);
    run.record_many(1.0, 10);
    run.record_many(1.0, HUGE);
    assert_dropped(&client.stats(), DropReason::AfterShutdown, 2 + 10 + HUGE);
    users.insert("a");
    client.event("title", "text");
    client.service_check("db", Status::Ok);
    client.counter("new").increment(1);
    client.gauge("level").set(4.0);
    assert_dropped(&client.stats(), DropReason::AfterShutdown, 2 + 10 + HUGE + 5);
    // What is there already is counted once.
    assert_dropped(&client.stats(), DropReason::AfterShutdown, 2 + 10 + HUGE + 5);
    assert_eq!(agent.lines(1), ["level:1|g|#task_id:0042"]);
    assert_eq!(client.flush(PATIENCE), Err(FlushError::Stopped));
}

#[test]
fn the_clients_own_telemetry_is_in_the_books_as_lines_and_not_as_values() {
    let agent = Agent::udp();
    let guard =
        support::builder().agent(agent.address()).telemetry(true).max_packet_size(300).build().unwrap();
    let client = guard.client().clone();
    let values = use_every_kind(&client);
    client.timing("run").record(f64::NAN);
    guard.shutdown(PATIENCE).unwrap();
    let stats = client.stats();
    assert_conserved(&stats);
    assert_eq!((stats.accepted.values, stats.sent.values), (values + 1, values));
    let packets = agent.packets_until(|lines| lines.len() as u64 >= stats.sent.lines);
    let (own, users): (Vec<String>, Vec<String>) = lines_of(&packets).into_iter().partition(|line| {
        line.starts_with("datadog.dogstatsd.client.") || line.starts_with("tasktag.task_id.")
    });
    assert_eq!(users.len() as u64, values);
    assert_eq!(stats.sent.lines, (own.len() + users.len()) as u64);
    assert_eq!(stats.sent.packets, packets.len() as u64);
    assert_eq!(stats.sent.bytes, packets.concat().len() as u64);
    let tags = |extra| {
        format!(
            "|c|#client:rust,client_transport:udp,client_version:{},{extra}task_id_source:fixed,task_id:0042",
            env!("CARGO_PKG_VERSION")
        )
    };
    let of_type = |metrics_type: &str, n: u64| {
        let version = env!("CARGO_PKG_VERSION");
        let tags = "task_id_source:fixed,task_id:0042";
        let client = format!("client:rust,client_transport:udp,client_version:{version}");
        format!("metrics_by_type:{n}|c|#{client},metrics_type:{metrics_type},{tags}")
    };
    for line in [
        format!("metrics:{}{}", values + 1, tags("")),
        format!("values_sent:{values}{}", tags("")),
        format!("values_dropped:1{}", tags("reason:invalid,")),
        format!("events:1{}", tags("")),
        format!("service_checks:1{}", tags("")),
        // The peak is a gauge too.
        of_type("gauge", 2),
        of_type("count", 1),
        of_type("timing", 1),
        of_type("set", 1),
        format!("aggregated_context:5{}", tags("")),
    ] {
        assert!(own.contains(&format!("datadog.dogstatsd.client.{line}")), "{line} in {own:#?}");
    }
}

// The worker dies.

#[test]
fn a_packet_that_the_worker_died_with_is_counted_in_every_unit() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).max_packet_size(64).build().unwrap();
    for round in 1..=3 {
        capture.panic_once();
        for number in 0..20 {
            guard.client().counter(&format!("jobs.{number}")).increment(1);
        }
        guard.client().flush(PATIENCE).unwrap();
        guard.client().flush(PATIENCE).unwrap();
        let stats = guard.client().stats();
        assert_conserved(&stats);
        assert_eq!((stats.worker_restarts, stats.dropped(DropReason::WorkerPanic).packets), (round, round));
        assert_eq!(stats.accepted.values, round * 20);
    }
    Received::new(Dialect::DogStatsd, &capture.take_packets()).assert_is(guard.client().stats().sent);
}

#[test]
fn values_on_their_way_into_packets_when_the_worker_dies_are_counted() {
    let each: [fn(&Client, i32); 4] = [
        |client, number| client.event("title", &number.to_string()),
        |client, number| client.distribution("size").record(f64::from(number)),
        |client, number| client.distribution("size").register().record_many(f64::from(number), HUGE),
        |client, number| client.set("users").insert(&number.to_string()),
    ];
    for (put, weight) in each.into_iter().zip([1, 1, HUGE, 1]) {
        let capture = Capture::new();
        let guard = support::builder().capture(&capture).max_packet_size(128).build().unwrap();
        for number in 0..20 {
            put(guard.client(), number);
        }
        capture.panic_once();
        guard.client().flush(PATIENCE).unwrap();
        guard.client().flush(PATIENCE).unwrap();
        let stats = guard.client().stats();
        assert_eq!(stats.worker_restarts, 1);
        assert_eq!(stats.accepted.values, 20 * weight, "{stats:#?}");
        assert_conserved(&stats);
        let packets = capture.take_packets();
        let sent = packets.iter().flat_map(|packet| parse(packet).unwrap()).count() as u64;
        assert_eq!((sent, packets.len() as u64), (stats.sent.lines, stats.sent.packets));
    }
}

#[test]
fn a_flush_that_the_worker_died_in_is_finished_before_it_is_acknowledged() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).max_packet_size(64).build().unwrap();
    let names: Vec<String> = (0..20).map(|number| format!("jobs.{number}")).collect();
    for name in &names {
        guard.client().counter(name).increment(1);
    }
    capture.panic_once();
    guard.client().flush(PATIENCE).unwrap();
    // All but the packet that it died with.
    assert!(capture.take_lines().contains(&"jobs.19:1|c|#task_id:0042".to_owned()));
}

#[test]
fn a_worker_that_died_often_goes_on() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let jobs = guard.client().counter("jobs").register();
    for round in 1..=20 {
        jobs.increment(1);
        capture.panic_once();
        guard.client().flush(PATIENCE).unwrap();
        jobs.increment(1);
        guard.client().flush(PATIENCE).unwrap();
        assert_eq!(capture.take_lines(), ["jobs:1|c|#task_id:0042"]);
        let stats = guard.client().stats();
        assert_dropped(&stats, DropReason::WorkerPanic, round);
        assert_eq!(stats.worker_restarts, round);
    }
}

#[test]
fn a_flush_that_kills_the_worker_every_time_is_given_up_and_the_next_one_works() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client();
    let jobs = client.counter("jobs").register();
    let level = client.gauge("level").register();
    level.set(1.0);
    capture.set_panicking(true);
    jobs.increment(1);
    client.flush(PATIENCE).unwrap();
    let deaths = client.stats().worker_restarts;
    assert!(deaths > 1, "{deaths}");
    capture.set_panicking(false);
    jobs.increment(2);
    client.flush(PATIENCE).unwrap();
    assert_eq!(capture.take_lines(), ["jobs:2|c|#task_id:0042", "level:1|g|#task_id:0042"]);
    assert_eq!(client.stats().worker_restarts, deaths);
    assert_conserved(&client.stats());
}

#[test]
fn whenever_the_worker_dies_nothing_is_lost_unseen() {
    arbtest::arbtest(|u| {
        let capture = Capture::new();
        let size = u.int_in_range(64..=300)?;
        let guard = support::builder().capture(&capture).max_packet_size(size).build().unwrap();
        let client = guard.client().clone();
        let (size, users) = (client.distribution("size").register(), client.set("users").register());
        let mut accepted = 0;
        for flush in 0..u.int_in_range(1..=6)? {
            if u.arbitrary()? {
                capture.panic_once();
            }
            for number in 0..u.int_in_range(0..=30_i32)? {
                size.record(f64::from(number));
                users.insert(&format!("{flush}.{number}"));
                client.event(&format!("e{flush}.{number}"), "text");
                accepted += 3;
            }
            client.flush(PATIENCE).unwrap();
        }
        guard.shutdown(PATIENCE).unwrap();
        let stats = client.stats();
        assert_conserved(&stats);
        assert_eq!(stats.accepted.values, accepted, "{stats:#?}");
        Received::new(Dialect::DogStatsd, &capture.take_packets()).assert_is(stats.sent);
        Ok(())
    })
    .budget_ms(2_000);
}

// Threads.

/// Flushes until all `writers` are done, and once more.
fn flush_until_done(client: &Client, writers: Vec<thread::ScopedJoinHandle<'_, ()>>) {
    while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
        client.flush(PATIENCE).unwrap();
    }
    for writer in writers {
        writer.join().unwrap();
    }
    client.flush(PATIENCE).unwrap();
}

#[test]
fn totals_are_exact_while_threads_write_and_the_worker_flushes() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 20_000;
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).channel_capacity(100).build().unwrap();
    let client = guard.client();
    let (jobs, run) = (client.counter("jobs").register(), client.timing("run").register());
    thread::scope(|scope| {
        let write = |thread: u64| {
            let (jobs, run) = (jobs.clone(), run.clone());
            for round in 0..ROUNDS {
                jobs.increment(2);
                client.counter("by.name").increment(1);
                run.record((round % 97) as f64);
                client.timing("by.name.run").record(round as f64);
                if round % 20 == 0 {
                    client.set("users").insert(&format!("{thread}.{round}"));
                }
            }
        };
        let writers = (0..THREADS).map(|thread| scope.spawn(move || write(thread))).collect();
        flush_until_done(client, writers);
    });
    let stats = client.stats();
    assert_conserved(&stats);
    let packets = capture.take_packets();
    let received = Received::new(Dialect::DogStatsd, &packets);
    received.assert_is(stats.sent);
    assert_eq!(received.counters["jobs"], THREADS * ROUNDS * 2);
    assert_eq!(received.counters["by.name"], THREADS * ROUNDS);
    let members = received.once.len() as u64 + stats.dropped(DropReason::ChannelFull).values;
    assert_eq!(members, THREADS * ROUNDS / 20);
    for name in ["run", "by.name.run"] {
        assert_eq!(counted(&packets, name), THREADS * ROUNDS, "{name}");
    }
}

/// How many values of a distribution came.
fn counted(packets: &[Vec<u8>], name: &str) -> u64 {
    let lines = packets.iter().flat_map(|packet| parse(packet).unwrap());
    let count = |line| match line {
        Parsed::Metric(metric) if metric.name == name => metric.count(),
        _ => 0,
    };
    lines.map(count).sum()
}

#[test]
fn handles_that_come_and_go_while_the_worker_flushes_lose_nothing() {
    const ROUNDS: u64 = 5_000;
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client();
    thread::scope(|scope| {
        let write = || {
            for _ in 0..ROUNDS {
                client.counter("jobs").register().increment(1);
                client.timing("run").register().record(1.0);
            }
        };
        let writers = (0..3).map(|_| scope.spawn(write)).collect();
        flush_until_done(client, writers);
    });
    assert_conserved(&client.stats());
    let packets = capture.take_packets();
    assert_eq!(Received::new(Dialect::DogStatsd, &packets).counters["jobs"], 3 * ROUNDS);
    assert_eq!(counted(&packets, "run"), 3 * ROUNDS);
}

#[test]
fn totals_are_exact_with_more_threads_than_the_machine_runs() {
    const THREADS: u64 = 150;
    const ROUNDS: u64 = 20_000;
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client();
    let (jobs, more) = (client.counter("jobs").register(), client.counter("more").register());
    let together = Barrier::new(THREADS.try_into().unwrap());
    thread::scope(|scope| {
        let write = || {
            together.wait();
            for _ in 0..ROUNDS {
                jobs.increment(1);
                more.increment(3);
            }
        };
        let writers = (0..THREADS).map(|_| scope.spawn(write)).collect();
        flush_until_done(client, writers);
    });
    let received = Received::new(Dialect::DogStatsd, &capture.take_packets());
    assert_eq!(received.counters["jobs"], THREADS * ROUNDS);
    assert_eq!(received.counters["more"], 3 * THREADS * ROUNDS);
}

#[test]
fn a_name_that_is_forgotten_and_called_again_loses_nothing() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client();
    thread::scope(|scope| {
        let (call, calls) = bounded::<()>(0);
        let (answer, answers) = bounded(0);
        scope.spawn(move || {
            for () in calls {
                client.counter("jobs").increment(1);
                client.timing("run").record(1.0);
                answer.send(()).unwrap();
            }
        });
        for _ in 0..20 {
            call.send(()).unwrap();
            answers.recv_timeout(PATIENCE).unwrap();
            assert_eq!(client.stats().contexts, 2);
            // Longer than a context is kept that nobody calls.
            for _ in 0..200 {
                client.flush(PATIENCE).unwrap();
            }
            assert_eq!(client.stats().contexts, 0);
        }
    });
    assert_conserved(&client.stats());
    let packets = capture.take_packets();
    assert_eq!(Received::new(Dialect::DogStatsd, &packets).counters["jobs"], 20);
    assert_eq!(counted(&packets, "run"), 20);
}

#[test]
fn threads_that_write_through_the_shutdown_find_every_value_counted() {
    const ROUNDS: u64 = 20_000;
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).channel_capacity(50).build().unwrap();
    let client = guard.client().clone();
    let (run, users) = (client.timing("run").register(), client.set("users").register());
    thread::scope(|scope| {
        for thread in 0..3 {
            let (client, run, users) = (&client, &run, &users);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    run.record(round as f64);
                    client.timing("by.name").record(1.0);
                    users.insert(&format!("{thread}.{round}"));
                }
            });
        }
        wait_until(|| client.stats().dropped(DropReason::ChannelFull).values > 100);
        guard.shutdown(PATIENCE).unwrap();
    });
    let stats = client.stats();
    assert_conserved(&stats);
    assert_eq!(stats.accepted.values, 3 * 3 * ROUNDS, "{stats:#?}");
    assert!(stats.dropped(DropReason::AfterShutdown).values > 0, "{stats:#?}");
    Received::new(Dialect::DogStatsd, &capture.take_packets()).assert_is(stats.sent);
}
