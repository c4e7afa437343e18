//! The environment variables for the agent and the tags.

mod address;

pub(crate) use self::address::agent_socket;

use crate::task_id::TASK_ID_VARIABLE;
use crate::vocabulary::error::ConfigError;
use crate::vocabulary::name::UnknownName;
use crate::wire::encode::Dialect;
use crate::wire::origin::TagCardinality;
use std::collections::HashMap;
use std::fmt;

/// It takes precedence over Datadog's own variable.
const TASKTAG_DISABLED: &str = "TASKTAG_DISABLED";
const DD_DOGSTATSD_DISABLE: &str = "DD_DOGSTATSD_DISABLE";
const TASKTAG_DIALECT: &str = "TASKTAG_DIALECT";
const DD_TAGS: &str = "DD_TAGS";
const DD_ENTITY_ID: &str = "DD_ENTITY_ID";
const DD_EXTERNAL_ENV: &str = "DD_EXTERNAL_ENV";
const DD_ORIGIN_DETECTION_ENABLED: &str = "DD_ORIGIN_DETECTION_ENABLED";
const CARDINALITIES: [&str; 2] = ["DD_CARDINALITY", "DATADOG_CARDINALITY"];
/// AWS Lambda sets it for every function.
const AWS_LAMBDA_FUNCTION_NAME: &str = "AWS_LAMBDA_FUNCTION_NAME";
/// Datadog's unified service tags.
const SERVICE_TAGS: [(&str, &str); 3] =
    [("DD_ENV", "env"), ("DD_SERVICE", "service"), ("DD_VERSION", "version")];
/// The Agent replaces this tag with the tags of the pod.
const ENTITY_ID_TAG: &str = "dd.internal.entity_id";

/// Variables with their values. Empty ones are left out.
#[derive(Clone)]
pub(crate) struct Environment {
    vars: HashMap<String, String>,
}

impl Environment {
    pub(crate) fn new(vars: impl Iterator<Item = (String, String)>) -> Self {
        Self { vars: vars.filter(|(_, value)| !value.is_empty()).collect() }
    }

    pub(crate) fn get(&self, variable: &str) -> Option<&str> {
        self.vars.get(variable).map(String::as_str)
    }

    /// Returns the task id of a client that is set up from a list of variables.
    pub(crate) fn task_id(&self) -> Option<&str> {
        self.get(TASK_ID_VARIABLE)
    }

    /// Returns whether the client is disabled.
    pub(crate) fn is_disabled(&self) -> Result<bool, ConfigError> {
        match self.get(TASKTAG_DISABLED) {
            Some(text) => usable(TASKTAG_DISABLED, text, switch(text)),
            // Source: `DogStatsd.__init__` of datadogpy, which has the variable.
            None => Ok(matches!(self.get(DD_DOGSTATSD_DISABLE), Some("True" | "true" | "yes" | "1"))),
        }
    }

    pub(crate) fn dialect(&self) -> Result<Option<Dialect>, ConfigError> {
        self.get(TASKTAG_DIALECT)
            .map(|text| {
                usable(TASKTAG_DIALECT, text, text.parse().map_err(|unknown: UnknownName| unknown.reason()))
            })
            .transpose()
    }

    /// Returns whether this process is a function of AWS Lambda.
    pub(crate) fn is_lambda_function(&self) -> bool {
        self.get(AWS_LAMBDA_FUNCTION_NAME).is_some()
    }

    /// Returns the global tags in the order in which they are written.
    pub(crate) fn tags(&self, for_datadog: bool) -> Vec<(String, String)> {
        let listed = self.get(DD_TAGS).unwrap_or_default();
        let mut tags: Vec<(String, String)> = listed
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|tag| !tag.is_empty())
            .map(|tag| tag.split_once(':').unwrap_or((tag, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        for (variable, key) in SERVICE_TAGS {
            if let Some(value) = self.get(variable) {
                // The dedicated variable takes precedence over the list.
                tags.retain(|(listed, _)| listed != key);
                tags.push((key.to_owned(), value.to_owned()));
            }
        }
        if for_datadog {
            tags.extend(self.get(DD_ENTITY_ID).map(|id| (ENTITY_ID_TAG.to_owned(), id.to_owned())));
        }
        tags
    }

    /// Returns whether the client may look for its container, if a variable is set. A value that the official clients
    /// can't parse means yes to them.
    pub(crate) fn origin_detection(&self) -> Option<bool> {
        let no = |text| matches!(text, "0" | "f" | "F" | "false" | "False" | "FALSE");
        self.get(DD_ORIGIN_DETECTION_ENABLED).map(|text| !no(text))
    }

    /// Returns the pod's data from the Agent's admission controller, unchanged.
    pub(crate) fn external_data(&self) -> Option<&str> {
        self.get(DD_EXTERNAL_ENV)
    }

    pub(crate) fn cardinality(&self) -> Result<Option<TagCardinality>, ConfigError> {
        let found = CARDINALITIES.into_iter().find_map(|variable| Some((variable, self.get(variable)?)));
        let read = |text: &str| text.parse::<TagCardinality>().map_err(|unknown| unknown.reason());
        found.map(|(variable, text)| usable(variable, text, read(text))).transpose()
    }
}

/// The variables are not printed, because they may hold passwords, and a type that contains a client may be logged.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("len", &self.vars.len()).finish_non_exhaustive()
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("it must be true, 1, false or 0".to_owned()),
    }
}

/// Returns the value that was read from a variable, or an error that names the variable. Invalid Unicode was replaced
/// with the replacement character.
fn usable<T>(variable: &'static str, value: &str, read: Result<T, String>) -> Result<T, ConfigError> {
    let read =
        if value.contains(char::REPLACEMENT_CHARACTER) { Err("it is not Unicode".to_owned()) } else { read };
    read.map_err(|reason| ConfigError::variable(variable, value, reason))
}
