//! States of jobs that a system keeps in a column of a type of its own.

/// Some states. A statement goes through them as rows, so that it names the table once for all of them.
pub(super) struct States {
    /// The type of the column `state`. The server takes no text for it, unless it is written as a constant.
    pub(super) kind: String,
    pub(super) names: &'static [&'static str],
}

impl States {
    /// Returns a table of the states, with a name.
    pub(super) fn table(&self, name: &str) -> String {
        let Self { kind, names } = self;
        let rows: Vec<_> = names.iter().map(|state| format!("('{state}'::{kind})")).collect();
        format!("(values {}) as {name} (state)", rows.join(", "))
    }
}
