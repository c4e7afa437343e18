//! The task id of a client, and the key of its tag.

use crate::setup::config::ClientBuilder;
use crate::setup::env::Environment;
use crate::task_id::{self, TASK_ID_KEY, TaskId, TaskIdClaim, Variables};
use crate::vocabulary::error::ConfigError;
use std::sync::Arc;

/// One byte less than the longest key, because `_` is appended to a user's own tag of that key.
const MAX_TASK_ID_KEY: usize = 99;

impl ClientBuilder {
    /// Returns the key of the tag that carries the task id.
    pub(super) fn reserved_key(&self) -> &str {
        self.task_id_key.as_deref().unwrap_or(TASK_ID_KEY)
    }

    pub(super) fn check_tags(&self) -> Result<(), ConfigError> {
        let reserved = self.reserved_key();
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'/');
        let starts_well = reserved.starts_with(|first: char| first.is_ascii_lowercase());
        if !starts_well || reserved.len() > MAX_TASK_ID_KEY || !reserved.bytes().all(is_plain) {
            let reason =
                format_args!("it must be 1 to {MAX_TASK_ID_KEY} of a-z 0-9 _ - . / and start with a letter");
            return Err(ConfigError::setting("task_id_key", reserved, reason));
        }
        if let Some((key, value)) = self.tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(reserved)) {
            let reason = "the key is reserved: the task id is set with task_id() or TASKTAG_TASK_ID";
            return Err(ConfigError::setting("tag", format_args!("{key}:{value}"), reason));
        }
        Ok(())
    }

    /// Returns the task id of a forked child's client. The child may be unable to get what its parent could: a
    /// directory of leases may be gone, or the child may have given up its right to write there. It then shares a
    /// bucket.
    pub(crate) fn childs_task_id(&self, parents: TaskId) -> Arc<TaskIdClaim> {
        self.claimed_task_id(Some(parents)).unwrap_or_else(|_| {
            if self.task_id_source.is_some() && !self.installed {
                Arc::new(TaskIdClaim::shared(self.task_id_pool.unwrap_or_default()))
            } else {
                TaskId::claim_stand_in()
            }
        })
    }

    /// Returns the task id of a client with whatever keeps it. A forked child passes the task id of its parent.
    pub(super) fn claimed_task_id(&self, parents: Option<TaskId>) -> Result<Arc<TaskIdClaim>, ConfigError> {
        let pool = self.task_id_pool.unwrap_or_default();
        let alone = |id| Ok(Arc::new(TaskIdClaim::new(id)));
        if let Some(id) = self.task_id {
            return alone(id);
        }
        if let Some(text) = self.environment.as_ref().and_then(Environment::task_id) {
            return alone(pool.parse_variable(text)?);
        }
        let variables: Variables<'_> = match &self.environment {
            Some(environment) => &|name| environment.get(name).map(ToOwned::to_owned),
            None => &task_id::from_process,
        };
        let source = self.task_id_source.as_ref();
        match source {
            // The client has an id of its own, whatever the process decided. The variable still takes precedence.
            Some(source) if !self.installed => match TaskId::from_variable(pool)? {
                Some(id) => alone(id),
                None => source.claim_with(pool, variables, parents).map(Arc::new),
            },
            _ => TaskId::claim_current(source, self.task_id_pool, variables),
        }
    }
}
