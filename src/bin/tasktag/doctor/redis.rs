//! The state of a Redis in which task ids are leased, asked without a lease.

mod certificate;
mod holder;
mod refusal;

use self::holder::Holder;
use super::finding::Finding;
use crate::shown_url::{scheme_alone, without_password};
use redis::{Client, Connection, ErrorKind, RedisError, RedisResult};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest that a connection or an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest that all of it is waited for: looking up a name has no limit of its own, and a server may answer byte by
/// byte.
const LIMIT: Duration = Duration::from_secs(10);
/// Clocks that differ by more make the expiry of leases hard to follow.
const MAX_SKEW: f64 = 2.0;
/// The holders that are listed.
const MAX_LISTED: usize = 10;

/// `url` is as for a source of task ids: `redis://[user:password@]host[:port]`, `rediss://…` or `unix:///path`.
pub(super) fn examine(url: &str, key: &str) -> Vec<Finding> {
    let (sender, examined) = mpsc::channel();
    let (asked, key) = (url.to_owned(), key.to_owned());
    thread::spawn(move || sender.send(ask(&asked, &key)));
    hear(&examined, url, LIMIT)
}

/// What the thread that asks has found out.
fn hear(examined: &Receiver<RedisResult<Vec<Finding>>>, url: &str, limit: Duration) -> Vec<Finding> {
    match examined.recv_timeout(limit) {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![blame(url, &error)],
        Err(RecvTimeoutError::Timeout) => {
            vec![away(&without_password(url), &format!("there was no answer within {} s", limit.as_secs()))]
        }
        Err(RecvTimeoutError::Disconnected) => {
            let text = format!(
                "{} was not asked to the end: the thread that asks has panicked",
                without_password(url)
            );
            vec![Finding::fault("redis", text)]
        }
    }
}

fn ask(url: &str, key: &str) -> RedisResult<Vec<Finding>> {
    // rustls panics if two providers are compiled in and none is chosen. A second choice fails, which does no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut connection = Client::open(url)?.get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let _: String = redis::cmd("PING").query(&mut connection)?;
    let encrypted =
        if url.starts_with("rediss:") { " over TLS, with a certificate that this system trusts" } else { "" };
    let mut findings = vec![Finding::ok("redis", format!("it answers{encrypted}"))];
    let (seconds, micros): (u64, u32) = redis::cmd("TIME").query(&mut connection)?;
    let now = Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros.into()));
    findings.push(skew(now));
    if key.is_empty() {
        findings.push(Finding::ok("redis", "give --redis-key as well to see who holds which id"));
    } else {
        findings.extend(leases(&mut connection, key, now)?);
    }
    Ok(findings)
}

/// Says how far the server's clock is from this host's.
fn skew(now: Duration) -> Finding {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let skew = now.as_secs_f64() - here.as_secs_f64();
    let text = format!("its clock is {skew:+.1} s from this host's");
    if skew.abs() > MAX_SKEW {
        Finding::warning("redis", text).advise("set the clocks by NTP")
    } else {
        Finding::ok("redis", text)
    }
}

/// Says who holds which id. A lease is a member of a sorted set, and its score is when it expires, in milliseconds.
fn leases(connection: &mut Connection, key: &str, now: Duration) -> RedisResult<Vec<Finding>> {
    let kind: String = redis::cmd("TYPE").arg(key).query(connection)?;
    match kind.as_str() {
        "zset" => {}
        "none" => {
            let text = format!("no id is leased under {key}: there is no such key");
            let advice = "where programs run that lease there, check that they have this key, this server and this \
                          database of it";
            return Ok(vec![Finding::ok("redis", text).advise(advice)]);
        }
        _ => {
            let text = format!("{key} is no key of leases: it holds a {kind}");
            return Ok(vec![Finding::fault("redis", text).advise("choose a key that nothing else uses")]);
        }
    }
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let all: usize = redis::cmd("ZCARD").arg(key).query(connection)?;
    let live: usize = redis::cmd("ZCOUNT").arg(key).arg(format!("({now}")).arg("+inf").query(connection)?;
    let mut listing = redis::cmd("ZRANGEBYSCORE");
    listing.arg(key).arg(format!("({now}")).arg("+inf").arg("WITHSCORES").arg("LIMIT").arg(0).arg(MAX_LISTED);
    let members: Vec<(Vec<u8>, f64)> = listing.query(connection)?;
    let expired = match all.saturating_sub(live) {
        0 => String::new(),
        1 => "; 1 expired lease is removed when the next task asks".to_owned(),
        expired => format!("; {expired} expired leases are removed when the next task asks"),
    };
    let is = if live == 1 { "id is" } else { "ids are" };
    let text = format!("{live} {is} leased under {key}{expired}");
    let mut findings = vec![Finding::ok("redis", text)];
    findings.extend(members.iter().map(|(member, expiry)| {
        let holder = Holder::read(member, *expiry, now);
        Finding::ok("redis", holder.to_string())
    }));
    if live > members.len() {
        let text = format!("and {} more, whose leases expire later", live - members.len());
        findings.push(Finding::ok("redis", text));
    }
    Ok(findings)
}

fn blame(url: &str, error: &RedisError) -> Finding {
    if error.kind() == ErrorKind::InvalidClientConfig {
        let text = error.to_string();
        // What follows may be a part of the URL.
        let reason = text.split(" - ").next().unwrap_or_default();
        let text = format!("{} is no address of a Redis: {reason}", scheme_alone(url));
        let advice =
            "write redis://[user:password@]host[:port][/database], rediss://… for TLS, or unix:///path";
        return Finding::fault("redis", text).advise(advice);
    }
    let place = without_password(url);
    if let Some(reason) = certificate::reason(error) {
        let text = format!("{place} shows a certificate that is not accepted: {error}");
        return advise(Finding::fault("redis", text), certificate::advice(reason));
    }
    if refusal::is_one(error) {
        return advise(Finding::fault("redis", format!("it refuses: {error}")), refusal::advice(error));
    }
    away(&place, &error.to_string())
}

fn away(place: &str, reason: &str) -> Finding {
    let advice = "start it, or check its address; until then tasks share buckets";
    Finding::fault("redis", format!("{place} does not answer: {reason}")).advise(advice)
}

fn advise(finding: Finding, advice: Option<&str>) -> Finding {
    match advice {
        Some(advice) => finding.advise(advice),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_has_panicked_is_no_silent_server() {
        let (sender, examined) = mpsc::channel();
        let told = || hear(&examined, "redis://user:word@host", Duration::ZERO)[0].to_string();
        assert!(
            told().starts_with("FAULT   redis: redis://host does not answer: there was no answer within 0 s")
        );
        drop(sender);
        assert_eq!(
            told(),
            "FAULT   redis: redis://host was not asked to the end: the thread that asks has panicked"
        );
    }
}
