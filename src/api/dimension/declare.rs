//! The declaration of closed tags.

/// Declares enums that are [closed tags](crate::ClosedTag).
///
/// ```
/// tasktag::tags! {
///     /// How long a job may wait. On the wire `queue:within_1_minute`, …
///     pub enum Queue: "queue" {
///         /// Somebody is waiting.
///         WithinOneMinute = "within_1_minute",
///         /// Nobody is.
///         Nightly,
///     }
///
///     /// Without a key it is the name in snake case: `cache_tier`.
///     enum CacheTier {
///         Memory,
///         Disk,
///     }
/// }
///
/// use tasktag::ClosedTag;
/// assert_eq!((Queue::KEY, Queue::VALUES), ("queue", ["within_1_minute", "nightly"].as_slice()));
/// assert_eq!((CacheTier::KEY, CacheTier::Disk.value()), ("cache_tier", "disk"));
/// assert_eq!(Queue::ALL, [Queue::WithinOneMinute, Queue::Nightly]);
/// ```
///
/// The value of a variant is its name in snake case, unless another value is given. Attributes and doc comments are
/// kept. Each enum implements `Clone`, `Copy`, `Debug`, `PartialEq`, `Eq`, `Hash` and [`TagValue`](crate::TagValue),
/// and has all its values in `ALL`.
///
/// A tag for a condition is declared as a `bool`, in a `tags!` of its own:
///
/// ```
/// tasktag::tags! {
///     /// Whether the answer was in the cache: `cache_hit:true`, `cache_hit:false`.
///     pub struct CacheHit(bool);
/// }
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let lookups = client.counter("cache.lookups").register_family::<CacheHit>();
/// lookups.at(CacheHit(true)).increment(1);
/// lookups.at((2 > 1).into()).increment(1);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// An invalid key or value is a compile error: see [`ClosedTag`](crate::ClosedTag).
///
/// ```compile_fail,E0080
/// tasktag::tags! {
///     enum Queue: "queue" { Mail, Post = "mail" }
/// }
/// ```
///
/// ```compile_fail,E0080
/// tasktag::tags! {
///     enum Task: "task_id" { Import, Export }
/// }
/// ```
#[macro_export]
macro_rules! tags {
    ($(
        $(#[$meta:meta])*
        $vis:vis enum $name:ident $(: $key:literal)? {
            $($(#[$variant_meta:meta])* $variant:ident $(= $value:expr)?),+ $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name {
            $($(#[$variant_meta])* $variant),+
        }

        #[allow(dead_code, reason = "not everybody needs it")]
        impl $name {
            /// All values, in the order of their declaration.
            $vis const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl $crate::ClosedTag for $name {
            const KEY: &'static str = $crate::__tag_text!($name $(, $key)?);
            const VALUES: &'static [&'static str] = &[$($crate::__tag_text!($variant $(, $value)?)),+];

            #[inline]
            fn index(self) -> usize {
                self as usize
            }
        }

        impl<'a> $crate::TagValue<'a> for $name {
            #[inline]
            fn into_text(self) -> &'a $crate::__macros::str {
                $crate::ClosedTag::value(self)
            }
        }

        const _: usize = $crate::__macros::check_closed_tag::<$name>();
    )+};
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident(bool) $(: $key:literal)?;
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis struct $name(
            /// Whether the condition holds.
            pub bool,
        );

        impl $crate::ClosedTag for $name {
            const KEY: &'static str = $crate::__tag_text!($name $(, $key)?);
            const VALUES: &'static [&'static str] = &["false", "true"];

            #[inline]
            fn index(self) -> usize {
                ::core::primitive::usize::from(self.0)
            }
        }

        impl<'a> $crate::TagValue<'a> for $name {
            #[inline]
            fn into_text(self) -> &'a $crate::__macros::str {
                $crate::ClosedTag::value(self)
            }
        }

        impl ::core::convert::From<bool> for $name {
            #[inline]
            fn from(holds: bool) -> Self {
                Self(holds)
            }
        }

        const _: usize = $crate::__macros::check_closed_tag::<$name>();
    )+};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tag_text {
    ($name:ident) => {{
        const NAME: &str = ::core::stringify!($name);
        const SNAKE: [u8; $crate::__macros::snake_len(NAME)] = $crate::__macros::snake(NAME);
        match ::core::str::from_utf8(&SNAKE) {
            ::core::result::Result::Ok(text) => text,
            ::core::result::Result::Err(_) => "",
        }
    }};
    ($name:ident, $text:expr) => {
        $text
    };
}

/// Returns the length of a name in snake case, in bytes.
#[doc(hidden)]
#[must_use]
pub const fn snake_len(name: &str) -> usize {
    write_snake(name, &mut [])
}

/// Converts a name to snake case: `WithinOneMinute` becomes `within_one_minute`, and `HTTPError` becomes `http_error`.
#[doc(hidden)]
#[must_use]
pub const fn snake<const LEN: usize>(name: &str) -> [u8; LEN] {
    let mut snake = [0; LEN];
    write_snake(name, &mut snake);
    snake
}

/// Writes as much as fits, and returns the whole length.
const fn write_snake(name: &str, mut out: &mut [u8]) -> usize {
    let mut rest = match name.as_bytes() {
        [b'r', b'#', rest @ ..] => rest,
        all => all,
    };
    let mut len = 0;
    let mut before = b'_';
    while let Some((&byte, after)) = rest.split_first() {
        if byte.is_ascii_uppercase() && starts_word(before, after.first()) {
            len += 1;
            out = put(out, b'_');
        }
        len += 1;
        out = put(out, byte.to_ascii_lowercase());
        before = byte;
        rest = after;
    }
    len
}

/// Returns whether a capital letter begins a word, rather than continuing an abbreviation.
const fn starts_word(before: u8, after: Option<&u8>) -> bool {
    let before_last = matches!(after, Some(after) if after.is_ascii_lowercase());
    before != b'_' && (!before.is_ascii_uppercase() || before_last)
}

const fn put(out: &mut [u8], byte: u8) -> &mut [u8] {
    match out.split_first_mut() {
        Some((place, rest)) => {
            *place = byte;
            rest
        }
        None => &mut [],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClosedTag;

    tags! {
        enum Word {
            Mail,
            WithinOneMinute,
            HTTPError,
            Http2,
            OAuth,
            A,
            r#Type,
            #[allow(non_camel_case_types)]
            snake_already,
            X86Asm,
            Given = "as.Given",
        }
    }

    tags! {
        struct IsCold(bool);
        struct Warm(bool): "temperature";
    }

    #[test]
    fn names_become_snake_case() {
        assert_eq!(Word::KEY, "word");
        let values = [
            "mail",
            "within_one_minute",
            "http_error",
            "http2",
            "o_auth",
            "a",
            "type",
            "snake_already",
            "x86_asm",
            "as.Given",
        ];
        assert_eq!(Word::VALUES, values);
        for (&word, value) in Word::ALL.iter().zip(values) {
            assert_eq!(word.value(), value);
        }
        assert_eq!(snake_len("WithinOneMinute"), "within_one_minute".len());
    }

    #[test]
    fn a_condition_is_a_tag_of_two_values() {
        assert_eq!((IsCold::KEY, IsCold(false).value(), IsCold(true).value()), ("is_cold", "false", "true"));
        assert_eq!((Warm::KEY, Warm(true).index()), ("temperature", 1));
    }
}
