//! Tags whose values are known at compile time.

use crate::task_id::TASK_ID_KEY;

/// The maximum length of a tag's key or value in bytes. Anything longer would be truncated later.
const MAX_PART: usize = 100;

/// A tag with a small number of values that are known at compile time.
///
/// [`tags!`](crate::tags) declares an enum that implements it. [`Outcome`](crate::Outcome),
/// [`StatusClass`](crate::StatusClass) and [`HttpMethod`](crate::HttpMethod) are predefined. You can also implement it
/// yourself:
///
/// ```
/// use tasktag::ClosedTag;
///
/// /// A shard of the database.
/// #[derive(Clone, Copy)]
/// struct Shard(u8);
///
/// impl ClosedTag for Shard {
///     const KEY: &'static str = "shard";
///     const VALUES: &'static [&'static str] = &["0", "1", "2", "3"];
///
///     fn index(self) -> usize {
///         usize::from(self.0)
///     }
/// }
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let queries = client.counter("db.queries").register_family::<Shard>();
/// queries.at(Shard(2)).increment(1);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// Invalid constants are a compile error at the place where a family of the tag is registered. The error occurs if
///
/// - the key is empty or reserved;
/// - there are no values, or one occurs twice;
/// - the key or a value is empty, is longer than 100 bytes, or has characters other than ASCII letters and digits, `_`,
///   `-`, `.` and `/`.
///
/// The key and the values are therefore sent as declared.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a closed tag",
    label = "its values are not known at compile time",
    note = "declare the values with `tasktag::tags!`, or limit their number at run time with `MetricBuilder::bounded`"
)]
pub trait ClosedTag: Copy + 'static {
    /// The tag's key.
    const KEY: &'static str;
    /// All its values.
    const VALUES: &'static [&'static str];

    /// The index of the value in [`VALUES`](Self::VALUES). An index past the end counts as the last one.
    fn index(self) -> usize;

    /// The value on the wire.
    fn value(self) -> &'static str {
        value_at::<Self>(self.index())
    }
}

/// The tags of a [`Family`](crate::Family): a [`ClosedTag`], or a tuple of one to three closed tags with different
/// keys.
///
/// ```compile_fail,E0080
/// use tasktag::Outcome;
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let doubled = client.counter("jobs.done").register_family::<(Outcome, Outcome)>();
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a closed tag nor a tuple of one to three of them",
    label = "the values of a family's tags must be known at compile time",
    note = "declare the values with `tasktag::tags!`, or limit their number at run time with `MetricBuilder::bounded`"
)]
pub trait ClosedTags: sealed::Dense {}

impl<T: sealed::Dense> ClosedTags for T {}

pub(crate) mod sealed {
    //! What a family requires of its tags.

    /// Tags whose combinations are numbered without gaps.
    pub trait Dense: Copy + 'static {
        /// The number of combinations.
        const COMBINATIONS: usize;

        fn place(self) -> usize;
        fn push_pairs(place: usize, pairs: &mut Vec<(&'static str, &'static str)>);
    }
}

use sealed::Dense;

impl<A: ClosedTag> Dense for A {
    const COMBINATIONS: usize = check::<A>();

    #[inline]
    fn place(self) -> usize {
        // A wrong implementation must not reach the slots of another value.
        self.index().min(Self::COMBINATIONS - 1)
    }

    fn push_pairs(place: usize, pairs: &mut Vec<(&'static str, &'static str)>) {
        pairs.push((A::KEY, value_at::<A>(place)));
    }
}

impl<A: ClosedTag> Dense for (A,) {
    const COMBINATIONS: usize = check::<A>();

    #[inline]
    fn place(self) -> usize {
        self.0.place()
    }

    fn push_pairs(place: usize, pairs: &mut Vec<(&'static str, &'static str)>) {
        A::push_pairs(place, pairs);
    }
}

impl<A: ClosedTag, B: ClosedTag> Dense for (A, B) {
    const COMBINATIONS: usize = {
        assert!(!is_same(A::KEY, B::KEY), "two tags of a family have the same key");
        check::<A>().saturating_mul(check::<B>())
    };

    #[inline]
    fn place(self) -> usize {
        self.0.place() * B::COMBINATIONS + self.1.place()
    }

    fn push_pairs(place: usize, pairs: &mut Vec<(&'static str, &'static str)>) {
        A::push_pairs(place / B::COMBINATIONS, pairs);
        B::push_pairs(place % B::COMBINATIONS, pairs);
    }
}

impl<A: ClosedTag, B: ClosedTag, C: ClosedTag> Dense for (A, B, C) {
    const COMBINATIONS: usize = {
        let differ = !is_same(A::KEY, C::KEY) && !is_same(B::KEY, C::KEY);
        assert!(differ, "two tags of a family have the same key");
        <(A, B)>::COMBINATIONS.saturating_mul(check::<C>())
    };

    #[inline]
    fn place(self) -> usize {
        (self.0, self.1).place() * C::COMBINATIONS + self.2.place()
    }

    fn push_pairs(place: usize, pairs: &mut Vec<(&'static str, &'static str)>) {
        <(A, B)>::push_pairs(place / C::COMBINATIONS, pairs);
        C::push_pairs(place % C::COMBINATIONS, pairs);
    }
}

fn value_at<T: ClosedTag>(index: usize) -> &'static str {
    T::VALUES.get(index).or(T::VALUES.last()).copied().unwrap_or_default()
}

/// Returns the number of values of a tag. Invalid constants are a compile error.
#[doc(hidden)]
#[must_use]
pub const fn check<T: ClosedTag>() -> usize {
    assert!(is_part(T::KEY), "a closed tag's key must be 1 to 100 of A-Z a-z 0-9 _ - . /");
    assert!(!is_same(T::KEY, TASK_ID_KEY), "the key `task_id` is reserved: the worker adds it");
    assert!(!T::VALUES.is_empty(), "a closed tag has no values");
    let mut rest = T::VALUES;
    while let Some((value, later)) = rest.split_first() {
        assert!(is_part(value), "a closed tag's value must be 1 to 100 of A-Z a-z 0-9 _ - . /");
        assert!(!is_among(value, later), "a closed tag has a value twice; upper and lower case are the same");
        rest = later;
    }
    T::VALUES.len()
}

const fn is_among(value: &str, mut values: &[&str]) -> bool {
    while let Some((other, rest)) = values.split_first() {
        if is_same(value, other) {
            return true;
        }
        values = rest;
    }
    false
}

/// Backends convert tags to lower case.
const fn is_same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

const fn is_part(text: &str) -> bool {
    let mut bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_PART {
        return false;
    }
    while let Some((byte, rest)) = bytes.split_first() {
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')) {
            return false;
        }
        bytes = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct Wrong;

    impl ClosedTag for Wrong {
        const KEY: &'static str = "a";
        const VALUES: &'static [&'static str] = &["1", "2", "3"];

        fn index(self) -> usize {
            7
        }
    }

    crate::tags! {
        enum Side: "side" { Left, Right }
        enum Size: "size" { Small, Middle, Large }
    }

    #[test]
    fn every_combination_has_a_place_of_its_own() {
        let mut places = Vec::new();
        for &side in Side::ALL {
            for &size in Size::ALL {
                let place = (side, size).place();
                let mut pairs = Vec::new();
                <(Side, Size)>::push_pairs(place, &mut pairs);
                assert_eq!(pairs, [("side", side.value()), ("size", size.value())]);
                places.push(place);
            }
        }
        assert_eq!(places, (0..<(Side, Size)>::COMBINATIONS).collect::<Vec<_>>());
    }

    #[test]
    fn a_wrong_index_stays_among_the_values_of_its_own_tag() {
        assert_eq!(Wrong.value(), "3");
        assert_eq!((Side::Left, Wrong).place(), 2);
        assert_eq!((Wrong, Side::Right).place(), 5);
    }

    #[test]
    fn parts_that_would_not_arrive_as_written_are_told() {
        for part in ["a", "within_1_minute", "/api/v1", "a-b.C", &"x".repeat(100)] {
            assert!(is_part(part), "{part}");
        }
        for part in ["", "a b", "a:b", "a,b", "größe", &"x".repeat(101)] {
            assert!(!is_part(part), "{part}");
        }
        assert!(is_among("Mail", &["post", "MAIL"]) && !is_among("mail", &["mails", "mai"]));
    }
}
