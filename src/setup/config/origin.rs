//! Setting up what a Datadog Agent is told of where metrics come from.

use super::ClientBuilder;
use crate::wire::origin::TagCardinality;

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
