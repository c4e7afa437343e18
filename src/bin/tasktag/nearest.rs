//! What somebody meant who wrote something else.

/// Returns the known name with the most letters in the same places, from either end. At least half of the letters must
/// be the same: otherwise something else was meant.
pub(crate) fn nearest<'a>(known: impl IntoIterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let alike = known.into_iter().map(|known| (same_letters(known, name), known));
    let alike = alike.filter(|(same, known)| 2 * same >= known.len().max(name.len()));
    alike.max_by_key(|(same, _)| *same).map(|(_, known)| known)
}

fn same_letters(one: &str, other: &str) -> usize {
    let from_start = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let from_end = one.bytes().rev().zip(other.bytes().rev()).take_while(|(one, other)| one == other).count();
    // In `aa` and `aaa` both ends are the same letters.
    (from_start + from_end).min(one.len()).min(other.len())
}

/// The question whether a known name was meant, to be put behind what is wrong, or the end of that sentence.
pub(crate) fn did_you_mean<'a>(known: impl IntoIterator<Item = &'a str>, name: &str) -> String {
    nearest(known, name).map_or_else(|| ".".to_owned(), |meant| format!(", did you mean `{meant}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] = ["name", "promise", "queue", "system", "url", "url_variable"];

    #[test]
    fn a_slip_is_nearest_to_what_was_meant() {
        for (slip, meant) in [
            ("qeue", "queue"),
            ("urls", "url"),
            ("promises", "promise"),
            ("sytem", "system"),
            ("url_varable", "url_variable"),
            ("nmae", "name"),
        ] {
            assert_eq!(nearest(KNOWN, slip), Some(meant));
        }
    }

    #[test]
    fn nothing_is_nearest_to_what_has_little_in_common() {
        for name in ["zzz", "", "quota", "unit"] {
            assert_eq!(nearest(KNOWN, name), None, "{name}");
        }
        assert_eq!(nearest([], "name"), None);
    }
}
