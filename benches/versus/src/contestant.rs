//! What is compared: operations at a call site, and the crates that offer them.

use crate::traffic::{Style, Traffic};
use std::any::Any;
use std::arch::asm;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// The metrics that every contestant is asked for, with two tags each.
pub const GAUGE: &str = "pool.in_use";
pub const COUNTER: &str = "jobs.done";
pub const TIMING: &str = "query.time";
pub const POOL: &str = "primary";
pub const ROLE: &str = "reader";
/// What a contestant with global tags adds to each line, as tasktag does by itself.
pub const TASK_ID: (&str, &str) = ("task_id", "0042");

/// Something done at a call site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    GaugeSet,
    GaugeSetPeak,
    /// Each level is higher than all before.
    GaugeSetNewPeak,
    CounterIncrement,
    TimingRecord,
    GaugeByName,
    CounterByName,
    TimingByName,
    GaugeLiteral,
    CounterLiteral,
    Occupancy,
}

impl Operation {
    pub const ALL: [Self; 11] = [
        Self::GaugeSet,
        Self::GaugeSetPeak,
        Self::GaugeSetNewPeak,
        Self::CounterIncrement,
        Self::TimingRecord,
        Self::GaugeByName,
        Self::CounterByName,
        Self::TimingByName,
        Self::GaugeLiteral,
        Self::CounterLiteral,
        Self::Occupancy,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::GaugeSet => "gauge",
            Self::GaugeSetPeak => "gauge-peak",
            Self::GaugeSetNewPeak => "gauge-new-peak",
            Self::CounterIncrement => "counter",
            Self::TimingRecord => "timing",
            Self::GaugeByName => "gauge-by-name",
            Self::CounterByName => "counter-by-name",
            Self::TimingByName => "timing-by-name",
            Self::GaugeLiteral => "gauge-literal",
            Self::CounterLiteral => "counter-literal",
            Self::Occupancy => "occupancy",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// Where a contestant sends to.
#[derive(Clone, Debug)]
pub enum Agent {
    Udp(SocketAddr),
    Unix(PathBuf),
}

impl Agent {
    pub fn parse(url: &str) -> Option<Self> {
        if let Some(path) = url.strip_prefix("unix://") {
            return Some(Self::Unix(path.into()));
        }
        url.strip_prefix("udp://")?.parse().ok().map(Self::Udp)
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// What a contestant is built for.
#[derive(Clone, Debug)]
pub struct Setup {
    pub agent: Agent,
    /// Time between flushes, where the crate has such a thing; `None` leaves its default.
    pub interval: Option<Duration>,
}

/// What a context is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    Counter,
    Timing,
}

/// Contexts of one kind that are all known at once, each with the same values.
#[derive(Debug)]
pub struct Holding<'a> {
    pub kind: Kind,
    pub name: &'a str,
    /// Each has a tag of its own.
    pub tags: &'a [String],
    pub values: &'a [f64],
}

impl Holding<'_> {
    /// Registers each context, and gives it its values.
    pub fn keep<H: 'static>(&self, register: impl Fn(&str) -> H, give: impl Fn(&H, f64)) -> Box<dyn Any> {
        let registered = |tag: &String| {
            let handle = register(tag);
            self.values.iter().for_each(|value| give(&handle, *value));
            handle
        };
        Box::new(self.tags.iter().map(registered).collect::<Vec<_>>())
    }
}

/// A crate, set up and ready.
pub trait Contestant: Sync {
    /// Does `operation` `n` times on the calling thread. `false` where the crate has none like it.
    fn run(&self, operation: Operation, n: u32) -> bool;

    /// Makes some of the traffic's updates on the calling thread. `false` where the crate has no such style.
    fn replay(&self, style: Style, traffic: &Traffic, updates: Range<u32>) -> bool {
        let _ = (style, traffic, updates);
        false
    }

    /// Registers contexts, gives them their values, and hands out whatever keeps them. `None` where the crate has none
    /// like it.
    fn hold(&self, holding: &Holding) -> Option<Box<dyn Any>> {
        let _ = holding;
        None
    }

    /// Has everything sent that is in memory, if it can be told to; where it flushes by itself, waits until it did.
    fn flush(&self) {}

    /// Waits until nothing is left to do in the background, so that the next contestant has the machine to itself.
    fn settle(&self) {}

    /// Sends what is left, in the best way that the crate offers its users.
    fn finish(self: Box<Self>) {}
}

/// What sort of contestant it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Ours,
    /// Sends to an agent.
    Push,
    /// A peer's call sites, and behind them tasktag.
    Bridge,
    /// Keeps values in memory until it is asked.
    Pull,
    /// The machine's own primitives.
    Floor,
}

impl Sort {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Push => "push",
            Self::Bridge => "bridge",
            Self::Pull => "pull",
            Self::Floor => "floor",
        }
    }
}

/// A row of the tables.
pub struct Entry {
    pub name: &'static str,
    pub sort: Sort,
    /// `None` where the crate can't send to such an agent.
    pub build: fn(&Setup) -> Option<Box<dyn Contestant>>,
}

impl Entry {
    /// The name, with what has to be known to read its row.
    pub fn label(&self) -> String {
        match self.sort {
            Sort::Ours => format!("**{}**", self.name),
            Sort::Push | Sort::Bridge => self.name.to_owned(),
            Sort::Pull => format!("{} (pull)", self.name),
            Sort::Floor => format!("*{}*", self.name),
        }
    }
}

/// Calls `operation` with a counter that the compiler can't see through, having forgotten what it knew of memory: a
/// handle is found anew each time, as at a real call site, and nothing goes through memory for it.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the loop is the same for every contestant")]
pub fn repeat(n: u32, operation: impl Fn(u32)) -> bool {
    for i in 0..n {
        operation(opaque(u64::from(i)) as u32);
    }
    true
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "see `repeat`")]
pub fn opaque(mut i: u64) -> u64 {
    // SAFETY: there are no instructions. That memory may have changed is what is meant.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    unsafe {
        asm!("/* {0} */", inout(reg) i, options(nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        i = std::hint::black_box(i);
    }
    i
}

/// A level that goes up and down, as those of pools and queues do.
#[inline(always)]
#[allow(clippy::inline_always, reason = "see `repeat`")]
pub fn level(i: u32) -> f64 {
    f64::from(i & 0xff)
}

/// A value as latencies have them: five octaves from 8 to 256, each as likely.
#[inline(always)]
#[allow(clippy::inline_always, reason = "see `repeat`")]
pub fn latency(i: u32) -> f64 {
    const EIGHT: u64 = 1026 << 52;
    let scrambled = u64::from(i.wrapping_mul(2_654_435_761));
    f64::from_bits(EIGHT + ((scrambled * 5) << 20))
}

/// The tags of the calls by name: eight pairs, known at run time only.
pub struct Tags(Vec<(String, String)>);

impl Tags {
    const PAIRS: u32 = 8;

    pub fn new() -> Self {
        Self((0..Self::PAIRS).map(|i| (format!("primary-{i}"), format!("reader-{i}"))).collect())
    }

    /// Pool and role of the `i`th call.
    #[inline]
    pub fn of(&self, i: u32) -> (&str, &str) {
        let (pool, role) = &self.0[(i % Self::PAIRS) as usize];
        (pool, role)
    }
}
