//! A file of what is watched, before its keys have a meaning.

use super::mistake::Mistake;
use crate::outcome::Failure;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

/// The bytes that are read of a file: some thousand queues.
const MAX_BYTES: u64 = 1 << 20;

/// A file's name and text.
#[derive(Debug)]
pub(super) struct ConfigFile {
    name: String,
    text: String,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let failed = |error: &io::Error| Failure::of(&name, error);
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| failed(&error))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Failure::new(format!("{name}: it has more than {MAX_BYTES} bytes")));
        }
        let text = String::from_utf8(bytes);
        let text = text.map_err(|error| Failure::new(format!("{name}: not valid UTF-8: {error}")))?;
        Ok(Self { name, text })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn mistake(&self, at: usize, text: impl Into<String>) -> Mistake {
        Mistake::new(&self.name, self.line(at), text)
    }

    /// The number of the line in which a byte is, from 1.
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    /// What is written there.
    pub(super) fn excerpt(&self, span: Range<usize>) -> &str {
        self.text.get(span).unwrap_or_default()
    }
}
