//! The URL of a server: in the file, or in a variable that the file names.

use super::entry::Entry;
use super::mistake::Mistake;
use super::section::Section;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

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
        Err(_) => Err(url.wrong(format!("it is no URL of a Redis: {REDIS}"))),
    }
}

/// Takes the URL of a `PostgreSQL` server.
pub(super) fn postgres<'a>(section: &mut Section<'a>) -> Result<Entry<'a, Config>, Mistake> {
    let url = take(section, POSTGRES)?;
    // Its other form, pairs of keys and values, could not be shown without what may be a password.
    let has_scheme = ["postgres://", "postgresql://"].iter().any(|scheme| url.value.starts_with(scheme));
    let parsed = url.value.parse::<Config>().ok().filter(|_| has_scheme);
    // The reason is not told: it may name a part of a password that was not encoded.
    let wrong = || {
        url.wrong(format!("it is no URL of a PostgreSQL, the only SQL database that is asked: {POSTGRES}"))
    };
    let mut config = parsed.filter(|config| !config.get_hosts().is_empty()).ok_or_else(wrong)?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(url.wrong("PostgreSQL is asked without TLS, so sslmode must be prefer or disable"));
    }
    if config.get_application_name().is_none() {
        config.application_name(APPLICATION_NAME);
    }
    Ok(url.with(config))
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
            Err(_) => Err(variable.wrong("there is no such variable, or it is no text")),
        },
        (Some(_), Some(variable)) => Err(variable.wrong("there is `url` too: leave one of them out")),
        (None, None) => {
            Err(section
                .wrong(format!("`url` is missing, or `url_variable`, the variable that has it: {what}")))
        }
    }
}
