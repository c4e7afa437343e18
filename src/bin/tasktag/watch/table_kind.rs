//! The tables of a file, and the keys that each may have.

/// A kind of table.
#[derive(Debug)]
pub(super) struct TableKind {
    pub(super) key: &'static str,
    /// As it is written. The file itself is not.
    pub(super) written: &'static str,
    /// In the order of the alphabet.
    pub(super) keys: &'static [&'static str],
}

/// What is in no table of its own.
pub(super) const TOP: TableKind = TableKind {
    key: "",
    written: "",
    keys: &[
        "address",
        "every",
        "flush_interval",
        "lease",
        "pgbouncer",
        "postgres",
        "prefix",
        "queue",
        "tags",
    ],
};

pub(super) const LEASE: TableKind = TableKind {
    key: "lease",
    written: "[lease]",
    keys: &["directory", "key", "lease_time", "url", "url_variable"],
};

pub(super) const PGBOUNCER: TableKind =
    TableKind { key: "pgbouncer", written: "[[pgbouncer]]", keys: SERVER_KEYS };

pub(super) const POSTGRES: TableKind =
    TableKind { key: "postgres", written: "[[postgres]]", keys: SERVER_KEYS };

const SERVER_KEYS: &[&str] = &["every", "name", "prefix", "tags", "url", "url_variable"];

pub(super) const QUEUE: TableKind = TableKind {
    key: "queue",
    written: "[[queue]]",
    keys: &[
        "every",
        "group",
        "key_prefix",
        "name",
        "prefix",
        "promise",
        "queue",
        "scans",
        "schema",
        "system",
        "tags",
        "taken_from_left",
        "time_in_hash",
        "time_in_json",
        "url",
        "url_variable",
    ],
};

pub(super) const TIME_IN_HASH: TableKind = TableKind {
    key: "time_in_hash",
    written: "time_in_hash = { prefix = \"…\", field = \"…\" }",
    keys: &["field", "prefix"],
};
