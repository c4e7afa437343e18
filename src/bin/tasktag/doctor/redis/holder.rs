//! Who holds an id.

use crate::readable::readable_start;
use std::fmt;
use std::time::Duration;

/// The characters of a token that are shown. They tell holders apart, and are not enough to give another's lease back.
const MAX_TOKEN: usize = 8;
/// The hexadecimal digits of a token.
const TOKEN: usize = 32;
/// The characters that are shown of a member that is no lease of this library.
const MAX_MEMBER: usize = 60;
/// The milliseconds that are shown at most.
const MAX_LEFT: f64 = 1e12;

/// A lease as the server has it.
#[derive(Debug)]
pub(super) struct Holder {
    text: String,
    left: Duration,
}

impl Holder {
    /// Reads a member, `number:token`. `expiry` and `now` are milliseconds of the server's clock.
    pub(super) fn read(member: &[u8], expiry: f64, now: u64) -> Self {
        let member = String::from_utf8_lossy(member);
        let text = match member.split_once(':') {
            Some((number, token)) if is_number(number) && is_token(token) => {
                format!("id {number} is held by {}; its lease", readable_start(token, MAX_TOKEN))
            }
            _ => format!("{} is no lease of this library; it", readable_start(&member, MAX_MEMBER)),
        };
        let left = (expiry - now as f64).clamp(0.0, MAX_LEFT) / 1e3;
        // A server may say anything, and so that it is no number.
        Self { text, left: Duration::try_from_secs_f64(left).unwrap_or_default() }
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}

fn is_token(text: &str) -> bool {
    text.len() == TOKEN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ends in {:.1} s unless it is renewed", self.text, self.left.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_shown_with_what_tells_it_apart_and_a_strangers_text_as_it_is() {
        let shown = |member: &[u8]| Holder::read(member, 31_500.0, 1_000).to_string();
        let token = b"7:0123456789abcdef0123456789abcdef";
        assert_eq!(shown(token), "id 7 is held by 01234567…; its lease ends in 30.5 s unless it is renewed");
        assert_eq!(
            shown(b"8:host-a\x1b"),
            "8:host-a\\u{1b} is no lease of this library; it ends in 30.5 s unless it is renewed"
        );
        assert!(shown(b"\xff").contains(" is no lease of this library; it ends in "));
        assert!(Holder::read(token, f64::NAN, 0).to_string().contains(" ends in 0.0 s"));
        assert!(Holder::read(token, f64::INFINITY, 0).to_string().contains(" ends in 1000000000.0 s"));
    }
}
