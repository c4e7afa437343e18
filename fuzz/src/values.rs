//! Calls with numbers and members: every kind of metric.

use super::input::{Input, Pairs};
use super::line::{Line, number, read};
use super::rule::{self, Member};
use super::sent::{Sent, assert_dropped};
use super::setting::Setting;
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};
use tasktag::{Client, Dialect, Distribution, DropReason, Weights};

/// What is passed to one metric.
#[derive(Debug)]
struct Call {
    kind: u8,
    name: String,
    member: String,
    own: Pairs,
    value: f64,
    integer: u64,
    times: u64,
    /// Since 1970, for values with a time of their own.
    seconds: Option<u64>,
    peak: bool,
    negated_too: bool,
}

pub(crate) fn check(setting: Setting, mut input: Input, own_tags: usize, kind: u8) {
    let call = Call {
        kind,
        name: input.text(),
        member: input.text_if(kind == 5).unwrap_or_default(),
        own: input.pairs(own_tags),
        value: f64::from_bits(input.integer()),
        integer: input.integer(),
        times: u64::from(input.header[3]) + 1,
        seconds: (kind < 2 && input.bit(1, 5)).then(|| input.seconds()),
        peak: input.bit(1, 4),
        negated_too: input.bit(1, 6),
    };
    let setting = Setting { globals: input.pairs(usize::MAX), ..setting };
    let Some(sent) = setting.sent(|client| call.act(client)) else { return };
    let lines = read(setting.dialect, &sent.packets);
    if call.name.is_empty() {
        assert!(lines.is_empty(), "a metric without a name: {lines:?}");
        return;
    }
    // A context's tags are kept sorted, each once.
    let mut own = call.own.clone();
    own.sort();
    own.dedup();
    let tags = setting.tags(&own);
    for line in &lines {
        tags.check(&line.tags);
    }
    assert_eq!(sent.stats.refused_tags, tags.refused, "{call:?}");
    Expected { setting: &setting, call: &call, sent: &sent, lines: &lines }.check();
}

impl Call {
    fn act(&self, client: &Client) {
        let own: Vec<(&str, &str)> =
            self.own.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let at = UNIX_EPOCH + Duration::from_secs(self.seconds.unwrap_or_default());
        let name = self.name.as_str();
        match (self.kind, self.seconds) {
            (0, Some(_)) => client.gauge(name).tags(&own).set_at(self.value, at),
            (0, None) if self.peak => client.gauge(name).tags(&own).peak().set(self.value),
            (0, None) => client.gauge(name).tags(&own).set(self.value),
            (1, Some(_)) => client.counter(name).tags(&own).increment_at(self.integer, at),
            (1, None) => client.counter(name).tags(&own).increment(self.integer),
            (2, _) => self.record(&client.distribution(name).tags(&own).register()),
            (3, _) => self.record(&client.histogram(name).tags(&own).register()),
            (4, _) => self.record(&client.timing(name).tags(&own).register()),
            (5, _) => client.set(name).tags(&own).insert(&self.member),
            _ => {
                let units = client.occupancy(name, u32::from(self.peak)).tags(&own).register();
                // In use at the flush, and after.
                (0..self.times).for_each(|_| std::mem::forget(units.acquire()));
            }
        }
    }

    fn record(&self, handle: &Distribution) {
        handle.record_many(self.value, self.times);
        if self.negated_too {
            handle.record(-self.value);
        }
    }
}

/// What the rules say of the lines and the books.
struct Expected<'a> {
    setting: &'a Setting,
    call: &'a Call,
    sent: &'a Sent,
    lines: &'a [Line],
}

impl Expected<'_> {
    fn check(&self) {
        match self.call.kind {
            0 => self.gauge(),
            1 => self.counter(),
            2..=4 => self.distribution(),
            5 => self.set(),
            _ => self.occupancy(),
        }
    }

    fn dropped(&self, reason: DropReason, values: u64) {
        assert_dropped(&self.sent.stats, reason, values);
        assert!(self.lines.is_empty() || values == 0, "{:?}", self.lines);
    }

    /// What becomes of a value with a time of its own that is usable: a line, or nothing.
    fn timed(&self, is_usable: bool, code: &str, is_written: impl Fn(&str) -> bool) {
        match self.call.seconds {
            Some(1..) if is_usable && !self.setting.has_timestamps() => {
                self.dropped(DropReason::Unsupported, 1);
            }
            Some(seconds @ 1..) if is_usable => {
                let [line] = self.lines else { panic!("one line: {:?}", self.lines) };
                self.expect(line, "", code);
                assert_eq!(line.seconds, Some(seconds));
                assert!(is_written(&line.values[0]), "{line:?}");
            }
            _ => self.dropped(DropReason::Invalid, 1),
        }
    }

    fn gauge(&self) {
        let value = self.call.value;
        if self.call.seconds.is_some() {
            return self.timed(value.is_finite(), "g", |text| number(text) == value);
        }
        if !value.is_finite() {
            assert_eq!(self.sent.stats.unset_gauges, 1);
            return self.dropped(DropReason::Invalid, 0);
        }
        let by_difference = value < 0.0 && !self.setting.is_dogstatsd();
        let values = if by_difference { vec![0.0, value] } else { vec![value] };
        let suffixes = if self.call.peak { vec!["", ".max"] } else { vec![""] };
        let expected: Vec<_> =
            suffixes.iter().flat_map(|suffix| values.iter().map(move |value| (*suffix, *value))).collect();
        assert_eq!(self.lines.len(), expected.len(), "{:?}", self.lines);
        for (line, (suffix, value)) in self.lines.iter().zip(expected) {
            self.expect(line, suffix, "g");
            assert!(number(&line.values[0]) == value && line.seconds.is_none(), "{value}: {line:?}");
        }
    }

    fn counter(&self) {
        let n = self.call.integer;
        if n == 0 {
            assert!(self.lines.is_empty() && self.sent.stats.accepted.values == 0);
            return;
        }
        if self.call.seconds.is_some() {
            return self.timed(true, "c", |text| text == n.to_string());
        }
        assert_eq!(self.lines.len(), 1);
        for line in self.lines {
            self.expect(line, "", "c");
            assert_eq!(line.values, [n.to_string()]);
        }
    }

    fn distribution(&self) {
        let Call { value, times, negated_too, .. } = *self.call;
        let recorded = times + u64::from(negated_too);
        if !value.is_finite() {
            return self.dropped(DropReason::Invalid, recorded);
        }
        // What is nearer to 0 than any normal number is 0.
        let value = if value.is_normal() { value } else { 0.0 };
        let mut all = vec![(value, times)];
        all.extend(negated_too.then_some((-value, 1)));
        let mut wanted: BTreeMap<u64, u64> = BTreeMap::new();
        let mut refused = 0;
        for (value, n) in all {
            if value < 0.0 && self.refuses_negative() {
                refused += n;
            } else {
                // One zero: -0 is written as 0.
                *wanted.entry((value + 0.0).to_bits()).or_default() += n;
            }
        }
        assert_dropped(&self.sent.stats, DropReason::Invalid, refused);
        assert_eq!(self.sent.stats.sent.values, recorded - refused);
        match self.setting.weights() {
            Weights::Summaries => self.summary(&wanted),
            weights => self.weighted(&wanted, weights),
        }
    }

    fn refuses_negative(&self) -> bool {
        let refuse_them =
            matches!(self.setting.dialect, Dialect::TaggedStatsd | Dialect::Graphite | Dialect::Statsd);
        refuse_them && self.setting.weights() != Weights::Summaries
    }

    fn weighted(&self, wanted: &BTreeMap<u64, u64>, weights: Weights) {
        let mut found: BTreeMap<u64, u64> = BTreeMap::new();
        for line in self.lines {
            self.expect(line, "", self.spread_code());
            assert!(line.rate.is_none() || weights == Weights::Rates, "{line:?}");
            assert!(line.values.len() == 1 || self.setting.packs_values(), "not known there: {line:?}");
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as servers do")]
            let count = line.rate.map_or(1, |rate| (1.0 / rate) as u64);
            for value in &line.values {
                *found.entry((number(value) + 0.0).to_bits()).or_default() += count;
            }
        }
        assert_eq!(&found, wanted, "{:?}", self.lines);
    }

    fn summary(&self, wanted: &BTreeMap<u64, u64>) {
        let [count, gauges @ ..] = self.lines else { panic!("no count") };
        let total: u64 = wanted.values().sum();
        self.expect(count, ".count", "c");
        assert_eq!(count.values, [total.to_string()]);
        let mut gauges = gauges.iter();
        let seen: Vec<f64> = wanted.keys().map(|bits| f64::from_bits(*bits)).collect();
        let least = seen.iter().copied().fold(f64::INFINITY, f64::min);
        let most = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for suffix in [".min", ".max", ".avg", ".p50", ".p95", ".p99"] {
            let mut line = gauges.next().expect("each has a line");
            if line.values == ["0"]
                && number_of(gauges.as_slice().first(), line) < 0.0
                && !self.setting.is_dogstatsd()
            {
                // It is set to 0 before it is lowered.
                self.expect(line, suffix, "g");
                line = gauges.next().expect("it is lowered");
            }
            self.expect(line, suffix, "g");
            let value = number(&line.values[0]);
            match suffix {
                ".min" => assert!(value == least, "{line:?}"),
                ".max" => assert!(value == most, "{line:?}"),
                ".avg" => assert!((least..=most).contains(&value), "{line:?}"),
                _ => assert!(seen.contains(&value), "{line:?}"),
            }
        }
        assert_eq!(gauges.next().map(|line| &line.name), None);
    }

    fn set(&self) {
        match rule::member(self.setting.dialect, &self.call.member) {
            Member::Text(text) if text.is_empty() => self.dropped(DropReason::Invalid, 1),
            member => {
                let [line] = self.lines else { panic!("one line: {:?}", self.lines) };
                self.expect(line, "", "s");
                let found = line.values[0].as_str();
                let is_hash =
                    found.len() == 32 && found.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                match member {
                    Member::Text(text) => assert_eq!(text, found),
                    Member::Hash => assert!(is_hash, "{line:?}"),
                }
            }
        }
    }

    fn occupancy(&self) {
        let units = self.call.times.to_string();
        for (line, suffix) in self.lines.iter().zip([".in_use", ".in_use.max", ".utilization"]) {
            self.expect(line, suffix, "g");
            match suffix {
                ".utilization" => {
                    let most = self.call.times as f64;
                    assert!(self.call.peak && (0.0..=most).contains(&number(&line.values[0])), "{line:?}");
                }
                _ => assert_eq!(line.values, [units.as_str()]),
            }
        }
        assert!((2..=3).contains(&self.lines.len()), "{:?}", self.lines);
    }

    fn spread_code(&self) -> &'static str {
        match (self.call.kind, self.setting.is_dogstatsd()) {
            (2, true) => "d",
            (3, true) => "h",
            (2 | 3, false) if self.setting.as_histograms => "h",
            _ => "ms",
        }
    }

    /// The line's frame is what the rules say.
    fn expect(&self, line: &Line, suffix: &str, code: &str) {
        assert_eq!(line.name, self.setting.name(&self.call.name, suffix));
        assert_eq!(line.code, code, "{line:?}");
        assert!(line.rate.is_none() || matches!(self.call.kind, 2..=4), "{line:?}");
        assert!(line.seconds.is_none() || self.call.seconds.is_some(), "{line:?}");
    }
}

/// The number of a line of the same name as `before`, else 0.
fn number_of(line: Option<&Line>, before: &Line) -> f64 {
    line.filter(|line| line.name == before.name).map_or(0.0, |line| number(&line.values[0]))
}
