//! The counts of the sending side, to be compared with what was received.

use crate::Failure;
use crate::receiver::Received;
use crate::units::count;
use crate::workload::Hashed;
use std::fmt;
use tasktag::{DropReason, Stats};

/// The counts of one process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) files: u64,
    pub(crate) file_bytes: u64,
    pub(crate) unreadable: u64,
    pub(crate) accepted: u64,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
    pub(crate) packets: u64,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    /// Why values were dropped, if any were: `transport 12, too_large 3`.
    pub(crate) reasons: String,
}

impl Totals {
    pub(crate) fn new(hashed: Hashed, stats: &Stats) -> Self {
        let reasons = DropReason::ALL.iter().filter_map(|reason| {
            let values = stats.dropped(*reason).values;
            (values > 0).then(|| format!("{} {}", reason.as_str(), count(values)))
        });
        Self {
            files: hashed.files,
            file_bytes: hashed.bytes,
            unreadable: hashed.unreadable,
            accepted: stats.accepted.values,
            sent: stats.sent.values,
            dropped: stats.dropped_total().values,
            packets: stats.sent.packets,
            lines: stats.sent.lines,
            bytes: stats.sent.bytes,
            reasons: reasons.collect::<Vec<_>>().join(", "),
        }
    }

    fn numbers(&mut self) -> [&mut u64; 9] {
        [
            &mut self.files,
            &mut self.file_bytes,
            &mut self.unreadable,
            &mut self.accepted,
            &mut self.sent,
            &mut self.dropped,
            &mut self.packets,
            &mut self.lines,
            &mut self.bytes,
        ]
    }

    /// One line in which a process reports them to the one that started it.
    pub(crate) fn to_line(&self) -> String {
        let numbers = self.clone().numbers().map(|number| number.to_string()).join(" ");
        format!("{numbers} {}", self.reasons)
    }

    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut totals = Self::default();
        let mut fields = line.splitn(10, ' ');
        for number in totals.numbers() {
            *number = fields.next()?.parse().ok()?;
        }
        fields.next()?.clone_into(&mut totals.reasons);
        Some(totals)
    }

    /// The sum of the counts of several processes.
    pub(crate) fn sum<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        all.fold(Self::default(), |mut sum, totals| {
            let mut totals = totals.clone();
            sum.numbers().into_iter().zip(totals.numbers()).for_each(|(to, from)| *to += *from);
            let reasons = [std::mem::take(&mut sum.reasons), totals.reasons];
            sum.reasons = reasons.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
            sum
        })
    }

    /// What was counted and what was received. The pool itself counts files and their bytes. What was received went
    /// through the library, a socket and a parser.
    pub(crate) fn pairs(&self, received: &Received) -> Vec<Pair> {
        let pairs = [
            ("files queued", self.files + self.unreadable, received.total("files.queued")),
            ("files hashed", self.files, received.total("files.hashed")),
            ("bytes hashed", self.file_bytes, received.total("files.hashed_bytes")),
            ("times taken", self.files, received.total("files.hash_time")),
            ("packets", self.packets, received.packets as f64),
            ("lines", self.lines, received.lines as f64),
            ("bytes", self.bytes, received.bytes as f64),
        ];
        pairs.map(|(what, counted, received)| Pair { what: what.to_owned(), counted, received }).into()
    }

    /// Checks that everything counted has arrived.
    pub(crate) fn check(&self, pairs: &[Pair], received: &Received) -> Result<(), Failure> {
        self.check_loss()?;
        if let Some(Pair { what, counted, received }) = pairs.iter().find(|pair| !pair.agrees()) {
            let text = format!("{what}: {} were counted, and {received:.0} received", count(*counted));
            return Err(Failure::Run(text));
        }
        if received.untagged > 0 {
            return Err(Failure::Run(format!("{} lines came without a task id", count(received.untagged))));
        }
        Ok(())
    }

    pub(crate) fn check_loss(&self) -> Result<(), Failure> {
        let text = || Failure::Run(format!("not all of {} values left: {self}", count(self.accepted)));
        if self.dropped > 0 { Err(text()) } else { Ok(()) }
    }
}

/// `dropped 0`, or how much and why.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dropped {}", count(self.dropped))?;
        if self.reasons.is_empty() { Ok(()) } else { write!(f, " ({})", self.reasons) }
    }
}

/// A count on this side, and the same on the other.
pub(crate) struct Pair {
    pub(crate) what: String,
    pub(crate) counted: u64,
    pub(crate) received: f64,
}

impl Pair {
    pub(crate) fn agrees(&self) -> bool {
        (self.counted as f64 - self.received).abs() < 0.5
    }
}
