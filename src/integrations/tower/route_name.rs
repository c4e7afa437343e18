//! Room for the name of a route.

use std::fmt;

/// The bytes of as many characters as a tag's value has, if each takes the most that UTF-8 knows.
const ROOM: usize = 4 * 100;

/// The name of a route while [`HttpLayer::write_route`](super::HttpLayer::write_route) has it written, without an
/// allocation.
///
/// It has room for 400 bytes, enough for the 100 characters of a tag's value in any script. What is written beyond them
/// is left out.
pub struct RouteName {
    bytes: [u8; ROOM],
    len: usize,
    // Something was left out, and nothing may follow it.
    full: bool,
}

impl RouteName {
    pub(super) fn new() -> Self {
        Self { bytes: [0; ROOM], len: 0, full: false }
    }

    /// Returns what has been written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.len).unwrap_or_default();
        std::str::from_utf8(written).unwrap_or_default()
    }
}

impl fmt::Write for RouteName {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = if self.full { 0 } else { ROOM - self.len };
        let fits = (0..=text.len().min(room)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        self.full |= fits < text.len();
        let end = self.len + fits;
        if let (Some(free), Some(text)) = (self.bytes.get_mut(self.len..end), text.get(..fits)) {
            free.copy_from_slice(text.as_bytes());
            self.len = end;
        }
        Ok(())
    }
}

impl fmt::Debug for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RouteName").field(&self.as_str()).finish()
    }
}
