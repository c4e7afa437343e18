//! Settings of the origin that is reported to a Datadog Agent.

use super::ClientBuilder;
use crate::setup::env::Environment;
use crate::vocabulary::error::ConfigError;
use crate::wire::origin::{Origin, TagCardinality, container_id};
use std::path::Path;

/// The maximum bytes of a container id in any form. A real one has 64.
const MAX_CONTAINER_ID: usize = 256;

/// Settings made in code. They take precedence over the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct OriginSettings {
    pub(crate) detection: Option<bool>,
    pub(crate) container_id: Option<String>,
    pub(crate) cardinality: Option<TagCardinality>,
}

impl OriginSettings {
    /// Looks for the origin, once. `root` is the directory of the system's files, if they may be read.
    pub(crate) fn resolve(
        &self,
        environment: Option<&Environment>,
        root: Option<&Path>,
    ) -> Result<Origin, ConfigError> {
        let container_id = self.container_id()?;
        let cardinality = match self.cardinality {
            None => environment.map_or(Ok(None), Environment::cardinality)?,
            set => set,
        };
        let detection = self.detection.or_else(|| environment?.origin_detection()).unwrap_or(true);
        let mut origin = match (container_id, root) {
            (Some(id), _) => Origin::of_container(id),
            (None, Some(root)) if detection => Origin::detect(root),
            _ => Origin::none(),
        };
        if detection && let Some(data) = environment.and_then(Environment::external_data) {
            origin = origin.with_external_data(data);
        }
        Ok(origin.with_cardinality(cardinality))
    }

    fn container_id(&self) -> Result<Option<String>, ConfigError> {
        let cleaned = self.container_id.as_deref().map(container_id).filter(|id| !id.is_empty());
        match cleaned {
            Some(id) if id.len() > MAX_CONTAINER_ID => {
                let reason = format_args!("it must have at most {MAX_CONTAINER_ID} bytes");
                Err(ConfigError::setting("container_id", id, reason))
            }
            usable => Ok(usable),
        }
    }
}

impl ClientBuilder {
    /// Sets whether the client looks for the container that it runs in. It looks once, in [`build`](Self::build), and
    /// reports the container to a Datadog Agent, which adds the container's tags. It reads `/proc/self/cgroup`,
    /// `/proc/self/mountinfo` and the inode of the cgroup's directory, on Linux and in DogStatsD only. A missing or
    /// unreadable file is not an error. With `false` it reads no file, and ignores `DD_EXTERNAL_ENV`. Defaults to
    /// `true`, with or without [`from_env`](Self::from_env).
    pub fn origin_detection(mut self, detection: bool) -> Self {
        self.origin.detection = Some(detection);
        self
    }

    /// Sets the container for the Agent's own tags (DogStatsD only). It is an id, `ci-<id>` or `in-<inode>`, of at most
    /// 256 bytes. The name of a runtime before it, as in `containerd://<id>`, is removed. `_` becomes `-`. All other
    /// characters except ASCII letters, digits, `-` and `,` are removed, because some Agents refuse a line that has
    /// them. The client then does not look for a container. Defaults to what
    /// [`origin_detection`](Self::origin_detection) finds.
    pub fn container_id(mut self, id: impl Into<String>) -> Self {
        self.origin.container_id = Some(id.into());
        self
    }

    /// Sets how many of its own tags the Agent adds (DogStatsD only). Defaults to the Agent's own setting.
    pub fn tag_cardinality(mut self, cardinality: TagCardinality) -> Self {
        self.origin.cardinality = Some(cardinality);
        self
    }
}
