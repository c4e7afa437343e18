//! A line as cadence writes it, parsed without a copy. Pure.

use crate::vocabulary::kind::Kind;

/// The weight of a value above which a rate is taken for a mistake: 2^53.
const MAX_WEIGHT: f64 = 9_007_199_254_740_992.0;

/// `name:value[:value…]|type[|@rate][|#tag[,tag…]][|c:container][|Tseconds]`, in this order and with nothing else.
///
/// A name may contain colons, as a Rust path does: it ends before the last one, or before the first of several values.
/// cadence escapes nothing, so a name or a tag may contain what looks like more of the line. The order is fixed and a
/// line stays one line, so this can add tags or a last field, and never another metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    values: &'a str,
    /// A meter is read as a counter.
    pub(super) kind: Kind,
    rate: Option<f64>,
    tags: &'a str,
    /// The timestamp, in seconds since 1970.
    pub(super) seconds: Option<u64>,
}

/// A counter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Up(u64),
    Down(u64),
}

impl<'a> Line<'a> {
    /// Returns `None` if the text is not such a line.
    #[inline]
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (name, rest) = split(text, b':')?;
        let (values, rest) = split(rest, b'|')?;
        let (code, rest) = first(rest, b'|');
        let kind = kind(code)?;
        let (name, values) = match find(values.as_bytes(), b':') {
            None => (name, values),
            Some(_) => name_and_values(text.get(..name.len() + 1 + values.len())?, kind)?,
        };
        let mut line = Self { name, values, kind, rate: None, tags: "", seconds: None };
        let mut field = rest.map(|rest| first(rest, b'|'));
        // A field that is present but malformed makes the line unreadable.
        if let Some((text, rest)) = marked(field, "@") {
            line.rate = Some(rate(text)?);
            field = rest.map(|rest| first(rest, b'|'));
        }
        if let Some((tags, rest)) = marked(field, "#") {
            line.tags = tags;
            field = rest.map(|rest| first(rest, b'|'));
        }
        if let Some((_, rest)) = marked(field, "c:") {
            field = rest.map(|rest| first(rest, b'|'));
        }
        if let Some((text, rest)) = marked(field, "T") {
            line.seconds = Some(digits(text).filter(|seconds| *seconds > 0)?);
            field = rest.map(|rest| first(rest, b'|'));
        }
        (field.is_none() && !name.is_empty()).then_some(line)
    }

    /// The values of a line, unless it is a set's.
    #[inline]
    pub(super) fn values(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        parts(Some(self.values), b':')
    }

    /// The member of a set, which may contain a `:`.
    pub(super) fn member(&self) -> &'a str {
        self.values
    }

    /// The tags as keys and values. A tag without a `:` is a key with an empty value.
    #[inline]
    pub(super) fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let tags = parts(Some(self.tags), b',').filter(|tag| !tag.is_empty());
        tags.map(|tag| split(tag, b':').unwrap_or((tag, "")))
    }

    /// How many values one value of a distribution stands for, computed from the rate as the Datadog Agent does.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 2^53")]
    pub(super) fn weight(&self) -> u64 {
        self.rate.map_or(1, |rate| (1.0 / rate) as u64)
    }

    /// How many values to count as dropped if the whole line is refused.
    pub(super) fn weighed_values(&self) -> u64 {
        let values = || self.values().count() as u64;
        match self.kind {
            Kind::Set => 1,
            Kind::Gauge | Kind::Counter | Kind::Occupancy => values(),
            Kind::Timing | Kind::Histogram | Kind::Distribution => values().saturating_mul(self.weight()),
        }
    }

    /// A counter's value, weighted and rounded to the nearest whole number. Returns `None` if it is malformed or too
    /// large.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^53")]
    pub(super) fn count(&self, value: &str) -> Option<Count> {
        let (is_down, amount) = match value.strip_prefix('-') {
            Some(amount) => (true, amount),
            None => (false, value.strip_prefix('+').unwrap_or(value)),
        };
        let amount = digits(amount).or_else(|| whole(amount))?;
        let amount = match self.rate {
            None => amount,
            Some(rate) => {
                let weighed = (amount as f64 / rate).round();
                (weighed <= MAX_WEIGHT).then_some(weighed as u64)?
            }
        };
        Some(if is_down { Count::Down(amount) } else { Count::Up(amount) })
    }
}

/// Splits a name that contains colons from the values after it.
///
/// cadence packs several numbers of timings, histograms and distributions into one line, so a numeric part of such a
/// name is read as a value. Those values are always numbers; a set's member that is none may contain colons itself.
#[cold]
fn name_and_values(text: &str, kind: Kind) -> Option<(&str, &str)> {
    let is_number = |part: &str| part.parse::<f64>().is_ok();
    let (mut name, value) = text.rsplit_once(':')?;
    if !is_number(value) {
        return if kind == Kind::Set { text.split_once(':') } else { None };
    }
    if kind.is_spread() {
        while let Some((front, _)) = name.rsplit_once(':').filter(|(_, part)| is_number(part)) {
            name = front;
        }
    }
    Some((name, text.get(name.len() + 1..)?))
}

/// Splits a text at an ASCII character.
///
/// `str::split_once` searches for strings and patterns of any kind, which would take most of the time that a line
/// takes.
#[inline]
fn split(text: &str, mark: u8) -> Option<(&str, &str)> {
    let at = find(text.as_bytes(), mark)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The part before the first mark, and the part after it, if there is a mark.
#[inline]
fn first(text: &str, mark: u8) -> (&str, Option<&str>) {
    split(text, mark).map_or((text, None), |(first, rest)| (first, Some(rest)))
}

#[inline]
fn parts(text: Option<&str>, mark: u8) -> impl Iterator<Item = &str> {
    let mut left = text;
    std::iter::from_fn(move || {
        let (part, rest) = first(left?, mark);
        left = rest;
        Some(part)
    })
}

/// A field without its leading mark, and the rest of the line.
#[inline]
fn marked<'a>(field: Option<(&'a str, Option<&'a str>)>, mark: &str) -> Option<(&'a str, Option<&'a str>)> {
    let (text, rest) = field?;
    Some((text.strip_prefix(mark)?, rest))
}

/// The position of the first matching byte, searched in words.
#[inline]
fn find(text: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let wanted = ONES * u64::from(byte);
    let (words, rest) = text.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        // A byte that is 0 here matches; the lowest byte whose top bit is set below is the first one.
        let other = u64::from_le_bytes(*word) ^ wanted;
        let found = other.wrapping_sub(ONES) & !other & TOPS;
        if found != 0 {
            return Some(place * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    rest.iter().position(|other| *other == byte).map(|at| words.len() * 8 + at)
}

/// A finite number.
#[inline]
pub(super) fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|value: &f64| value.is_finite())
}

fn kind(code: &str) -> Option<Kind> {
    Some(match code {
        "c" | "m" => Kind::Counter,
        "g" => Kind::Gauge,
        "ms" => Kind::Timing,
        "h" => Kind::Histogram,
        "d" => Kind::Distribution,
        "s" => Kind::Set,
        _ => return None,
    })
}

fn rate(text: &str) -> Option<f64> {
    text.parse().ok().filter(|rate| *rate > 0.0 && *rate <= 1.0 && 1.0 / rate <= MAX_WEIGHT)
}

/// A whole number written as a float.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^53")]
fn whole(text: &str) -> Option<u64> {
    let value = number(text).filter(|_| text.starts_with(|c: char| c.is_ascii_digit()))?;
    (value.fract() == 0.0 && value <= MAX_WEIGHT).then_some(value as u64)
}

/// A number without a sign, which `parse` would accept.
fn digits(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbtest::arbitrary::{Result, Unstructured};
    use cadence::prelude::*;
    use cadence::{Metric, MetricBuilder, NopMetricSink, StatsdClient};

    /// What a call site passes and the parser must return.
    #[derive(Debug)]
    struct Call {
        name: String,
        rate: Option<f64>,
        tags: Vec<(String, String)>,
        container: Option<String>,
        seconds: Option<u64>,
    }

    /// Any text without those characters, because cadence would not escape them.
    fn text(u: &mut Unstructured<'_>, without: &[char]) -> Result<String> {
        Ok(u.arbitrary::<&str>()?.replace(without, ""))
    }

    impl Call {
        fn any(u: &mut Unstructured<'_>) -> Result<Self> {
            let mut tags = Vec::new();
            for _ in 0..u.int_in_range(0..=20)? {
                let key = text(u, &[':', ',', '|'])?;
                let tag = (key, text(u, &[',', '|'])?);
                // cadence does not treat it as a tag either.
                if tag != (String::new(), String::new()) {
                    tags.push(tag);
                }
            }
            let rates = [0.1, 0.25, 1.0 / 3.0, 1.0, 1e-9, f64::from(u.int_in_range(1..=1_000_000)?) / 1e6];
            Ok(Self {
                name: format!("n{}", text(u, &[':'])?),
                rate: if u.arbitrary()? { Some(*u.choose(&rates)?) } else { None },
                tags,
                container: if u.arbitrary()? { Some(text(u, &['|'])?) } else { None },
                seconds: if u.arbitrary()? { Some(u.int_in_range(1..=u64::MAX)?) } else { None },
            })
        }

        fn line<'a, T: Metric + From<String>>(&'a self, mut metric: MetricBuilder<'a, '_, T>) -> String {
            for (key, value) in &self.tags {
                metric =
                    if value.is_empty() { metric.with_tag_value(key) } else { metric.with_tag(key, value) };
            }
            if let Some(rate) = self.rate {
                metric = metric.with_sampling_rate(rate);
            }
            if let Some(container) = &self.container {
                metric = metric.with_container_id(container);
            }
            if let Some(seconds) = self.seconds {
                metric = metric.with_timestamp(seconds);
            }
            metric.try_send().unwrap().as_metric_str().to_owned()
        }

        #[track_caller]
        fn is_read(&self, line: &str, kind: Kind, values: &[String]) {
            let read = Line::read(line).unwrap_or_else(|| panic!("{line:?} of {self:?}"));
            assert_eq!((read.name, read.kind, read.rate), (self.name.as_str(), kind, self.rate), "{line:?}");
            assert_eq!(
                (read.seconds, read.values().collect::<Vec<_>>()),
                (self.seconds, values.iter().map(String::as_str).collect())
            );
            let tags: Vec<_> = self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(read.tags().collect::<Vec<_>>(), tags, "{line:?}");
        }
    }

    #[test]
    fn what_cadence_writes_is_read_back_exactly() {
        let client = StatsdClient::from_sink("", NopMetricSink);
        arbtest::arbtest(|u| {
            let call = Call::any(u)?;
            let (n, signed, float): (u64, i64, f64) = u.arbitrary()?;
            let float = if float.is_finite() { float } else { 0.5 };
            let packed: Vec<f64> =
                [float].into_iter().chain(u.arbitrary::<Vec<u32>>()?.into_iter().map(f64::from)).collect();
            let shown: Vec<String> = packed.iter().map(f64::to_string).collect();
            let name = call.name.as_str();
            call.is_read(
                &call.line(client.count_with_tags(name, signed)),
                Kind::Counter,
                &[signed.to_string()],
            );
            call.is_read(&call.line(client.meter_with_tags(name, n)), Kind::Counter, &[n.to_string()]);
            call.is_read(&call.line(client.gauge_with_tags(name, float)), Kind::Gauge, &shown[..1]);
            call.is_read(&call.line(client.time_with_tags(name, n)), Kind::Timing, &[n.to_string()]);
            call.is_read(
                &call.line(client.histogram_with_tags(name, packed.clone())),
                Kind::Histogram,
                &shown,
            );
            call.is_read(
                &call.line(client.distribution_with_tags(name, packed.clone())),
                Kind::Distribution,
                &shown,
            );
            call.is_read(&call.line(client.set_with_tags(name, signed)), Kind::Set, &[signed.to_string()]);
            assert!(packed.iter().zip(&shown).all(|(value, shown)| number(shown) == Some(*value)));
            let plain = Line { rate: None, ..Line::read("a:1|c").unwrap() };
            let count = if signed < 0 {
                Count::Down(signed.unsigned_abs())
            } else {
                Count::Up(signed.unsigned_abs())
            };
            assert_eq!(
                (plain.count(&signed.to_string()), plain.count(&n.to_string())),
                (Some(count), Some(Count::Up(n)))
            );
            Ok(())
        });
    }

    #[test]
    fn no_text_is_too_odd_to_be_looked_at() {
        arbtest::arbtest(|u| {
            // Mostly a line's separators, which random bytes seldom are.
            let parts = [
                "a", ":", "1", "-", ".", "|", "c", "g", "ms", "s", "@", "0.1", "#", ",", "T", "c:", "\n",
                "1e999", "é", "\0",
            ];
            let mut line = String::new();
            while line.len() < 60 && !u.is_empty() {
                line.push_str(if u.ratio(9, 10)? { u.choose(&parts)? } else { u.arbitrary()? });
            }
            let Some(read) = Line::read(&line) else { return Ok(()) };
            assert!(line.starts_with(read.name) && read.weight() >= 1, "{line:?}");
            let told = read
                .values()
                .chain(read.tags().flat_map(|(key, value)| [key, value]))
                .map(str::len)
                .sum::<usize>();
            assert!(read.name.len() + told < line.len(), "{line:?}");
            assert!(read.values().all(|value| number(value).is_none_or(f64::is_finite)), "{line:?}");
            assert!(read.values().filter_map(|value| read.count(value)).count() <= line.len());
            Ok(())
        });
    }

    #[test]
    fn a_byte_is_found_where_it_is_first() {
        for len in 0..40 {
            let mut text = vec![b':' ^ 0x80; len];
            assert_eq!(find(&text, b':'), None);
            for at in (0..len).rev() {
                text[at] = b':';
                assert_eq!(find(&text, b':'), Some(at), "{len}");
                assert_eq!(find(&text, b';'), None, "{len}");
            }
        }
    }

    #[test]
    fn a_rate_weighs_as_the_agent_has_it() {
        for (rate, weight, count) in [
            ("1", 1, 7),
            ("0.3333333333333333", 3, 21),
            ("0.333333", 3, 21),
            ("0.1667", 5, 42),
            ("0.001", 1000, 7000),
        ] {
            let text = format!("a:7|c|@{rate}");
            let line = Line::read(&text).unwrap();
            assert_eq!(
                (line.weight(), line.count("7"), line.count("-7")),
                (weight, Some(Count::Up(count)), Some(Count::Down(count)))
            );
        }
    }
}
