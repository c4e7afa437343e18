//! What the program and the environment say of the origin.

use super::{Origin, TagCardinality, clean};
use crate::setup::env::Environment;
use crate::vocabulary::error::ConfigError;
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

/// A container's id without the runtime in front, as Kubernetes writes it: `containerd://4f1d`.
pub(super) fn container_id(raw: &str) -> String {
    let id = raw.split_once("://").map_or(raw, |(_, id)| id);
    clean(&id.replace('_', "-"), |c| c.is_ascii_alphabetic())
}
