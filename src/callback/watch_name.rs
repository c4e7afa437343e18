//! Names of watches. Each name is used once: two watches of one name would overwrite each other's gauges.

use crate::context::index::Index;
use crate::vocabulary::tag::{TagList, Tags};
use std::sync::{Arc, Weak};

/// The prefix and the tags of a watch, as they are written. The name is taken for as long as its probe is polled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WatchName {
    prefix: String,
    tags: Tags,
}

impl WatchName {
    pub(crate) fn new(index: &Index, prefix: &str, tags: &TagList<'_>) -> Arc<Self> {
        let (prefix, tags) = index.written(prefix, tags);
        Arc::new(Self { prefix, tags })
    }
}

/// The taken names of one process.
#[derive(Debug, Default)]
pub(crate) struct WatchNames(Vec<Taken>);

#[derive(Debug)]
struct Taken {
    // The probe holds this, and the `Watch` holds the other. The first of the two to be dropped frees the name.
    name: Weak<WatchName>,
    watching: Weak<()>,
}

impl WatchNames {
    /// Takes a name for a watch. Returns `false` if another watch has the name.
    pub(crate) fn take(&mut self, name: &Arc<WatchName>, watching: &Arc<()>) -> bool {
        self.0.retain(|taken| taken.watching.strong_count() > 0 && taken.name.strong_count() > 0);
        let is_free = !self.0.iter().any(|taken| taken.name.upgrade().is_some_and(|other| other == *name));
        if is_free {
            self.0.push(Taken { name: Arc::downgrade(name), watching: Arc::downgrade(watching) });
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(prefix: &str, tags: &[(&str, &str)]) -> Arc<WatchName> {
        let mut list = TagList::default();
        list.set_slice(tags);
        WatchName::new(&Index::of(10), prefix, &list)
    }

    #[test]
    fn a_name_is_free_as_soon_as_its_probe_or_its_watch_is_gone() {
        let mut names = WatchNames::default();
        let watching = Arc::new(());
        let first = name("pool", &[("pool", "a"), ("zone", "eu")]);
        assert!(names.take(&first, &watching));
        let same = name("pool", &[("zone", "eu"), ("pool", "a"), ("zone", "eu")]);
        assert!(!names.take(&same, &Arc::new(())));
        let written_alike = name("pool", &[("zone", "eu"), ("pool", "a"), ("", "left out")]);
        assert!(!names.take(&written_alike, &Arc::new(())), "its gauges would be the same");
        for other in [name("queue", &[("pool", "a"), ("zone", "eu")]), name("pool", &[("pool", "a")])] {
            assert!(names.take(&other, &watching));
        }
        drop(first);
        assert!(names.take(&same, &watching), "the probe is gone");
        drop(watching);
        assert!(names.take(&same, &Arc::new(())), "the watch is gone");
        assert_eq!(names.0.len(), 1, "what is gone makes room");
    }
}
