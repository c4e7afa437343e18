//! The URL of a server, as it may be shown.

/// The URL as it may be shown: without what may be a password, which a Unix socket's URL has in its query.
pub(crate) fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let place = rest.rsplit_once('@').map_or(
        rest,
        |(login, place)| {
            if login.contains(['?', '#']) { "" } else { place }
        },
    );
    let place = place.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("redis://user:pass@word@host:1/0", "redis://host:1/0"),
            ("redis://host", "redis://host"),
            ("rediss://:word@host", "rediss://host"),
            ("unix:///run/redis", "unix:///run/redis"),
            ("unix:///run/redis?pass=word", "unix:///run/redis"),
            ("unix:///run/redis?pass=a@word", "unix://"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
