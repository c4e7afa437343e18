//! What a statement takes for the time at which it is asked.

/// The server's time, as a system's columns compare to it. It is that of the statement, so that a transaction which is
/// kept open has no old one.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) expression: &'static str,
    /// Its type.
    pub(super) kind: &'static str,
}

/// For columns with a time zone.
pub(super) const NOW: Now = Now { expression: "statement_timestamp()", kind: "timestamptz" };
/// For columns without a zone that hold UTC, as those of Rails and Ecto do: whatever zone the session has.
pub(super) const NOW_UTC: Now =
    Now { expression: "timezone('UTC', statement_timestamp())", kind: "timestamp" };
