//! Setting up what a Datadog Agent is told of where metrics come from.

use super::ClientBuilder;
use crate::setup::env::Environment;
use crate::vocabulary::error::ConfigError;
use crate::wire::origin::{Origin, TagCardinality, container_id};
use std::path::Path;

/// A container id in bytes, however it is given. A real one has 64.
const MAX_CONTAINER_ID: usize = 256;

/// What the program sets. It goes before what the environment says.
#[derive(Clone, Debug, Default)]
pub(crate) struct OriginSettings {
    pub(crate) detection: Option<bool>,
    pub(crate) container_id: Option<String>,
    pub(crate) cardinality: Option<TagCardinality>,
}

impl OriginSettings {
    /// Looks for the origin, once. `root` is where the system's files are, if they may be read.
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
    /// Whether the client looks for the container that it runs in, once, in [`build`](Self::build), and tells a Datadog
    /// Agent, which adds the container's tags. Read are `/proc/self/cgroup`, `/proc/self/mountinfo` and the inode of
    /// the cgroup's directory, on Linux and in DogStatsD only; what is missing or unreadable is no error. `false` leaves
    /// all files alone, and `DD_EXTERNAL_ENV` too. Defaults to `true`, with or without [`from_env`](Self::from_env).
    pub fn origin_detection(mut self, detection: bool) -> Self {
        self.origin.detection = Some(detection);
        self
    }

    /// The container, for the Agent's own tags (DogStatsD only), at most 256 bytes: an id, `ci-<id>` or `in-<inode>`. A
    /// runtime's name in front, as in `containerd://<id>`, is left out. `_` becomes `-`, and what is no ASCII letter or digit, `-`
    /// or `,` is left out, because some Agents refuse a line with other characters there. Nothing is looked for then. Defaults to what
    /// [`origin_detection`](Self::origin_detection) finds.
    pub fn container_id(mut self, id: impl Into<String>) -> Self {
        self.origin.container_id = Some(id.into());
        self
    }

    /// How many of its own tags the Agent adds (DogStatsD only). Defaults to what the Agent is set to.
    pub fn tag_cardinality(mut self, cardinality: TagCardinality) -> Self {
        self.origin.cardinality = Some(cardinality);
        self
    }
}
