//! The URL of a server, as it may be shown.

use std::fmt;

/// Leaves out the password and everything that may be one: `redis://***@cache:6379/0`.
pub(crate) struct ShownUrl<'a>(pub(crate) &'a str);

impl fmt::Display for ShownUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", self.0));
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        if !scheme.is_empty() {
            write!(f, "{scheme}://")?;
        }
        if user.is_some() {
            f.write_str("***@")?;
        }
        // The URL of a Unix socket holds its password in the query. An `@` after a question mark is not part of a host.
        let is_query = user.is_some_and(|user| user.contains(['?', '#']));
        f.write_str(rest.split(['?', '#']).next().filter(|_| !is_query).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_nowhere() {
        for (url, shown) in [
            ("redis://cache:6379/0", "redis://cache:6379/0"),
            ("redis://:secret@cache", "redis://***@cache"),
            ("redis://shop:secret@cache:6379/2", "redis://***@cache:6379/2"),
            ("redis://shop:secr@t@cache", "redis://***@cache"),
            ("redis://shop:se/cr/et@cache", "redis://***@cache"),
            ("redis://shop:secret?@cache", "redis://***@"),
            ("redis://cache/0?password=secret", "redis://cache/0"),
            ("redis://cache/0#secret", "redis://cache/0"),
            ("unix:///run/redis.sock?pass=secret", "unix:///run/redis.sock"),
            ("unix:///run/redis.sock?pass=a@secret", "unix://***@"),
            ("shop:secret@cache", "***@cache"),
            ("", ""),
        ] {
            assert_eq!(ShownUrl(url).to_string(), shown, "{url}");
        }
    }
}
