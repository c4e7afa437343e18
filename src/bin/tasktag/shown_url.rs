//! The URL of a server, as it may be shown.

/// The URL without its user, its password and its query, which has the password of a Unix socket. Of a text that is
/// not a valid URL only the scheme is shown: nobody knows where its password is.
pub(crate) fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => format!("{scheme}://{}", place(rest).unwrap_or("…")),
        _ => "…".to_owned(),
    }
}

/// Hosts and path, of what follows the scheme.
fn place(rest: &str) -> Option<&str> {
    // The last `@`, because a password may have one that is not encoded.
    let place = match rest.rsplit_once('@') {
        Some((login, _)) if login.contains(['?', '#']) => return None,
        Some((_, place)) => place,
        None => rest,
    };
    let place = place.split(['?', '#']).next().unwrap_or_default();
    let hosts = place.split('/').next().unwrap_or_default();
    (hosts.is_empty() || hosts.split(',').all(is_host)).then_some(place)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether it is a name or an address, with or without a port. If the `@` is missing, a user and a password stand here.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)),
        None => name.chars().all(|letter| letter.is_alphanumeric() || "-._".contains(letter)),
    };
    is_name && !name.is_empty() && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("redis://user:pass@word@host:1/0", "redis://host:1/0"),
            ("redis://host", "redis://host"),
            ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
            ("redis://[::1]", "redis://[::1]"),
            ("postgres://one:5432,two/shop", "postgres://one:5432,two/shop"),
            ("rediss://:word@host", "rediss://host"),
            ("redis+unix:///run/redis", "redis+unix:///run/redis"),
            ("unix:///run/redis", "unix:///run/redis"),
            ("unix:///run/redis?pass=word", "unix:///run/redis"),
            ("unix:///run/redis?pass=a@word", "unix://…"),
            ("redis://:word%40host:6379", "redis://…"),
            ("postgres://user:word-host/shop", "postgres://…"),
            ("postgres://host:port/shop", "postgres://…"),
            ("password=word host=redis://host", "…"),
            ("word", "…"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
