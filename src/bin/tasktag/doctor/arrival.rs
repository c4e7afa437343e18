//! A metric on its way.

use super::finding::Finding;
use super::way::Way;
use std::time::Duration;
use tasktag::ClientBuilder;

const METRIC: &str = "tasktag.doctor";
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends a gauge as the program would, and says what can be known of its arrival.
pub(super) fn examine(builder: ClientBuilder, way: &Way) -> Finding {
    // An address that was found is not the program's own.
    let is_own = way.reached == way.address;
    let builder = if is_own { builder } else { builder.agent(&way.reached) };
    let guard = match builder.build() {
        Ok(guard) => guard,
        Err(error) => return Finding::fault("test metric", error.to_string()),
    };
    let client = guard.client().clone();
    client.gauge(METRIC).set(1.0);
    let flushed = guard.shutdown(TIMEOUT);
    let stats = client.stats();
    if let Some(error) = &stats.last_error {
        return Finding::fault("test metric", format!("{METRIC} was not sent: {error}"));
    }
    if let Err(error) = flushed {
        let text = format!("{METRIC} was not sent: {error}");
        return Finding::fault("test metric", text).advise("the agent reads too slowly, or not at all");
    }
    let known = match way.address.split_once(':').map_or("", |(scheme, _)| scheme) {
        "udp" => {
            "left, and was not refused. Whether the agent read it, only the agent can say: `tasktag listen` in its place shows it"
        }
        "unix" => "is in the agent's queue",
        "stdout" => "was printed",
        _ => "was taken by the connection",
    };
    Finding::ok("test metric", format!("{METRIC} {known}"))
}
