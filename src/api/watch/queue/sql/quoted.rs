//! Names as they stand in a statement.

/// What no database can hold, so that no statement ends at it.
const NUL: char = '\0';

/// Returns a text as `PostgreSQL` reads it, whether or not `standard_conforming_strings` is on.
pub(super) fn postgres_text(text: &str) -> String {
    let quoted = sqlite_text(text);
    // Without the `E`, a backslash is an escape or not, by a setting of the session.
    if quoted.contains('\\') { format!("E{}", quoted.replace('\\', r"\\")) } else { quoted }
}

/// Returns a text as SQLite reads it: a backslash means nothing there.
pub(super) fn sqlite_text(text: &str) -> String {
    format!("'{}'", without_nul(text).replace('\'', "''"))
}

/// Returns the name of a table, in a schema if there is one.
pub(super) fn table(schema: Option<&str>, name: &str) -> String {
    let identifier = |name: &str| format!("\"{}\"", without_nul(name).replace('"', "\"\""));
    schema.map_or_else(|| name.to_owned(), |schema| format!("{}.{name}", identifier(schema)))
}

fn without_nul(text: &str) -> String {
    text.replace(NUL, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_where_it_ends() {
        for (name, expected) in [
            ("mail", "'mail'"),
            ("it's", "'it''s'"),
            (r"a\' or 1=1 --", r"E'a\\'' or 1=1 --'"),
            ("a\0b", "'a\u{fffd}b'"),
            ("", "''"),
        ] {
            assert_eq!(postgres_text(name), expected);
        }
        assert_eq!(sqlite_text(r"a\'"), r"'a\'''");
        assert_eq!(table(None, "que_jobs"), "que_jobs");
        assert_eq!(table(Some("the \"jobs\""), "que_jobs"), "\"the \"\"jobs\"\"\".que_jobs");
    }
}
