//! A line as cadence writes it, read without a copy. Pure.

use crate::kind::Kind;

/// The weight of a value beyond which a rate is taken for a mistake: 2^53.
const MAX_WEIGHT: f64 = 9_007_199_254_740_992.0;

/// `name:value[:value…]|type[|@rate][|#tag[,tag…]][|c:container][|Tseconds]`, in this order and with nothing else.
///
/// cadence escapes nothing, so that a name or a tag may hold what looks like more of the line. Because the order is fixed, and a line
/// is one line whatever is in it, that can add tags or a last field, and never another metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    values: &'a str,
    /// A meter is a counter.
    pub(super) kind: Kind,
    rate: Option<f64>,
    tags: &'a str,
    /// Since 1970.
    pub(super) seconds: Option<u64>,
}

/// A counter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Up(u64),
    Down(u64),
}

impl<'a> Line<'a> {
    /// `None` for what is no such line.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (name, rest) = text.split_once(':')?;
        let mut fields = rest.split('|');
        let values = fields.next()?;
        let kind = kind(fields.next()?)?;
        let mut fields = fields.peekable();
        let mut field = |mark: &str| {
            let found = fields.peek()?.strip_prefix(mark)?;
            fields.next();
            Some(found)
        };
        let rate = field("@").map(rate);
        let tags = field("#").unwrap_or_default();
        field("c:");
        let seconds = field("T").map(|text| digits(text).filter(|seconds| *seconds > 0));
        if name.is_empty() || fields.next().is_some() {
            return None;
        }
        // A field that is there and can't be read makes the line unreadable.
        let (rate, seconds) =
            (rate.map_or(Some(None), |rate| rate.map(Some))?, seconds.map_or(Some(None), |at| at.map(Some))?);
        Some(Self { name, values, kind, rate, tags, seconds })
    }

    /// The values of a line that is no set's.
    pub(super) fn values(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.values.split(':')
    }

    /// The member of a set, which may have a `:` in it.
    pub(super) fn member(&self) -> &'a str {
        self.values
    }

    /// Keys and values. A tag without a `:` is a key whose value is empty.
    pub(super) fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let tags = self.tags.split(',').filter(|tag| !tag.is_empty());
        tags.map(|tag| tag.split_once(':').unwrap_or((tag, "")))
    }

    /// How many values one of a distribution stands for: what the Datadog Agent makes of the rate.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 2^53")]
    pub(super) fn weight(&self) -> u64 {
        self.rate.map_or(1, |rate| (1.0 / rate) as u64)
    }

    /// What a counter's value stands for, to the nearest whole number. `None` for what is none, or too much.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within")]
    pub(super) fn count(&self, value: &str) -> Option<Count> {
        let (is_down, amount) = match value.strip_prefix('-') {
            Some(amount) => (true, amount),
            None => (false, value.strip_prefix('+').unwrap_or(value)),
        };
        let amount = digits(amount).or_else(|| {
            let whole: f64 = amount.parse().ok()?;
            // Not a second sign, which `parse` would take.
            let is_amount =
                whole.fract() == 0.0 && (0.0..=MAX_WEIGHT).contains(&whole) && whole.is_sign_positive();
            is_amount.then_some(whole as u64)
        })?;
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

/// A finite number.
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

/// A number without a sign, which `parse` would take.
fn digits(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit()))
}
