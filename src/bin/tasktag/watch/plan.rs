//! All that a file says.

use super::config_file::ConfigFile;
use super::lease::Lease;
use super::mistake::Mistake;
use super::names::Names;
use super::section::Section;
use super::settings::Settings;
use super::source::Source;
use super::table_kind::{LEASE, PGBOUNCER, POSTGRES, QUEUE, TableKind};
use crate::outcome::Failure;
use crate::stop::Stop;
use tasktag::{Client, ClientBuilder, SoleReporter};

const MAX_SOURCES: usize = 500;

/// What is watched, and where it is reported.
#[derive(Debug, Default)]
pub(super) struct Plan {
    settings: Settings,
    pub(super) lease: Option<Lease>,
    pub(super) sources: Vec<Source>,
}

/// How a table of a kind is read.
type Reader = fn(Section<'_>, &Settings) -> Result<Source, Mistake>;

const READERS: [(TableKind, Reader); 3] =
    [(PGBOUNCER, Source::read_pgbouncer), (POSTGRES, Source::read_postgres), (QUEUE, Source::read_queue)];

impl Plan {
    /// Reads a file. The first mistake of each table is reported, in the order of the file.
    pub(super) fn read(file: &ConfigFile) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let plan = match Section::top(file) {
            Ok(top) => Self::read_top(top, &mut mistakes),
            Err(mistake) => return Err(vec![mistake]),
        };
        mistakes.sort_unstable();
        if mistakes.is_empty() { Ok(plan) } else { Err(mistakes) }
    }

    fn read_top(mut top: Section<'_>, mistakes: &mut Vec<Mistake>) -> Self {
        let settings = note(Settings::read(&mut top), mistakes);
        let lease = top.section(&LEASE).and_then(|section| section.map(Lease::read).transpose());
        let lease = note(lease, mistakes);
        let known = mistakes.len();
        let sources = read_sources(&mut top, &settings, mistakes);
        if sources.is_empty() && mistakes.len() == known {
            mistakes.push(top.wrong("nothing is watched: write [[pgbouncer]], [[postgres]] or [[queue]]"));
        }
        if sources.len() > MAX_SOURCES {
            mistakes.push(
                top.wrong(format!("more than {MAX_SOURCES} tables: have several processes share them")),
            );
        }
        note(top.end(), mistakes);
        Self { settings, lease, sources }
    }

    /// Takes part in the choice of the one that reports, if there may be several.
    pub(super) fn take_part(&self, client: &Client, stop: &Stop) -> Result<Option<SoleReporter>, Failure> {
        self.lease.as_ref().map(|lease| lease.take_part(client, stop)).transpose()
    }

    /// A client that is about to be made.
    pub(super) fn client(&self) -> ClientBuilder {
        self.settings.client()
    }
}

fn read_sources(top: &mut Section<'_>, settings: &Settings, mistakes: &mut Vec<Mistake>) -> Vec<Source> {
    let (mut names, mut sources) = (Names::new(settings.client()), Vec::new());
    for (kind, read) in &READERS {
        for section in note(top.sections(kind), mistakes) {
            let taken = section.wrong("another table has its name and its tags: set `name`, or another tag");
            match read(section, settings) {
                Ok(source) if names.take(&source) => sources.push(source),
                Ok(_) => mistakes.push(taken),
                Err(mistake) => mistakes.push(mistake),
            }
        }
    }
    sources
}

fn note<T: Default>(read: Result<T, Mistake>, mistakes: &mut Vec<Mistake>) -> T {
    read.unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        T::default()
    })
}
