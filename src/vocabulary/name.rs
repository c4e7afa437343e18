//! Enums whose values have names, for environment variables and command lines.

use std::fmt;

/// The error for a text that names no value of a [`Dialect`](crate::Dialect), a [`Kind`](crate::Kind), a
/// [`Protocol`](crate::Protocol), a [`TagCardinality`](crate::TagCardinality), [`Weights`](crate::Weights), an
/// [`AlertType`](crate::AlertType), a [`Priority`](crate::Priority) or a [`Status`](crate::Status).
///
/// ```
/// use tasktag::Weights;
///
/// let unknown = "rats".parse::<Weights>().unwrap_err();
/// assert_eq!(unknown.to_string(), r#""rats" is no name of weights: it must be rates, repeats or summaries"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    text: String,
    what: &'static str,
    names: Vec<&'static str>,
}

impl UnknownName {
    pub(crate) fn new(text: &str, what: &'static str, names: Vec<&'static str>) -> Self {
        Self { text: text.to_owned(), what, names }
    }

    /// Lists the usable names, for errors that quote the text themselves.
    pub(crate) fn reason(&self) -> String {
        match self.names.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("it must be {} or {last}", first.join(", ")),
            names => format!("it must be {}", names.join(", ")),
        }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no name of {}: {}", self.text, self.what, self.reason())
    }
}

impl std::error::Error for UnknownName {}

/// Implements `ALL`, `as_str`, `Display` and a case-insensitive `FromStr` for an enum.
macro_rules! names {
    ($enum:ident, $what:literal: $($variant:ident = $name:literal),+ $(,)?) => {
        impl $enum {
            /// All values, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name, as read by [`FromStr`](std::str::FromStr) and written by [`Display`](std::fmt::Display).
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $enum {
            type Err = $crate::vocabulary::name::UnknownName;

            /// Reads a name. Case is ignored.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().find(|value| value.as_str().eq_ignore_ascii_case(text));
                found.copied().ok_or_else(|| {
                    let names = Self::ALL.iter().map(|value| value.as_str()).collect();
                    $crate::vocabulary::name::UnknownName::new(text, $what, names)
                })
            }
        }
    };
}

pub(crate) use names;
