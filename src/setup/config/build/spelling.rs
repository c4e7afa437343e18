//! The spelling of names and tags for all of a client's agents, according to its settings.

use crate::setup::agent::Agent;
use crate::setup::config::ClientBuilder;
use crate::task_id::TaskId;
use crate::vocabulary::error::ConfigError;
use crate::wire::encode::{Globals, Spelling};
use crate::wire::origin::Origin;

impl ClientBuilder {
    /// Returns how names and tags are written for all agents.
    pub(super) fn spelling(&self, task_id: TaskId) -> Result<Spelling, ConfigError> {
        let main = self.main_agent(&self.address()?)?;
        let agents = || [&main].into_iter().chain(&self.others);
        let formats = agents().map(Agent::format).collect::<Result<Vec<_>, _>>()?;
        let tags: Vec<_> = agents().map(|agent| self.global_tags(agent)).collect();
        let origin = Origin::none();
        let globals = tags.iter().map(|tags| Globals {
            prefix: &self.prefix,
            tags,
            task_id_key: self.reserved_key(),
            task_id: task_id.as_str(),
            task_id_on: self.task_id_on,
            origin: &origin,
        });
        Ok(Spelling::new(formats.into_iter().zip(globals)))
    }
}
