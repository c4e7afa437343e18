//! The URL of a server, as it may be shown.

/// What a path is not shown with. Whoever leaves out or escapes an `@` or a `?` may have a password in it.
const OF_PASSWORDS: [char; 5] = ['@', '%', '=', '&', ':'];

/// The URL as it may be shown: without a login and a query, which may hold a password. Of a URL that can't be read, the
/// scheme alone is shown.
pub(crate) fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => {
            place(rest).map_or_else(|| scheme_alone(url), |place| format!("{scheme}://{place}"))
        }
        _ => scheme_alone(url),
    }
}

/// What is shown of a URL that can't be read.
pub(crate) fn scheme_alone(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, _)) if is_scheme(scheme) => format!("{scheme}://…"),
        Some(_) => "what has no scheme".to_owned(),
        None => "a text without ://".to_owned(),
    }
}

fn is_scheme(text: &str) -> bool {
    text.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
}

/// The hosts with their ports and the path, from what follows the scheme. `None` if it can't be read.
fn place(rest: &str) -> Option<String> {
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (path, query) = tail.split_at(tail.find(['?', '#']).unwrap_or(tail.len()));
    // A password with a `/`, `?` or `#` in it ends the authority too early, and leaves its `@` behind.
    let is_cut_off = !authority.is_empty() && query.contains('@');
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_readable = if authority.is_empty() { path.starts_with('/') } else { host.split(',').all(is_host) };
    (is_readable && !is_cut_off && !path.contains(OF_PASSWORDS)).then(|| format!("{host}{path}"))
}

/// Whether it is a name or an address, with a port or without.
fn is_host(text: &str) -> bool {
    let is_address = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte));
    let is_port = |text: &str| text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if is_address(address) => (address, port),
        Some(_) => return false,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    !name.is_empty() && !name.contains(['[', '%', '\\']) && (port.is_empty() || is_port(port))
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
            ("redis://:word@[::1]:1/0", "redis://[::1]:1/0"),
            ("redis+unix:///run/redis", "redis+unix:///run/redis"),
            ("unix:///run/redis", "unix:///run/redis"),
            ("unix:///run/redis?pass=word", "unix:///run/redis"),
            ("unix:///run/redis?pass=a@word", "unix:///run/redis"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn of_a_url_that_can_t_be_read_the_scheme_alone_is_shown() {
        for (url, shown) in [
            ("redis://user:word", "redis://…"),
            ("redis://user:word%40127.0.0.1:1", "redis://…"),
            ("redis://word%40127.0.0.1:1", "redis://…"),
            ("redis://:word", "redis://…"),
            ("redis://user:wo/rd@host", "redis://…"),
            ("redis://user:12/rd@host", "redis://…"),
            ("redis://user:12?rd@host", "redis://…"),
            ("redis://user:12#rd@host", "redis://…"),
            ("redis://[word", "redis://…"),
            ("redis://", "redis://…"),
            ("unix://user:word@/run/redis", "unix://…"),
            ("unix:///run/redis%3Fpass=word", "unix://…"),
            ("postgres://user:word-host/shop", "postgres://…"),
            ("postgres://host:port/shop", "postgres://…"),
            ("password=word host=redis://host", "what has no scheme"),
            ("user:word@host://", "what has no scheme"),
            ("user:word@host", "a text without ://"),
            ("redis:user:word@host", "a text without ://"),
            ("", "a text without ://"),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
    }
}
