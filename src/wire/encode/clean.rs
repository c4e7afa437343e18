//! Cleans names and tags, so that they can't forge a line, a field or a tag.

use crate::task_id::TASK_ID_KEY;
use crate::vocabulary::member::Member;

/// The maximum length of a name in bytes. Datadog accepts no longer one.
pub(super) const MAX_NAME: usize = 200;
/// The maximum length of a tag's key or value, in characters.
pub(super) const MAX_TAG_PART: usize = 100;
/// The maximum length of a tag with its colon, in characters. Datadog accepts no longer one.
pub(super) const MAX_TAG: usize = 200;

/// Replaces every character that may not stay by `_`.
pub(super) fn text(raw: &str, stays: impl Fn(char) -> bool) -> String {
    raw.chars().map(|c| if stays(c) { c } else { '_' }).collect()
}

/// Whether every dialect keeps a character in names, and in the keys and values of tags.
pub(super) fn is_kept_everywhere(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

/// Cleans the name of a metric or a service check.
pub(super) fn name(raw: &str) -> String {
    text(raw, is_kept_everywhere)
}

/// Backends refuse names that don't start with a letter, and read one that starts with `_sc` as a service check.
pub(super) fn start_with_letter(name: &mut String) {
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert_str(0, "m_");
    }
}

/// Cleans a name without a prefix: makes it start with a letter, and cuts it.
pub(super) fn whole_name(raw: &str) -> String {
    let mut name = name(start(raw, MAX_NAME));
    start_with_letter(&mut name);
    name.truncate(MAX_NAME);
    name
}

/// Cleans the key or the value of a tag.
pub(super) fn tag(raw: &str, stays: impl Fn(char) -> bool) -> String {
    text(start(raw, MAX_TAG_PART), stays)
}

/// The first characters of a text.
pub(super) fn start(raw: &str, characters: usize) -> &str {
    raw.char_indices().nth(characters).and_then(|(end, _)| raw.get(..end)).unwrap_or(raw)
}

/// Writes a set's member. A member that can't be sent unchanged, or is too long, becomes its hash. Different members
/// must be written differently, or the server counts too few.
pub(super) fn member(raw: &str, stays: impl Fn(char) -> bool) -> String {
    if raw.chars().all(stays) { raw.to_owned() } else { Member::hashed(raw).as_str().to_owned() }
}

/// Cuts a value that is too long together with its key. Only the longest are.
pub(super) fn fit(key: &str, value: &mut String) {
    let room = MAX_TAG.saturating_sub(key.chars().count() + 1);
    if let Some((end, _)) = value.char_indices().nth(room) {
        value.truncate(end);
    }
}

/// Whether a backend, which lower-cases keys, would read this key as a second task id.
#[allow(dead_code, reason = "not every build has an integration that adds the id by itself")]
pub(crate) fn becomes_task_id(key: &str) -> bool {
    becomes(key, TASK_ID_KEY)
}

/// Whether a backend, which lower-cases keys, would read this key as that of the task id.
pub(super) fn becomes(key: &str, task_id_key: &str) -> bool {
    // By Unicode's rules: the Kelvin sign is a `k`, and `İ` is an `i`, for some with a dot above it.
    let lower =
        |key: &str| key.chars().flat_map(char::to_lowercase).filter(|c| *c != '\u{307}').collect::<Vec<_>>();
    key.len() >= task_id_key.len() && lower(key) == lower(task_id_key)
}

/// Puts a text of several lines into one: `\r\n`, `\n` and `\r` become the two characters `\n`.
pub(super) fn one_line(raw: &str) -> String {
    raw.replace("\r\n", "\\n").replace(['\n', '\r'], "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_letters_digits_and_three_marks() {
        assert_eq!(name("a-b_c.D9"), "a-b_c.D9");
        assert_eq!(name("x:1|c\ny é#@,;=[]"), "x_1_c_y_________");
        for (given, made) in [("5xx", "m_5xx"), ("_sc.x", "m__sc.x"), ("", "m_"), ("ok", "ok")] {
            let mut name = given.to_owned();
            start_with_letter(&mut name);
            assert_eq!(name, made);
        }
    }

    #[test]
    fn tags_are_cut_between_characters() {
        assert_eq!(tag(&"ü".repeat(200), char::is_alphanumeric), "ü".repeat(MAX_TAG_PART));
    }

    #[test]
    fn a_tag_is_cut_to_200_characters_with_its_colon() {
        for (key, value, kept) in [(100, 100, 99), (100, 99, 99), (99, 100, 100), (1, 100, 100), (101, 0, 0)]
        {
            let mut value = "ü".repeat(value);
            fit(&"ö".repeat(key), &mut value);
            assert_eq!(value, "ü".repeat(kept));
        }
    }

    #[test]
    fn a_task_id_is_one_in_any_case() {
        for key in ["task_id", "TASK_ID", "tas\u{212a}_id", "task_\u{130}d", "TAS\u{212a}_\u{130}D"] {
            assert!(becomes_task_id(key), "{key}");
        }
        // A long `s` and a dotless `i` are lower case already, and letters of their own.
        for key in ["", "task", "task_ids", "a_task_id", "ta\u{17f}k_id", "task_\u{131}d"] {
            assert!(!becomes_task_id(key), "{key}");
        }
    }

    #[test]
    fn line_breaks_become_two_characters() {
        assert_eq!(one_line("a\r\nb\nc\rd"), "a\\nb\\nc\\nd");
    }
}
