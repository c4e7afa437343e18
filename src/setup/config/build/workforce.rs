//! The workers of forked children and restored processes.

use crate::mailbox::post::Remains;
use crate::mailbox::shared::Shared;
use crate::mailbox::workforce::{Unstarted, Workforce};
use crate::setup::config::ClientBuilder;
use crate::task_id::{TaskId, TaskIdClaim};
use crate::worker::registry::Registry;
use std::sync::Arc;

impl Workforce<Shared> for ClientBuilder {
    fn childs_task_id(&self, parents: TaskId) -> Arc<TaskIdClaim> {
        self.childs_task_id(parents)
    }

    fn worker(&self, shared: &Arc<Shared>, claim: Arc<TaskIdClaim>) -> Option<Box<dyn Unstarted>> {
        let registry = Registry::inherited(shared.index.take_over(), &shared.clock);
        Some(Box::new(self.worker(shared, claim, registry).ok()?))
    }

    fn remains(&self, shared: &Shared) -> Box<dyn Remains> {
        Box::new(Registry::inherited(shared.index.take_over(), &shared.clock))
    }
}
