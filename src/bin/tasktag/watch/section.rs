//! A table of a file, whose keys are taken one by one, so that those that are left are mistakes.

use super::config_file::ConfigFile;
use super::entry::Entry;
use super::mistake::Mistake;
use super::table_kind::{TOP, TableKind};
use super::time_span;
use crate::nearest::{did_you_mean, nearest};
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Keys with their values.
pub(super) type Tags = Vec<(String, String)>;

/// A table, or the file outside of all tables.
#[derive(Debug)]
pub(super) struct Section<'a> {
    file: &'a ConfigFile,
    kind: &'static TableKind,
    at: usize,
    table: DeTable<'a>,
}

impl<'a> Section<'a> {
    /// What is in no table of its own, with all that is.
    pub(super) fn top(file: &'a ConfigFile) -> Result<Self, Mistake> {
        let parsed = DeTable::parse(file.text()).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            // Not the error itself, which shows the line: there may be a password in it.
            file.mistake(at, format!("not valid TOML: {}", error.message()))
        })?;
        Ok(Self { file, kind: &TOP, at: 0, table: parsed.into_inner() })
    }

    /// What is wrong with the table as a whole.
    pub(super) fn wrong(&self, text: impl AsRef<str>) -> Mistake {
        let TableKind { written, .. } = self.kind;
        let colon = if written.is_empty() { "" } else { ": " };
        self.file.mistake(self.at, format!("{written}{colon}{}", text.as_ref()))
    }

    fn take(&mut self, key: &'static str) -> Option<Entry<'a, DeValue<'a>>> {
        debug_assert!(self.kind.keys.contains(&key), "{key} would be called unknown where it is misplaced");
        let (written, value) = self.table.remove_entry(key)?;
        Some(Entry::new(self.file, key, written.span().start, value))
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<Entry<'a, String>>, Mistake> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        match &entry.value {
            DeValue::String(text) if text.is_empty() => Err(entry.wrong("it is empty")),
            DeValue::String(text) => Ok(Some(entry.with(text.clone().into_owned()))),
            _ => Err(entry.wrong("it must be a quoted string")),
        }
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, key: &'static str, what: &str) -> Result<Entry<'a, String>, Mistake> {
        self.text(key)?.ok_or_else(|| self.missing(&[key], &format!("`{key}` is missing: {what}")))
    }

    /// What is wrong where one of these keys must be. If one of them was misspelt, that is what is wrong.
    pub(super) fn missing(&self, keys: &[&str], text: &str) -> Mistake {
        let misspelt = keys.iter().find_map(|key| nearest(self.unknown_keys(), key));
        let misspelt = misspelt.and_then(|misspelt| self.table.get_key_value(misspelt));
        misspelt.map_or_else(|| self.wrong(text), |(key, _)| self.unknown(key))
    }

    /// A key that has no meaning here, though it has one elsewhere.
    pub(super) fn refuse(&mut self, key: &'static str, why: &str) -> Result<(), Mistake> {
        self.take(key).map_or(Ok(()), |entry| Err(entry.wrong(why)))
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Result<bool, Mistake> {
        let Some(entry) = self.take(key) else { return Ok(false) };
        entry.value.as_bool().ok_or_else(|| entry.wrong("it must be true or false"))
    }

    /// A time: a number of seconds, or a text such as `"5m"`.
    pub(super) fn time(
        &mut self,
        key: &'static str,
        allowed: RangeInclusive<Duration>,
    ) -> Result<Option<Entry<'a, Duration>>, Mistake> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        let time = match &entry.value {
            DeValue::String(text) => time_span::parse(text),
            DeValue::Integer(number) if number.radix() == 10 => time_span::parse(number.as_str()),
            DeValue::Float(number) => time_span::parse(number.as_str()),
            _ => None,
        };
        match time.filter(|time| allowed.contains(time)) {
            Some(time) => Ok(Some(entry.with(time))),
            None => Err(entry.wrong(format!(
                "it must be a time from {} to {}: a number of seconds, or a text such as \"500ms\", \"10s\", \"5m\", \"1h\" or \
                 \"1d\"",
                time_span::shown(*allowed.start()),
                time_span::shown(*allowed.end()),
            ))),
        }
    }

    /// Tags, as pairs.
    pub(super) fn tags(&mut self) -> Result<Option<Entry<'a, Tags>>, Mistake> {
        let Some(entry) = self.take("tags") else { return Ok(None) };
        let wrong = || entry.wrong("it must be a list of texts: [\"key:value\", \"key:value\"]");
        let tags = entry.value.as_array().ok_or_else(wrong)?.iter().map(|tag| {
            let (key, value) =
                tag.get_ref().as_str().and_then(|tag| tag.split_once(':')).ok_or_else(wrong)?;
            if key.is_empty() { Err(wrong()) } else { Ok((key.to_owned(), value.to_owned())) }
        });
        let tags = tags.collect::<Result<_, _>>()?;
        Ok(Some(entry.with(tags)))
    }

    /// A table of this one.
    pub(super) fn section(&mut self, kind: &'static TableKind) -> Result<Option<Self>, Mistake> {
        let Some((at, value)) = self.take_table(kind) else { return Ok(None) };
        match value {
            DeValue::Table(table) => Ok(Some(Self { file: self.file, kind, at, table })),
            _ => Err(self
                .file
                .mistake(at, format!("{}: it must be a table: write {}", kind.key, kind.written))),
        }
    }

    /// The tables of a list of this one.
    pub(super) fn sections(&mut self, kind: &'static TableKind) -> Result<Vec<Self>, Mistake> {
        let Some((at, value)) = self.take_table(kind) else { return Ok(Vec::new()) };
        let text = format!("{}: it must be a list of tables: write {}", kind.key, kind.written);
        let wrong = |at| self.file.mistake(at, &text);
        let DeValue::Array(tables) = value else { return Err(wrong(at)) };
        let tables = tables.into_iter().map(|table| {
            let at = table.span().start;
            match table.into_inner() {
                DeValue::Table(table) => Ok(Self { file: self.file, kind, at, table }),
                _ => Err(wrong(at)),
            }
        });
        tables.collect()
    }

    fn take_table(&mut self, kind: &TableKind) -> Option<(usize, DeValue<'a>)> {
        let (_, value) = self.table.remove_entry(kind.key)?;
        Some((value.span().start, value.into_inner()))
    }

    /// Nothing more is to be in it.
    pub(super) fn end(self) -> Result<(), Mistake> {
        // The first in the file, as the table is in the order of its keys.
        let left = self.table.keys().min_by_key(|key| key.span().start);
        left.map_or(Ok(()), |key| Err(self.unknown(key)))
    }

    fn unknown_keys(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(|key| key.get_ref().as_ref()).filter(|key| !self.kind.keys.contains(key))
    }

    fn unknown(&self, key: &Spanned<DeString<'_>>) -> Mistake {
        let TableKind { written, keys, .. } = self.kind;
        let (at, key) = (key.span().start, key.get_ref());
        let place = if written.is_empty() { "outside of tables".to_owned() } else { format!("in {written}") };
        let meant = did_you_mean(keys.iter().copied(), key);
        // Not its value, of which nobody knows whether it may be shown.
        let text = format!("{key}: there is no such key {place}{meant} There are: {}", keys.join(", "));
        self.file.mistake(at, text)
    }
}
