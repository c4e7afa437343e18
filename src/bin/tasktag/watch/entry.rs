//! A key with its value.

use super::config_file::ConfigFile;
use super::mistake::Mistake;
use crate::readable::readable_start;
use crate::shown_url::without_password;
use toml::Spanned;
use toml::de::DeValue;

/// The characters of a value that a mistake shows.
const SHOWN: usize = 60;

/// A value, its key, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a, T> {
    pub(super) value: T,
    pub(super) key: &'static str,
    file: &'a ConfigFile,
    at: usize,
    shown: String,
}

impl<'a> Entry<'a, DeValue<'a>> {
    pub(super) fn new(
        file: &'a ConfigFile,
        key: &'static str,
        at: usize,
        value: Spanned<DeValue<'a>>,
    ) -> Self {
        let span = value.span();
        let value = value.into_inner();
        let shown = match &value {
            DeValue::String(text) => format!("{:?}", without_secret(key, text)),
            DeValue::Array(_) => "[…]".to_owned(),
            DeValue::Table(_) => "{…}".to_owned(),
            _ => file.excerpt(span).to_owned(),
        };
        Self { value, key, file, at, shown: readable_start(&shown, SHOWN) }
    }
}

impl<'a, T> Entry<'a, T> {
    /// The same entry with what its value means.
    pub(super) fn with<U>(&self, value: U) -> Entry<'a, U> {
        let Self { key, file, at, .. } = *self;
        Entry { value, key, file, at, shown: self.shown.clone() }
    }

    /// What is wrong with it, and what is allowed.
    pub(super) fn wrong(&self, text: impl AsRef<str>) -> Mistake {
        self.file.mistake(self.at, format!("{} = {}: {}", self.key, self.shown, text.as_ref()))
    }
}

/// A text without the password that it may have. One with an `@` may be a URL that was written wrongly, and where a URL
/// or the name of a variable should be and is not, nobody knows what stands there.
fn without_secret(key: &str, text: &str) -> String {
    let is_hidden = match key {
        "url" => true,
        "url_variable" => !is_variable_name(text),
        _ => text.contains('@'),
    };
    match text {
        _ if text.contains("://") => without_password(text),
        _ if is_hidden => "…".to_owned(),
        _ => text.to_owned(),
    }
}

fn is_variable_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
