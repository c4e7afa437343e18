//! Limits the memory of an event or a service check that waits for the worker to the size of its packet.

use super::{Event, ServiceCheck};
use std::mem;

/// The size in bytes of the largest packet for an event or a service check, and of the memory that one takes while it
/// waits.
pub(crate) const MAX_BYTES: usize = 8192;

/// The bytes kept of a host, an aggregation key or a source type when not everything fits. Host names have at most 253.
const MAX_FIELD: usize = 256;
/// The most bytes that the encoder can use of a check's name: 200 characters.
const MAX_NAME: usize = 800;
/// The most bytes that the encoder can use of a tag's key or value: 100 characters.
const MAX_TAG_PART: usize = 400;
/// The bytes reserved for the texts, however many tags there are.
const MIN_TEXTS: usize = 1024;

type Tags = Vec<(String, String)>;

/// What was left out to fit the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Cuts {
    /// Whether a text was truncated.
    pub(crate) text: bool,
    pub(crate) tags: u64,
}

impl Event {
    /// Truncates an event that has more bytes than a packet holds.
    pub(crate) fn bound(&mut self) {
        let fields = [&mut self.hostname, &mut self.aggregation_key, &mut self.source_type];
        let texts = fields.iter().filter_map(|field| field.as_ref()).chain([&self.title, &self.text]);
        let Some(mut room) = Room::needed_for(texts, &self.tags) else { return };
        fields.into_iter().flatten().for_each(|field| room.keep(field, room.field));
        room.keep_tags(&mut self.tags);
        room.left += room.reserved;
        let (title, text) = share(self.title.len(), self.text.len(), room.left);
        room.keep(&mut self.title, title);
        room.keep(&mut self.text, text);
        self.cuts = room.cuts;
    }

    /// Creates an event from texts that may be long, and copies no more of them than can be kept.
    pub(crate) fn of(title: &str, text: &str) -> Self {
        // One more character than fits is copied, so that the truncation is noticed.
        let worth_copying = |text| start(text, MAX_BYTES + char::MAX.len_utf8());
        Self::new(worth_copying(title), worth_copying(text))
    }
}

impl ServiceCheck {
    /// Truncates a check that has more bytes than a packet holds.
    pub(crate) fn bound(&mut self) {
        let texts = [self.hostname.as_ref(), self.message.as_ref()].into_iter().flatten().chain([&self.name]);
        let Some(mut room) = Room::needed_for(texts, &self.tags) else { return };
        room.keep(&mut self.name, room.name);
        // On the wire every name is shorter than that, so this is no truncation of a text.
        room.cuts.text = false;
        self.hostname.iter_mut().for_each(|host| room.keep(host, room.field));
        room.keep_tags(&mut self.tags);
        room.left += room.reserved;
        self.message.iter_mut().for_each(|message| room.keep(message, MAX_BYTES));
        self.cuts = room.cuts;
    }
}

/// The bytes that are left, and what had to be left out.
struct Room {
    left: usize,
    // The most bytes of a field and of a check's name.
    field: usize,
    name: usize,
    // The bytes reserved for the texts.
    reserved: usize,
    cuts: Cuts,
}

impl Room {
    /// Returns `None` if everything fits as it is.
    fn needed_for<'a>(texts: impl Iterator<Item = &'a String>, tags: &Tags) -> Option<Self> {
        let (mut held, mut written) = (bytes_of(tags), tags.iter().map(bytes_of_tag).sum::<usize>());
        for text in texts {
            held += text.capacity();
            written += text.len();
        }
        let cuts = Cuts::default();
        if held <= MAX_BYTES {
            None
        } else if written <= MAX_BYTES {
            // Only unused capacity has to be released.
            Some(Self { left: MAX_BYTES, field: MAX_BYTES, name: MAX_BYTES, reserved: 0, cuts })
        } else {
            let left = MAX_BYTES - MIN_TEXTS;
            Some(Self { left, field: MAX_FIELD, name: MAX_NAME, reserved: MIN_TEXTS, cuts })
        }
    }

    /// Keeps up to `most` bytes of a text.
    fn keep(&mut self, text: &mut String, most: usize) {
        let kept = start(text, most.min(self.left)).len();
        self.cuts.text |= kept < text.len();
        text.truncate(kept);
        text.shrink_to_fit();
        self.left -= kept;
    }

    /// Keeps as many of the first tags as fit.
    fn keep_tags(&mut self, tags: &mut Tags) {
        let fitting = tags.iter().take_while(|tag| {
            let left = self.left.checked_sub(bytes_of_tag(tag));
            self.left = left.unwrap_or(self.left);
            left.is_some()
        });
        let fitting = fitting.count();
        self.cuts.tags += (tags.len() - fitting) as u64;
        tags.truncate(fitting);
        for part in tags.iter_mut().flat_map(|(key, value)| [key, value]) {
            part.truncate(start(part, MAX_TAG_PART).len());
            part.shrink_to_fit();
        }
        tags.shrink_to_fit();
    }
}

fn bytes_of(tags: &Tags) -> usize {
    let texts = tags.iter().map(|(key, value)| key.capacity() + value.capacity()).sum::<usize>();
    texts + tags.capacity() * mem::size_of::<(String, String)>()
}

fn bytes_of_tag((key, value): &(String, String)) -> usize {
    key.len().min(MAX_TAG_PART) + value.len().min(MAX_TAG_PART) + mem::size_of::<(String, String)>()
}

/// Divides `room` bytes between a title and a text. If both fit, each gets its length. Otherwise the title gets at most
/// half of the room, and the text gets the rest.
pub(crate) fn share(title: usize, text: usize, room: usize) -> (usize, usize) {
    let title = title.min(room - text.min(room / 2));
    (title, text.min(room - title))
}

/// Returns the longest start of a text that has up to `bytes` bytes and ends with a whole character.
pub(crate) fn start(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::event::Status;

    fn bytes(event: &Event) -> usize {
        let fields = [&event.hostname, &event.aggregation_key, &event.source_type];
        let fields = fields.into_iter().flatten().map(String::capacity).sum::<usize>();
        fields + event.title.capacity() + event.text.capacity() + bytes_of(&event.tags)
    }

    fn texts(
        u: &mut arbtest::arbitrary::Unstructured<'_>,
        count: usize,
    ) -> arbtest::arbitrary::Result<Vec<String>> {
        (0..count)
            .map(|_| {
                let most = *u.choose(&[0, 10, 300, 2000, 20_000])?;
                let mut text = u.choose(&["x", "ü", "\n", "環"])?.repeat(u.int_in_range(0..=most)?);
                text.reserve(*u.choose(&[0, 9000])?);
                Ok(text)
            })
            .collect()
    }

    #[test]
    fn nothing_is_cut_of_what_has_room() {
        let event = Event::new("t".repeat(100), "x".repeat(6000)).hostname("h".repeat(1000)).tag("k", "v");
        let mut bounded = event.clone();
        bounded.bound();
        assert_eq!(bounded, event);
        let check = ServiceCheck::new("db", Status::Ok).message("x".repeat(8000)).tag("k", "v");
        let mut bounded = check.clone();
        bounded.bound();
        assert_eq!(bounded, check);
    }

    #[test]
    fn the_text_is_cut_first_and_the_title_beyond_half_of_the_room() {
        for (title, text, expected) in [
            (10, 20_000, (10, MAX_BYTES - 10)),
            (20_000, 10, (MAX_BYTES - 10, 10)),
            (20_000, 20_000, (MAX_BYTES / 2, MAX_BYTES / 2)),
        ] {
            let mut event = Event::new("t".repeat(title), "x".repeat(text));
            event.bound();
            assert_eq!((event.title.len(), event.text.len()), expected);
            assert_eq!(event.cuts, Cuts { text: true, tags: 0 });
        }
    }

    #[test]
    fn memory_that_holds_nothing_goes_and_nothing_else() {
        let event = Event::new("t", "x".repeat(5000)).hostname("h".repeat(1000)).tag("k".repeat(300), "v");
        let mut bounded = event.clone();
        bounded.text.reserve(100_000);
        bounded.bound();
        assert_eq!(bounded, event);
        assert!(bytes(&bounded) <= MAX_BYTES);
    }

    #[test]
    fn tags_beyond_the_room_are_left_out_and_counted() {
        let mut event = (0..1000).fold(Event::new("t", "x"), |event, n| event.tag(format!("key{n}"), "v"));
        event.bound();
        assert_eq!(event.cuts, Cuts { text: false, tags: 1000 - event.tags.len() as u64 });
        assert!(event.tags.len() > 50 && event.tags[0].0 == "key0");
        let empty = [(); 400].iter().fold(ServiceCheck::new("db", Status::Ok), |check, ()| check.tag("", ""));
        let mut check = empty.message("x");
        check.bound();
        assert_eq!((check.message.as_deref(), check.cuts.text), (Some("x"), false));
        assert!(check.tags.len() < 400);
    }

    #[test]
    fn no_event_and_no_check_takes_more_than_a_packet_and_each_cut_is_noted() {
        arbtest::arbtest(|u| {
            let [title, text, host, key, source] = texts(u, 5)?.try_into().unwrap();
            let mut event = Event::new(title, text).hostname(host).aggregation_key(key).source_type(source);
            for _ in 0..u.int_in_range(0..=200)? {
                let [key, value] = texts(u, 2)?.try_into().unwrap();
                event = event.tag(key, value);
            }
            let before = event.clone();
            event.bound();
            assert!(bytes(&event) <= MAX_BYTES, "{}", bytes(&event));
            let Cuts { text, tags } = event.cuts;
            assert_eq!(before.tags.len() as u64, event.tags.len() as u64 + tags);
            for ((key, value), (all, all_of_value)) in event.tags.iter().zip(&before.tags) {
                assert!(all.starts_with(key) && all_of_value.starts_with(value));
            }
            event.tags.clone_from(&before.tags);
            event.cuts = Cuts::default();
            assert_eq!(event != before, text);
            assert!(before.title.starts_with(&event.title) && before.text.starts_with(&event.text));
            Ok(())
        })
        .budget_ms(2_000);
    }

    #[test]
    fn a_start_ends_between_characters() {
        for (bytes, expected) in [(0, ""), (1, ""), (2, "ü"), (3, "üx"), (4, "üx"), (9, "üx環")] {
            assert_eq!(start("üx環", bytes), expected);
        }
    }
}
