//! What a server that answers says against being asked.

use redis::{ErrorKind, RedisError};

/// What the start of such an answer says is to be done.
const BY_CODE: [(&str, &str); 6] = [
    ("NOAUTH", CHECK_LOGIN),
    ("WRONGPASS", CHECK_LOGIN),
    ("NOPERM", "allow this user PING, TIME, TYPE, ZCARD, ZCOUNT and ZRANGEBYSCORE on the key"),
    ("LOADING", "wait until it has loaded its data"),
    ("MOVED", "it is a node of a cluster: ask the node that it names"),
    ("DENIED", "its protected mode lets no other host in: set a password or a user for it"),
];
/// What a part of such an answer says is to be done, where the start says nothing.
const BY_TEXT: [(&str, &str); 2] = [
    ("max number of clients", "close connections that nobody needs, or raise its maxclients"),
    ("DB index", "choose a database that it has: the number at the end of the URL"),
];
const CHECK_LOGIN: &str = "check the user and the password in the URL: redis://user:password@host";

/// Whether the server refuses, rather than being away.
pub(super) fn is_one(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed || error.code().is_some()
}

pub(super) fn advice(error: &RedisError) -> Option<&'static str> {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return Some(CHECK_LOGIN);
    }
    let (code, text) = (error.code().unwrap_or_default(), error.to_string());
    let by_code = BY_CODE.into_iter().find(|(known, _)| *known == code);
    let advice = by_code.or_else(|| BY_TEXT.into_iter().find(|(part, _)| text.contains(part)));
    advice.map(|(_, advice)| advice)
}
