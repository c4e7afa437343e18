//! Texts that are mostly short, in as little memory as they need.

use crate::vocabulary::text;

/// A text that needs no allocation of its own if it is short, as most values of tags are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum SmallText {
    Short { len: u8, bytes: [u8; Self::SHORT] },
    Long(Box<str>),
}

impl SmallText {
    /// The maximum number of bytes of a short text. They fill the 24 bytes that the enum takes for a long one.
    const SHORT: usize = 22;

    pub(super) fn new(text: &str) -> Self {
        let (mut bytes, len) = ([0; Self::SHORT], text.len());
        match (bytes.get_mut(..len), u8::try_from(len)) {
            (Some(short), Ok(len)) => {
                short.copy_from_slice(text.as_bytes());
                Self::Short { len, bytes }
            }
            _ => Self::Long(text.into()),
        }
    }

    /// Returns whether it is this text.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `text::same`")]
    pub(super) fn is(&self, text: &str) -> bool {
        match self {
            // The length is compared before the text is cut out, so that the latter needs no check.
            Self::Short { len, bytes } if text.len() <= text::MAX_IN_WORDS => {
                let kept = bytes.get(..text.len()).unwrap_or_default();
                usize::from(*len) == text.len() && text::same_bytes(text.as_bytes(), kept)
            }
            _ => self.as_bytes() == text.as_bytes(),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(text) => text.as_bytes(),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Short { .. } => str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }
}

impl std::fmt::Debug for SmallText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_is_what_it_was_made_of() {
        for text in (0..300).map(|len| "äb".chars().cycle().take(len).collect::<String>()) {
            let kept = SmallText::new(&text);
            assert_eq!((kept.as_str(), &kept), (text.as_str(), &SmallText::new(&text)));
            assert!(kept.is(&text), "{text}");
            let longer = format!("{text}b");
            assert!(!kept.is(&longer) && !SmallText::new(&longer).is(&text), "{text}");
        }
    }

    #[test]
    fn every_byte_of_a_text_counts() {
        for text in (1..70).map(|len| "a".repeat(len)) {
            for at in 0..text.len() {
                let mut other = text.clone();
                other.replace_range(at..=at, "_");
                assert!(!SmallText::new(&text).is(&other), "{other}");
            }
        }
    }

    #[test]
    fn only_a_long_text_has_an_allocation() {
        assert_eq!(size_of::<SmallText>(), 24);
        assert!(matches!(SmallText::new(&"x".repeat(22)), SmallText::Short { .. }));
        assert!(matches!(SmallText::new(&"x".repeat(23)), SmallText::Long(_)));
    }
}
