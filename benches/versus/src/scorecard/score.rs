//! A figure held against its target.

use crate::report::verdict;

/// What a row prints.
pub struct Score {
    what: String,
    /// `None` where it could not be measured.
    figure: Option<f64>,
    unit: &'static str,
    at_most: f64,
    /// Where the target comes from, or why there is no figure.
    note: String,
}

impl Score {
    /// A figure that is to be at most so much.
    pub fn new(what: &str, figure: Option<f64>, unit: &'static str, at_most: f64) -> Self {
        Self { what: what.to_owned(), figure, unit, at_most, note: String::new() }
    }

    /// A figure without a target, with which others can be compared.
    pub fn plain(what: &str, figure: Option<f64>, unit: &'static str) -> Self {
        Self::new(what, figure, unit, f64::INFINITY)
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    pub fn cells(&self) -> Vec<String> {
        let has_target = self.at_most.is_finite();
        let unit = self.unit;
        let target = if has_target { format!("≤ {} {unit}", digits(self.at_most)) } else { String::new() };
        let (figure, verdict) = match self.figure {
            None => ("not measured".to_owned(), ""),
            Some(figure) if has_target => (digits(figure), verdict(figure, self.at_most)),
            Some(figure) => (digits(figure), ""),
        };
        let figure = if self.figure.is_some() { format!("{figure} {unit}") } else { figure };
        let target = if self.note.is_empty() { target } else { format!("{target} ({})", self.note) };
        vec![self.what.clone(), figure, target.trim().to_owned(), verdict.to_owned()]
    }
}

/// Three digits that mean something.
fn digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}
