//! All that a file says.

use super::config_file::ConfigFile;
use super::entry::Entry;
use super::lease::Lease;
use super::mistake::Mistake;
use super::names::Names;
use super::section::{Section, Tags};
use super::source::{DEFAULT_EVERY, Source, read_every};
use crate::outcome::Failure;
use crate::stop::Stop;
use std::time::Duration;
use tasktag::{Client, ClientBuilder, ConfigError, SoleReporter};

const MAX_SOURCES: usize = 500;
/// Room for the series of that many sources, with the services and states of each.
const CONTEXTS: usize = 100_000;
const MIN_FLUSH: Duration = Duration::from_millis(100);
const MAX_FLUSH: Duration = Duration::from_secs(3600);

/// What is watched, and where it is reported.
#[derive(Debug, Default)]
pub(super) struct Plan {
    settings: Settings,
    pub(super) lease: Option<Lease>,
    pub(super) sources: Vec<Source>,
}

/// What a client is made with. What is not said here, the environment says, as to every program.
#[derive(Debug, Default)]
struct Settings {
    address: Option<String>,
    prefix: Option<String>,
    tags: Tags,
    flush_interval: Option<Duration>,
}

/// A list of tables: its key, how it is written, and how one of them is read.
type Kind = (&'static str, &'static str, fn(Section<'_>, Duration) -> Result<Source, Mistake>);

const KINDS: [Kind; 3] = [
    ("pgbouncer", "[[pgbouncer]]", Source::read_pgbouncer),
    ("postgres", "[[postgres]]", Source::read_postgres),
    ("queue", "[[queue]]", Source::read_queue),
];

impl Plan {
    /// Reads a file. Of each table the first mistake is told, in the order of the file.
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
        let every = note(read_every(&mut top), mistakes).unwrap_or(DEFAULT_EVERY);
        let lease = top.section("lease", "[lease]").and_then(|section| section.map(Lease::read).transpose());
        let lease = note(lease, mistakes);
        let known = mistakes.len();
        let sources = read_sources(&mut top, every, mistakes);
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
        let Settings { address, prefix, tags, flush_interval } = &self.settings;
        let builder = Client::builder().from_env().context_limit(CONTEXTS).metric_context_limit(CONTEXTS);
        let builder = address.iter().fold(builder, ClientBuilder::agent);
        let builder = prefix.iter().fold(builder, ClientBuilder::prefix);
        let builder = tags.iter().fold(builder, |builder, (key, value)| builder.tag(key, value));
        flush_interval.iter().fold(builder, |builder, interval| builder.flush_interval(*interval))
    }
}

impl Settings {
    fn read(top: &mut Section<'_>) -> Result<Self, Mistake> {
        let address = top.text("address")?;
        let prefix = top.text("prefix")?;
        let tags = top.tags()?;
        let flush_interval =
            top.time("flush_interval", MIN_FLUSH..=MAX_FLUSH)?.map(|interval| interval.value);
        let builder = Client::builder;
        check(address.as_ref(), |address| can_be_built(builder().agent(address)))?;
        check(prefix.as_ref(), |prefix| can_be_built(builder().prefix(prefix)))?;
        check(tags.as_ref(), |tags| {
            can_be_built(tags.iter().fold(builder(), |builder, (key, value)| builder.tag(key, value)))
        })?;
        let [address, prefix] = [address, prefix].map(|entry| entry.map(|entry| entry.value));
        Ok(Self { address, prefix, tags: tags.map(|tags| tags.value).unwrap_or_default(), flush_interval })
    }
}

/// Has the library say what is wrong with a value.
fn check<T>(
    entry: Option<&Entry<'_, T>>,
    check: impl FnOnce(&T) -> Result<(), ConfigError>,
) -> Result<(), Mistake> {
    let Some(entry) = entry else { return Ok(()) };
    check(&entry.value).map_err(|error| entry.wrong(error.to_string()))
}

/// A disabled client has the same settings checked, and no thread.
fn can_be_built(builder: ClientBuilder) -> Result<(), ConfigError> {
    builder.disabled(true).build().map(drop)
}

fn read_sources(top: &mut Section<'_>, every: Duration, mistakes: &mut Vec<Mistake>) -> Vec<Source> {
    let (mut names, mut sources) = (Names::new(), Vec::new());
    for (key, name, read) in KINDS {
        for section in note(top.sections(key, name), mistakes) {
            let taken = section.wrong("another table has its name and its tags: set `name`, or another tag");
            match read(section, every) {
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
