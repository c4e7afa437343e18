//! What is reported where, under which names, and how often databases are asked.

use super::entry::Entry;
use super::mistake::Mistake;
use super::section::{Section, Tags};
use std::time::Duration;
use tasktag::{Client, ClientBuilder, ConfigError};

/// Room for the series of as many sources as there may be, with the services and states of each.
const CONTEXTS: usize = 100_000;
const MIN_FLUSH: Duration = Duration::from_millis(100);
const MAX_FLUSH: Duration = Duration::from_secs(3600);
/// The time between two questions to a database, and its limits.
const DEFAULT_EVERY: Duration = Duration::from_secs(10);
const MIN_EVERY: Duration = Duration::from_secs(1);
const MAX_EVERY: Duration = Duration::from_secs(3600);

/// What a client is made with, and what tables have unless they say otherwise. What is not said here, the environment
/// says, as to every program.
#[derive(Debug, Default)]
pub(super) struct Settings {
    address: Option<String>,
    prefix: Option<String>,
    tags: Tags,
    flush_interval: Option<Duration>,
    every: Option<Duration>,
}

impl Settings {
    pub(super) fn read(top: &mut Section<'_>) -> Result<Self, Mistake> {
        // All keys are taken before the first mistake is returned. Those that are left are unknown.
        let (address, prefix, tags) = (top.text("address"), top.text("prefix"), top.tags());
        let flush_interval = top.time("flush_interval", MIN_FLUSH..=MAX_FLUSH);
        let every = take_every(top);
        let (address, prefix, tags, flush_interval, every) =
            (address?, prefix?, tags?, flush_interval?, every?);
        check(address.as_ref(), |address| can_be_built(Client::builder().agent(address)))?;
        check(prefix.as_ref(), |prefix| can_be_built(Client::builder().prefix(prefix)))?;
        check_tags(tags.as_ref())?;
        let [address, prefix] = [address, prefix].map(|entry| entry.map(|entry| entry.value));
        let flush_interval = flush_interval.map(|interval| interval.value);
        let tags = tags.map(|tags| tags.value).unwrap_or_default();
        Ok(Self { address, prefix, tags, flush_interval, every })
    }

    /// A client that is about to be made.
    pub(super) fn client(&self) -> ClientBuilder {
        let mut builder = Client::builder().from_env().context_limit(CONTEXTS).metric_context_limit(CONTEXTS);
        if let Some(address) = &self.address {
            builder = builder.agent(address);
        }
        if let Some(prefix) = &self.prefix {
            builder = builder.prefix(prefix);
        }
        for (key, value) in &self.tags {
            builder = builder.tag(key, value);
        }
        if let Some(interval) = self.flush_interval {
            builder = builder.flush_interval(interval);
        }
        builder
    }

    /// Takes the time between two questions of a table.
    pub(super) fn every(&self, section: &mut Section<'_>) -> Result<Duration, Mistake> {
        Ok(take_every(section)?.or(self.every).unwrap_or(DEFAULT_EVERY))
    }

    /// Takes the prefix of a table. With that of all names it is as long as the library allows for one, which leaves
    /// room for the longest name of a field.
    pub(super) fn prefix_of(&self, section: &mut Section<'_>) -> Result<Option<String>, Mistake> {
        let prefix = section.text("prefix")?;
        check(prefix.as_ref(), |prefix| {
            let whole = match &self.prefix {
                Some(first) => format!("{first}.{prefix}"),
                None => prefix.clone(),
            };
            can_be_built(Client::builder().prefix(whole))
        })?;
        Ok(prefix.map(|prefix| prefix.value))
    }
}

/// Takes the tags of a table.
pub(super) fn tags_of(section: &mut Section<'_>) -> Result<Tags, Mistake> {
    let tags = section.tags()?;
    check_tags(tags.as_ref())?;
    Ok(tags.map(|tags| tags.value).unwrap_or_default())
}

fn take_every(section: &mut Section<'_>) -> Result<Option<Duration>, Mistake> {
    Ok(section.time("every", MIN_EVERY..=MAX_EVERY)?.map(|every| every.value))
}

fn check_tags(tags: Option<&Entry<'_, Tags>>) -> Result<(), Mistake> {
    check(tags, |tags| {
        tags.iter().try_for_each(|(key, value)| can_be_built(Client::builder().tag(key, value)))
    })
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
