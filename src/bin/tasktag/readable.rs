//! Bytes of strangers, made safe for a terminal.

use std::fmt::Write;

/// Writes what a terminal could take for a command, or what would hide or turn a text, as an escape of plain
/// characters: control characters, bytes that are no UTF-8, and invisible marks of direction and width.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push(character, &mut text);
        }
        for byte in chunk.invalid() {
            // Writing to a `String` can't fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The same for a text, of which only the first characters are shown.
pub(crate) fn readable_start(text: &str, characters: usize) -> String {
    let end = text.char_indices().nth(characters).map_or(text.len(), |(end, _)| end);
    let mut shown = readable(text.get(..end).unwrap_or(text).as_bytes());
    if end < text.len() {
        shown.push('…');
    }
    shown
}

fn push(character: char, text: &mut String) {
    if character.is_control() || is_invisible(character) {
        text.extend(character.escape_default());
    } else {
        text.push(character);
    }
}

/// Marks of direction and width, separators of lines, and the tags that spell a second text beside the visible one.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_stays() {
        assert_eq!(readable("jobs.done größe 漢字 🙂 \\".as_bytes()), "jobs.done größe 漢字 🙂 \\");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let hostile = b"\x1b[2J\x07\x9b31m\xc2\x9b0m\r\n\t\x00\xe2\x80\xae\x7f\xff";
        let shown = readable(hostile);
        assert!(shown.chars().all(|c| c.is_ascii_graphic()), "{shown}");
        assert!(shown.starts_with("\\u{1b}[2J\\u{7}\\x9b31m\\u{9b}0m\\r\\n\\t\\u{0}\\u{202e}\\u{7f}\\xff"));
    }

    #[test]
    fn the_start_of_a_text_ends_between_characters() {
        assert_eq!(readable_start("äöü", 2), "äö…");
        assert_eq!(readable_start("äöü", 3), "äöü");
    }
}
