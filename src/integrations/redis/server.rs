//! A server, and the connection to it if there is one.

use super::answer::Answer;
use super::recipe::Recipe;
use crate::task_id::Link;
use std::time::Duration;

/// The longest that each of these takes: connecting, authentication, a question.
const TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Server {
    client: redis::Client,
    connection: Option<Link>,
}

impl Server {
    /// Checks the URL and sends nothing yet. `Err` holds what is wrong with the URL.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let client = redis::Client::open(url).map_err(|error| error.to_string())?;
        Ok(Self { client, connection: None })
    }

    /// Returns the same server, without the connection.
    pub(super) fn unconnected(&self) -> Self {
        Self { client: self.client.clone(), connection: None }
    }

    /// Asks about a queue, in one round trip.
    ///
    /// The script is sent each time rather than its hash: a server that was restarted or has another in its place knows
    /// no hash, and a few KiB are cheaper than a second round trip. It is `EVAL` and not `EVAL_RO`, which is younger
    /// than Redis 7: a replica runs both, as long as a script only reads.
    pub(super) fn ask(&mut self, recipe: &Recipe) -> Result<Answer, String> {
        // The connection is closed after an error: a late answer would be taken for the next one's.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Link::open(self.client.get_connection_info(), TIMEOUT)?,
        };
        let mut question = redis::cmd("EVAL");
        question.arg(recipe.script).arg(recipe.keys.len()).arg(&recipe.keys).arg(&recipe.arguments);
        let words: Vec<String> = connection.query(&question)?;
        self.connection = Some(connection);
        Ok(Answer::read(&words))
    }
}
