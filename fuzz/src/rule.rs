//! The rules of cleaning, told once more: see the documentation of [`Dialect`].

use super::input::Pairs;
use tasktag::Dialect;

/// Bytes of a name.
const NAME: usize = 200;
/// Characters of a tag's key or value, and of a tag with its colon.
const PART: usize = 100;
const TAG: usize = 200;

fn replaced(raw: &str, stays: impl Fn(char) -> bool) -> String {
    let mut clean = String::new();
    for c in raw.chars() {
        clean.push(if stays(c) { c } else { '_' });
    }
    clean
}

fn in_name(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '-')
}

/// A name of its own, as a service check has one.
pub(crate) fn whole_name(raw: &str) -> String {
    let mut name = replaced(raw, in_name);
    if !matches!(name.chars().next(), Some('a'..='z' | 'A'..='Z')) {
        name = format!("m_{name}");
    }
    name.chars().take(NAME).collect()
}

/// A metric's name with its prefix, cut before the suffix.
pub(crate) fn metric_name(prefix: &str, task_id: Option<&str>, raw: &str, suffix: &str) -> String {
    let mut parts = vec![prefix.trim_end_matches('.').to_owned()];
    parts.retain(|prefix| !prefix.is_empty());
    parts.extend(task_id.map(|id| format!("task_{id}")));
    parts.push(raw.to_owned());
    let whole = whole_name(&parts.join("."));
    let kept: String = whole.chars().take(NAME - suffix.len()).collect();
    kept + suffix
}

/// Tags as they must be read back.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    /// Those of the call, sorted.
    own: Pairs,
    /// The others, in their order.
    globals: Pairs,
    /// How many are left out.
    pub(crate) refused: u64,
}

impl Tags {
    pub(crate) fn new(dialect: Dialect, own: &Pairs, globals: &Pairs, task_id: &str) -> Self {
        let mut tags = Self::default();
        tags.own = tags.cleaned(dialect, own, task_id);
        let mut others = tags.cleaned(dialect, globals, task_id);
        others.retain(|(key, _)| tags.own.iter().all(|(own, _)| own != key));
        others.push(("task_id".to_owned(), task_id.to_owned()));
        tags.globals = others;
        tags.own.sort();
        if dialect == Dialect::Statsd {
            (tags.own, tags.globals) = (Pairs::new(), Pairs::new());
        }
        tags
    }

    /// Each once, without those that have no key. Another task's id is under a key of its own.
    fn cleaned(&mut self, dialect: Dialect, raw: &Pairs, task_id: &str) -> Pairs {
        let mut clean = Pairs::new();
        for (key, value) in raw {
            let mut key = key_of(dialect, key);
            let reserved = is_task_id(&key);
            if reserved {
                "task_id_".clone_into(&mut key);
            }
            if key.is_empty() || reserved && value == task_id {
                self.refused += 1;
                continue;
            }
            let mut value = value_of(dialect, value);
            while key.chars().count() + 1 + value.chars().count() > TAG {
                value.pop();
            }
            let tag = (key, value);
            if !clean.contains(&tag) {
                clean.push(tag);
            }
        }
        clean
    }

    /// The call's own come first, in any order; then the global ones in theirs.
    pub(crate) fn check(&self, found: &Pairs) {
        let (own, globals) = found.split_at(self.own.len().min(found.len()));
        let mut own = own.to_vec();
        own.sort();
        assert_eq!((&own[..], globals), (&self.own[..], &self.globals[..]), "the tags {found:?}");
    }
}

/// Backends write keys in lower case, by the rules of Unicode.
fn is_task_id(key: &str) -> bool {
    let key = key.to_lowercase();
    // The lower case of an `I` with a dot is an `i` with a dot above it, or one without.
    key.replace('\u{307}', "") == "task_id"
}

fn key_of(dialect: Dialect, raw: &str) -> String {
    let key = part(dialect, raw, false);
    match dialect {
        Dialect::Graphite if key == "name" => "name_".to_owned(),
        Dialect::Influx | Dialect::Librato | Dialect::SignalFx | Dialect::TaggedStatsd | Dialect::Statsd => {
            label(&key)
        }
        _ => key,
    }
}

/// A key that is none of the names that Prometheus keeps for itself.
fn label(key: &str) -> String {
    let is_mark = |c: char| matches!(c, '_' | '.' | '-');
    match key {
        "le" | "quantile" => format!("{key}_"),
        _ => match key.chars().next() {
            Some(first) if is_mark(first) => format!("{first}{}", key.trim_start_matches(is_mark)),
            _ => key.to_owned(),
        },
    }
}

fn value_of(dialect: Dialect, raw: &str) -> String {
    let value = part(dialect, raw, true);
    let stands_in_name = !matches!(dialect, Dialect::DogStatsd | Dialect::TaggedStatsd);
    if value.is_empty() && stands_in_name { "true".to_owned() } else { value }
}

fn part(dialect: Dialect, raw: &str, is_value: bool) -> String {
    let start: String = raw.chars().take(PART).collect();
    replaced(&start, |c| match dialect {
        Dialect::DogStatsd => {
            c.is_alphabetic() || c.is_numeric() || "_-./".contains(c) || is_value && c == ':'
        }
        _ => matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' | '.'),
    })
}

/// A set's member, or the hash of one that is longer than 47 bytes or has a character that a line can't hold.
#[derive(Debug, PartialEq)]
pub(crate) enum Member {
    Text(String),
    Hash,
}

pub(crate) fn member(dialect: Dialect, raw: &str) -> Member {
    let stays = |c: char| c != '|' && !c.is_control() && (c != ':' || dialect == Dialect::DogStatsd);
    if raw.len() > 47 || !raw.chars().all(stays) { Member::Hash } else { Member::Text(raw.to_owned()) }
}

/// An event's host, key or source.
pub(crate) fn field(raw: &str) -> String {
    replaced(raw, |c| c != '|' && !c.is_control())
}

/// A text in one line: a title, a text, or a message before the rest of its rule.
pub(crate) fn one_line(raw: &str) -> String {
    let mut line = String::new();
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\n' => line.push_str("\\n"),
            _ => line.push(c),
        }
    }
    line
}

/// A service check's message.
pub(crate) fn message(raw: &str) -> String {
    let line = one_line(raw).replace('|', "_");
    line.split("m:").collect::<Vec<_>>().join("m\\:")
}
