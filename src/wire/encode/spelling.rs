//! The text of names and tags on the wire, for all agents of a client. It decides which contexts share a line.

use super::clean::{self, MAX_NAME, MAX_TAG, MAX_TAG_PART};
use super::{Encoder, Format, Globals, Weights};
use crate::task_id::TaskIdOn;
use crate::vocabulary::identity::Identity;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::DistinctTags;
use std::hash::BuildHasher;

type Pairs = Vec<(String, String)>;

/// A client's encoders, used only for the text of names and tags.
///
/// Names and tags that have the same text for every agent are one context. A context is identified by the text for the
/// agent whose dialect changes least, which stays readable.
#[derive(Debug)]
pub(crate) struct Spelling {
    encoders: Vec<Encoder>,
}

/// The text that identifies a context, in place of what the caller passed.
#[derive(Debug)]
pub(crate) struct Spelled {
    pub(crate) name: String,
    pub(crate) tags: Pairs,
    /// The number of tags that no agent receives.
    pub(crate) left_out: u64,
}

impl Spelling {
    /// Makes it for agents, each with its format and the text on each of its lines.
    pub(crate) fn new<'a>(agents: impl Iterator<Item = (Format, Globals<'a>)>) -> Self {
        Self { encoders: agents.map(|(format, globals)| Encoder::new(format, globals)).collect() }
    }

    /// Whether a name and tags are certainly written unchanged, for every agent. Allocates nothing.
    pub(crate) fn leaves(&self, name: &str, tags: &DistinctTags<'_, '_>) -> bool {
        self.encoders.iter().all(|encoder| encoder.leaves_name(name) && encoder.leaves_tags(tags))
    }

    /// The identifying text of a name and tags, or `None` if it is the same.
    pub(crate) fn spell(&self, name: &str, tags: &DistinctTags<'_, '_>, kind: Kind) -> Option<Spelled> {
        let spelled_name = self.spell_name(name, kind, tags.without_task_id());
        let spelled_tags = self.spell_tags(tags);
        if spelled_name.is_none() && spelled_tags.is_none() {
            return None;
        }
        let name = spelled_name.unwrap_or_else(|| name.to_owned());
        let (tags, left_out) = spelled_tags.unwrap_or_else(|| {
            (tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(), 0)
        });
        Some(Spelled { name, tags, left_out })
    }

    /// The identifying text of a name, or `None` if it is the same. It has at most a line's length, however long `raw`
    /// is.
    pub(crate) fn spell_name(&self, raw: &str, kind: Kind, without_task_id: bool) -> Option<String> {
        if self.encoders.iter().all(|encoder| encoder.leaves_name(raw)) {
            return None;
        }
        // Whatever prefix an agent adds.
        let start = clean::name(clean::start(raw, MAX_NAME));
        let fronts: Vec<_> = self
            .encoders
            .iter()
            .flat_map(|encoder| encoder.fronts(kind, without_task_id).map(move |front| (encoder, front)))
            .collect();
        let written = |name: &str| -> Vec<String> {
            fronts.iter().map(|(encoder, with_task_id)| encoder.full_name(name, "", *with_task_id)).collect()
        };
        let wanted = written(&start);
        let mut own =
            fronts.iter().zip(&wanted).map(|((encoder, front), full)| encoder.own_name(full, *front));
        // Cleaning the result must give the same text as cleaning `raw`, for every agent.
        let spelled = own.find(|name| written(name) == wanted).unwrap_or(&start);
        (spelled != raw).then(|| spelled.to_owned())
    }

    fn spell_tags(&self, raw: &DistinctTags<'_, '_>) -> Option<(Pairs, u64)> {
        if self.encoders.iter().all(|encoder| encoder.leaves_tags(raw)) {
            return None;
        }
        let wanted: Vec<_> = self.encoders.iter().map(|encoder| encoder.spelled_tags(raw.iter())).collect();
        let is_wanted = |(tags, _): &&(Pairs, u64)| {
            let mut written = self.encoders.iter().map(|encoder| encoder.spelled_tags(pairs(tags)).0);
            wanted.iter().all(|(wanted, _)| written.next().as_ref() == Some(wanted))
        };
        let (tags, left_out) = wanted.iter().find(is_wanted).cloned().unwrap_or_else(|| (starts(raw), 0));
        (!raw.sorted().into_iter().eq(pairs(&tags))).then_some((tags, left_out))
    }

    /// Whether an agent may write the same line for two contexts: its dialect differs from the others', or it has no
    /// tags, or some lines never have a task id.
    pub(crate) fn may_clash(&self) -> bool {
        let is_unclear =
            |encoder: &Encoder| !encoder.writes_tags() || encoder.task_id_on != TaskIdOn::AllKinds;
        self.encoders.len() > 1 || self.encoders.iter().any(is_unclear)
    }

    /// Hashes of each agent's text of a name and tags. They are equal if the agent writes one line for both.
    pub(crate) fn lines(&self, identity: &Identity, kind: Kind, hasher: &impl BuildHasher) -> Vec<u64> {
        let lines = self.encoders.iter().map(|encoder| {
            let (suffix, kind) = encoder.shortest_name_of(kind);
            encoder.line_hash(identity, suffix, kind, hasher)
        });
        lines.collect()
    }

    /// Like [`lines`](Self::lines), for the main agent and one of a context's lines, which has a kind of its own.
    pub(crate) fn main_line(
        &self,
        identity: &Identity,
        suffix: &str,
        kind: Kind,
        hasher: &impl BuildHasher,
    ) -> u64 {
        self.encoders.first().map_or(0, |encoder| encoder.line_hash(identity, suffix, kind, hasher))
    }
}

/// The part of the tags that can be written.
fn starts(tags: &DistinctTags<'_, '_>) -> Pairs {
    let start = |text| clean::start(text, MAX_TAG_PART).to_owned();
    let mut starts: Pairs = tags.iter().map(|(key, value)| (start(key), start(value))).collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}

fn pairs(tags: &Pairs) -> impl Iterator<Item = (&str, &str)> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

impl Encoder {
    fn leaves_name(&self, name: &str) -> bool {
        // Two more bytes if it has to start with a letter. Not all of a context's lines have the task id in front.
        let is_led = self.own_prefix_len > 0 || name.starts_with(|c: char| c.is_ascii_alphabetic());
        is_led
            && self.prefix.len() + name.len() <= MAX_NAME - "m_".len()
            && name.chars().all(clean::is_kept_everywhere)
    }

    fn leaves_tags(&self, tags: &DistinctTags<'_, '_>) -> bool {
        tags.iter().all(|(key, value)| self.leaves_tag(key, value))
    }

    fn leaves_tag(&self, key: &str, value: &str) -> bool {
        // Counted in bytes, of which there are at least as many as characters.
        let fits =
            key.len() <= MAX_TAG_PART && value.len() <= MAX_TAG_PART && key.len() + value.len() < MAX_TAG;
        let is_plain = || {
            key.chars().all(clean::is_kept_everywhere)
                && value.chars().all(|c| self.grammar.keeps_in_values(c))
                && !key.is_empty()
                && !value.is_empty()
        };
        // The global tags include the task id.
        fits && is_plain()
            && !key.eq_ignore_ascii_case(&self.task_id_key)
            && !self.grammar.renames(key)
            && !self.globals.iter().any(|(global, _)| global == key)
    }

    /// Whether the task id precedes the name in some, all or none of the lines of a kind.
    fn fronts(&self, kind: Kind, without_task_id: bool) -> impl Iterator<Item = bool> + use<> {
        let is_in_front = |kind| self.format.task_id_in_names && self.carries_task_id(kind, without_task_id);
        let (first, second) = if self.writes_summaries(kind) {
            (is_in_front(Kind::Counter), is_in_front(Kind::Gauge))
        } else {
            (is_in_front(kind), is_in_front(kind))
        };
        [first].into_iter().chain((second != first).then_some(second))
    }

    fn writes_summaries(&self, kind: Kind) -> bool {
        kind.is_spread() && self.weights() == Weights::Summaries
    }

    /// The line of a context whose name is cut first: the suffix after the name, and the line's kind.
    fn shortest_name_of(&self, kind: Kind) -> (&'static str, Kind) {
        if kind == Kind::Occupancy {
            // It may be asked for at any time.
            return (".oldest_seconds", Kind::Gauge);
        }
        if self.writes_summaries(kind) { (".count", Kind::Counter) } else { ("", kind) }
    }

    /// The text of a name after the prefix.
    fn own_name<'a>(&self, full: &'a str, with_task_id: bool) -> &'a str {
        let mut front = self.prefix.clone();
        if !with_task_id {
            front.truncate(self.own_prefix_len);
        }
        if !front.is_empty() {
            clean::start_with_letter(&mut front);
        }
        full.get(front.len()..).unwrap_or_default()
    }

    /// The sorted text of a context's tags, and how many are left out. A tag that equals a global tag is the global
    /// one.
    fn spelled_tags<'a>(&self, tags: impl Iterator<Item = (&'a str, &'a str)>) -> (Pairs, u64) {
        let (mut own, left_out) = self.clean_tags(tags);
        own.sort_unstable();
        let is_alone = |key: &str| own.iter().filter(|(other, _)| other == key).nth(1).is_none();
        let globals = self.globals.iter().filter(|(key, _)| {
            is_alone(key) && self.globals.iter().filter(|(other, _)| other == key).nth(1).is_none()
        });
        let globals: Vec<_> = globals.filter(|tag| own.binary_search(tag).is_ok()).collect();
        own.retain(|tag| !globals.contains(&tag));
        (own, left_out)
    }

    fn writes_tags(&self) -> bool {
        let mut out = Vec::new();
        self.grammar.tags_in_name(&[("a", "b")], &mut out);
        self.grammar.tags_at_end(&[("a", "b")], &mut out);
        !out.is_empty()
    }

    fn line_hash(&self, identity: &Identity, suffix: &str, kind: Kind, hasher: &impl BuildHasher) -> u64 {
        let with_task_id = self.carries_task_id(kind, identity.without_task_id());
        let own = self.clean_tags(identity.tags()).0;
        let mut all = if self.writes_tags() { self.with_globals(&own, with_task_id) } else { Vec::new() };
        all.sort_unstable();
        // A counter may share the name.
        hasher.hash_one((self.full_name(identity.name(), suffix, with_task_id), all, kind.is_spread()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::protocol::Protocol;
    use crate::vocabulary::tag::{TagList, Tags};
    use crate::wire::encode::{Dialect, SentAs};
    use crate::wire::origin::Origin;
    use arbtest::arbitrary::{Result, Unstructured};
    use foldhash::fast::FixedState;

    const DIALECTS: [Dialect; 7] = [
        Dialect::DogStatsd,
        Dialect::TaggedStatsd,
        Dialect::Graphite,
        Dialect::Influx,
        Dialect::Librato,
        Dialect::SignalFx,
        Dialect::Statsd,
    ];

    impl Spelling {
        /// Makes it for a client with these agents.
        fn of(dialects: &[Dialect], prefix: &str) -> Self {
            Self::with_task_id_on(TaskIdOn::AllKinds, dialects, prefix)
        }

        fn with_task_id_on(task_id_on: TaskIdOn, dialects: &[Dialect], prefix: &str) -> Self {
            let (origin, tags) = (Origin::none(), [("region".to_owned(), "eu".to_owned())]);
            let globals = Globals {
                prefix,
                tags: &tags,
                task_id_key: "task_id",
                task_id: "0042",
                task_id_on,
                origin: &origin,
            };
            let format = |&dialect: &Dialect| Format {
                dialect,
                protocol: Protocol::default(),
                weights: None,
                sent_as: SentAs {
                    distributions: Kind::Timing,
                    histograms: Kind::Timing,
                    timings: Kind::Timing,
                },
                negative_values: None,
                task_id_in_names: dialect == Dialect::Statsd,
            };
            Self::new(dialects.iter().map(|dialect| (format(dialect), globals)))
        }

        pub(crate) fn of_dogstatsd() -> Self {
            Self::of(&[Dialect::DogStatsd], "")
        }
    }

    fn text(u: &mut Unstructured<'_>) -> Result<String> {
        let parts = [
            "a", "Z", "0", "_", "-", ".", "/", ":", " ", "|", "é", "京", "name", "le", "task_id", "region",
            "eu",
        ];
        let mut text = String::new();
        for _ in 0..u.int_in_range(0..=3)? {
            text.push_str(u.choose(&parts)?);
        }
        if u.ratio(1, 20)? { Ok(text.repeat(60)) } else { Ok(text) }
    }

    fn tags(u: &mut Unstructured<'_>) -> Result<Pairs> {
        (0..u.int_in_range(0..=3)?).map(|_| Ok((text(u)?, text(u)?))).collect()
    }

    /// A client's agents, and two contexts.
    fn spelling(u: &mut Unstructured<'_>) -> Result<Spelling> {
        let dialects: Vec<Dialect> =
            (0..u.int_in_range(1..=3)?).map(|_| u.choose(&DIALECTS).copied()).collect::<Result<_>>()?;
        let task_id_on = *u.choose(&[TaskIdOn::AllKinds, TaskIdOn::Levels])?;
        Ok(Spelling::with_task_id_on(task_id_on, &dialects, u.choose(&["", "shop", "5.shop"])?))
    }

    fn with_list<T>(tags: &Pairs, then: impl FnOnce(&DistinctTags<'_, '_>) -> T) -> T {
        let pairs: Vec<_> = pairs(tags).collect();
        let mut list = TagList::default();
        list.set_slice(&pairs);
        then(&list.distinct())
    }

    /// The text that identifies a context.
    fn known_by(spelling: &Spelling, name: &str, tags: &Pairs) -> (String, Tags) {
        with_list(tags, |list| match spelling.spell(name, list, Kind::Gauge) {
            Some(spelled) => (spelled.name, Tags::new(spelled.tags)),
            None => (name.to_owned(), list.kept()),
        })
    }

    fn lines(spelling: &Spelling, name: &str, tags: &Tags) -> Vec<u64> {
        let pairs: Vec<_> = tags.iter().collect();
        let mut list = TagList::default();
        list.set_slice(&pairs);
        spelling.lines(&Identity::new(name, &list.distinct()), Kind::Gauge, &FixedState::default())
    }

    #[test]
    fn what_is_left_as_it_is_is_written_as_it_is() {
        arbtest::arbtest(|u| {
            let (spelling, name, tags) = (spelling(u)?, text(u)?, tags(u)?);
            let leaves = with_list(&tags, |list| !name.is_empty() && spelling.leaves(&name, list));
            if leaves {
                for encoder in &spelling.encoders {
                    for with_task_id in [false, true] {
                        let full = encoder.full_name(&name, "", with_task_id);
                        assert_eq!(encoder.own_name(&full, with_task_id), name);
                    }
                    let (own, left_out) = encoder.spelled_tags(pairs(&tags));
                    assert_eq!((Tags::new(own), left_out), (Tags::new(tags.clone()), 0));
                }
                assert_eq!(known_by(&spelling, &name, &tags), (name, Tags::new(tags)));
            }
            Ok(())
        });
    }

    #[test]
    fn the_words_for_a_context_are_written_as_those_that_were_passed() {
        arbtest::arbtest(|u| {
            let (spelling, name, tags) = (spelling(u)?, text(u)?, tags(u)?);
            if name.is_empty() {
                return Ok(());
            }
            let (known_name, known_tags) = known_by(&spelling, &name, &tags);
            assert!(known_name.len() <= MAX_NAME, "no more is kept than is written");
            let is_short = |text: &str| text.chars().count() <= MAX_TAG_PART;
            assert!(known_tags.iter().all(|(key, value)| is_short(key) && is_short(value)));
            let passed = Tags::new(tags.clone());
            assert_eq!(lines(&spelling, &known_name, &known_tags), lines(&spelling, &name, &passed));
            let (kind, without_task_id) = (*u.choose(&[Kind::Counter, Kind::Gauge])?, u.ratio(1, 2)?);
            let spelled = spelling.spell_name(&name, kind, without_task_id).unwrap_or(name.clone());
            let full_names = |name: &str| -> Vec<String> {
                let full = |encoder: &Encoder| {
                    encoder.full_name(name, "", encoder.carries_task_id(kind, without_task_id))
                };
                spelling.encoders.iter().map(full).collect()
            };
            assert_eq!(full_names(&spelled), full_names(&name));
            let again = known_tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            assert_eq!(known_by(&spelling, &known_name, &again), (known_name, known_tags));
            Ok(())
        });
    }

    #[test]
    fn with_one_agent_that_has_tags_contexts_of_one_line_are_one() {
        arbtest::arbtest(|u| {
            let dialect = *u.choose(&DIALECTS[..6])?;
            let spelling = Spelling::of(&[dialect], u.choose(&["", "shop", "5.shop"])?);
            let (first, second) = ((text(u)?, tags(u)?), (text(u)?, tags(u)?));
            if first.0.is_empty() || second.0.is_empty() {
                return Ok(());
            }
            let lines = |(name, tags): &(String, Pairs)| lines(&spelling, name, &Tags::new(tags.clone()));
            let is_one_line = lines(&first) == lines(&second);
            let known_by = |(name, tags): &(String, Pairs)| known_by(&spelling, name, tags);
            assert_eq!(known_by(&first) == known_by(&second), is_one_line, "{first:?} {second:?}");
            Ok(())
        });
    }

    #[test]
    fn contexts_are_known_by_the_words_of_the_agent_that_changes_least() {
        let known_by = |dialects: &[Dialect], name, tag: (&str, &str)| {
            let (name, tags) =
                known_by(&Spelling::of(dialects, ""), name, &vec![(tag.0.to_owned(), tag.1.to_owned())]);
            let tags: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("{name} {}", tags.join(","))
        };
        let both = [Dialect::TaggedStatsd, Dialect::DogStatsd];
        assert_eq!(known_by(&both, "jobs done", ("city", "北京 ")), "jobs_done city=北京_");
        assert_eq!(known_by(&both[..1], "jobs done", ("city", "北京 ")), "jobs_done city=___");
        assert_eq!(known_by(&[Dialect::Influx], "5xx", ("a", "")), "m_5xx a=true");
        assert_eq!(known_by(&[Dialect::Influx, Dialect::Graphite], "a", ("name", "")), "a name=true");
        assert_eq!(known_by(&[Dialect::Statsd], "a", ("b", "c d")), "a b=c_d");
        assert_eq!(known_by(&[Dialect::DogStatsd], "a", ("region", "eu")), "a ");
        assert_eq!(known_by(&[Dialect::DogStatsd], "a", ("region", "us")), "a region=us");
        assert_eq!(known_by(&[Dialect::DogStatsd], "a", ("Task_ID", "7")), "a task_id_=7");
        assert_eq!(known_by(&[Dialect::DogStatsd], "a", ("Task_ID", "0042")), "a ");
    }
}
