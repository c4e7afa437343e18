//! A mistake in a file of what is watched.

use std::fmt;

/// What is wrong in which line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mistake {
    line: usize,
    file: String,
    text: String,
}

impl Mistake {
    pub(super) fn new(file: &str, line: usize, text: impl Into<String>) -> Self {
        Self { line, file: file.to_owned(), text: text.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}
