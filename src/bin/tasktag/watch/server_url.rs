//! The URL of a server: in the file, or in a variable that the file names.

use super::entry::Entry;
use super::mistake::Mistake;
use super::section::Section;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

const REDIS: &str = "redis://[user:password@]host[:port][/database], rediss://… over TLS, or unix:///path";
const POSTGRES: &str =
    "postgres://[user[:password]@]host[:port]/database, or postgres:///database?host=/directory";
/// The database under which `PgBouncer` answers itself.
const CONSOLE: &str = "pgbouncer";
/// By what the servers know the connections of the command.
const APPLICATION_NAME: &str = "tasktag-watch";

/// Takes the URL of a Redis.
pub(super) fn redis<'a>(section: &mut Section<'a>) -> Result<Entry<'a, String>, Mistake> {
    let url = take(section, REDIS)?;
    match redis::Client::open(url.value.as_str()) {
        Ok(_) => Ok(url),
        Err(_) => Err(url.wrong(format!("not a valid Redis URL: {REDIS}"))),
    }
}

/// Takes the URL of a `PostgreSQL` server.
pub(super) fn postgres<'a>(section: &mut Section<'a>) -> Result<Entry<'a, Config>, Mistake> {
    let url = take(section, POSTGRES)?;
    // Before it is read: the client does not know most of these parameters, and would call the URL wrong.
    if let Some(reason) = wants_tls(&url.value) {
        return Err(url.wrong(format!("PostgreSQL is asked without TLS: {reason}")));
    }
    let mut config = read_postgres(&url.value).ok_or_else(|| {
        url.wrong(format!("not a valid PostgreSQL URL, and no other SQL database is asked: {POSTGRES}"))
    })?;
    if config.get_application_name().is_none() {
        config.application_name(APPLICATION_NAME);
    }
    Ok(url.with(config))
}

/// Reads a URL whose hosts can be told from its password. Why it can't be is not told: the client's reason may name a
/// part of a password that was not encoded.
fn read_postgres(url: &str) -> Option<Config> {
    // Its other form, pairs of keys and values, could not be shown without what may be a password.
    let has_scheme = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    // The client ends a password at the first `@`, and would take what follows for a host, which is shown.
    let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
    let is_ambiguous = match place.matches('@').count() {
        0 => parameters.contains('@'),
        count => count > 1,
    };
    let config = url.parse::<Config>().ok().filter(|_| has_scheme && !is_ambiguous)?;
    let has_at = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
    let hosts = config.get_hosts();
    (!hosts.is_empty() && !hosts.iter().any(has_at)).then_some(config)
}

/// What is to be done about a parameter that works with TLS alone.
fn wants_tls(url: &str) -> Option<String> {
    let (_, parameters) = url.split_once('?')?;
    parameters.split('&').filter_map(|parameter| parameter.split_once('=')).find_map(|(key, value)| match key
    {
        "sslmode" | "channel_binding" if matches!(value, "disable" | "prefer") => None,
        "sslmode" | "channel_binding" => Some(format!("{key} must be prefer or disable")),
        _ if key.starts_with("ssl") => Some(format!("leave {key} out")),
        _ => None,
    })
}

/// Takes the URL of a `PgBouncer`, whose console is a database of its own.
pub(super) fn pgbouncer<'a>(section: &mut Section<'a>) -> Result<Entry<'a, Config>, Mistake> {
    let mut config = postgres(section)?;
    match config.value.get_dbname() {
        None => {
            config.value.dbname(CONSOLE);
        }
        Some(CONSOLE) => {}
        Some(_) => return Err(config.wrong(format!("the database must be {CONSOLE}, the console"))),
    }
    Ok(config)
}

fn take<'a>(section: &mut Section<'a>, what: &str) -> Result<Entry<'a, String>, Mistake> {
    let (url, variable) = (section.text("url")?, section.text("url_variable")?);
    match (url, variable) {
        (Some(url), None) => Ok(url),
        (None, Some(variable)) => match std::env::var(&variable.value) {
            Ok(url) => Ok(variable.with(url)),
            Err(_) => Err(variable.wrong("the variable is not set, or is not valid UTF-8")),
        },
        (Some(_), Some(variable)) => Err(variable.wrong("there is `url` too: leave one of them out")),
        (None, None) => {
            let text = format!("`url` is missing, or `url_variable`, the variable that has it: {what}");
            Err(section.missing(&["url", "url_variable"], &text))
        }
    }
}
