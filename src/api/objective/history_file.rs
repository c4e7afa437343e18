//! The file that carries a history over to the next process.

use super::course::{Rule, Unit};
use super::history::History;
use super::record;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// More than any history takes: about 50 bytes for each of its steps.
const MAX_BYTES: u64 = 1 << 20;
/// The seconds between two writes.
const WRITE_SECONDS: u64 = 60;

crate::tags! {
    /// What went wrong with a file.
    pub(super) enum FileError: "reason" {
        /// It is there and can't be read.
        Read,
        /// It holds no history, or one with other settings.
        Contents,
        /// It can't be written.
        Write,
    }
}

/// The file of an objective's history. Replacing it is atomic: whoever reads it finds the old one or the new one.
#[derive(Debug)]
pub(super) struct HistoryFile {
    path: PathBuf,
    rule: Rule,
    // The number of the minute that was written last.
    written: u64,
}

impl HistoryFile {
    pub(super) fn new(path: &Path, rule: Rule) -> Self {
        Self { path: path.to_owned(), rule, written: 0 }
    }

    /// Reads what is known as of a slice. A file that does not exist is an empty one.
    pub(super) fn read(&self, slice: u64) -> Result<Option<History>, FileError> {
        match self.read_text() {
            Ok(text) => {
                let history = record::read(&text, self.rule.span, self.unit(), slice);
                history.map(Some).ok_or(FileError::Contents)
            }
            Err(error) => match error.kind() {
                ErrorKind::NotFound => Ok(None),
                ErrorKind::InvalidData => Err(FileError::Contents),
                _ => Err(FileError::Read),
            },
        }
    }

    fn read_text(&self) -> io::Result<String> {
        // Opening a pipe would wait for whoever writes it.
        if !fs::metadata(&self.path)?.is_file() {
            return Err(ErrorKind::Unsupported.into());
        }
        let mut text = String::new();
        File::open(&self.path)?.take(MAX_BYTES).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes at most once a minute of slices.
    pub(super) fn write_in_time(&mut self, history: &History, slice: u64) -> Result<(), FileError> {
        let minute = slice / (WRITE_SECONDS / self.rule.span.slice).max(1);
        if minute == self.written {
            return Ok(());
        }
        self.written = minute;
        self.write(history)
    }

    pub(super) fn write(&self, history: &History) -> Result<(), FileError> {
        let mut draft = self.path.clone().into_os_string();
        draft.push(".new");
        let written = fs::write(&draft, record::write(history, self.unit()));
        written.and_then(|()| fs::rename(&draft, &self.path)).map_err(|_| FileError::Write)
    }

    fn unit(&self) -> &'static str {
        match self.rule.unit {
            Unit::Events(_) => "events",
            Unit::Slices => "slices",
        }
    }
}
