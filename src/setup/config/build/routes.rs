//! The routes to a client's agents.

use crate::ledger::Ledger;
use crate::mailbox::shared::Shared;
use crate::setup::agent::Agent;
use crate::setup::config::ClientBuilder;
use crate::task_id::TaskId;
use crate::vocabulary::error::ConfigError;
use crate::wire::encode::{Encoder, Globals};
use crate::wire::origin::Origin;
use crate::wire::packet::{Outbox, Sender};
use crate::wire::transport::{self, Address};
use crate::worker::route::Route;
use crate::worker::telemetry::{Taken, Telemetry};
use std::sync::Arc;

impl ClientBuilder {
    /// Returns the main agent's route, followed by those of the others.
    pub(super) fn routes(
        &self,
        main: &Agent,
        address: &Address,
        origin: &Origin,
        shared: &Shared,
        task_id: TaskId,
    ) -> Result<Vec<Route>, ConfigError> {
        let sender = || Sender { identity: shared.post().identity.clone(), task_id };
        main.check_address(address)?;
        let (max_packet_size, texts) = (main.packet_size(address)?, address.text_packet_size());
        let transport = self.make_transport(address.clone());
        let outbox = Outbox::new(max_packet_size, transport, Arc::clone(&shared.ledger), sender());
        let mut outbox = outbox.with_texts_of(texts);
        if self.sends_to_address() {
            outbox = outbox.at(address);
        }
        let mut routes = vec![self.route(main, outbox, task_id, origin, &shared.ledger)?];
        for (agent, ledger) in self.others.iter().zip(&shared.other_ledgers) {
            let address = Self::address_of(agent)?;
            agent.check_address(&address)?;
            let (max_packet_size, texts) = (agent.packet_size(&address)?, address.text_packet_size());
            let transport = transport::connect(address.clone());
            let outbox = Outbox::new(max_packet_size, transport, Arc::clone(ledger), sender());
            let outbox = outbox.with_texts_of(texts).at(&address);
            routes.push(self.route(agent, outbox, task_id, origin, ledger)?);
        }
        Ok(routes)
    }

    fn route(
        &self,
        agent: &Agent,
        outbox: Outbox,
        task_id: TaskId,
        origin: &Origin,
        ledger: &Arc<Ledger>,
    ) -> Result<Route, ConfigError> {
        let (tags, format) = (self.global_tags(agent), agent.format()?);
        self.check_prefix(format.task_id_in_names)?;
        let globals = Globals {
            prefix: &self.prefix,
            tags: &tags,
            task_id_key: self.reserved_key(),
            task_id: task_id.as_str(),
            task_id_on: self.task_id_on,
            origin,
        };
        let mut encoder = Encoder::new(format, globals);
        let telemetry = self
            .telemetry
            .unwrap_or(true)
            .then(|| Telemetry::new(&mut encoder, outbox.transport_name(), task_id));
        Ok(Route { encoder, outbox, telemetry, taken: Taken::default(), ledger: Arc::clone(ledger) })
    }
}
