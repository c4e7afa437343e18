//! What a client sends until it ends, and its books then.

use std::time::Duration;
use tasktag::testing::Capture;
use tasktag::{Client, ClientBuilder, ConfigError, DropReason, Stats, Tally};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a client sent until it ended, and its books then.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) packets: Vec<Vec<u8>>,
    pub(crate) stats: Stats,
}

/// A client that says nothing of itself. It collects and flushes at its end.
pub(crate) fn builder() -> ClientBuilder {
    let never = Duration::from_secs(3600);
    Client::builder()
        .telemetry(false)
        .flush_interval(never)
        .collect_interval(never)
        .shutdown_timeout(PATIENCE)
        .channel_capacity(4)
        .max_packet_size(65_507)
}

pub(crate) fn sent(builder: ClientBuilder, act: impl FnOnce(&Client)) -> Result<Sent, ConfigError> {
    let capture = Capture::new();
    let guard = builder.capture(&capture).build()?;
    let client = guard.client().clone();
    act(&client);
    guard.shutdown(PATIENCE).expect("it ends in time");
    let stats = client.stats();
    let dropped = stats.dropped_total();
    let parts: [fn(Tally) -> u64; 4] =
        [|tally| tally.values, |tally| tally.lines, |tally| tally.packets, |tally| tally.bytes];
    for part in parts {
        assert_eq!(part(stats.accepted), part(stats.sent) + part(dropped), "{stats:?}");
    }
    assert_eq!(stats.worker_restarts, 0, "the worker panicked");
    Ok(Sent { packets: capture.take_packets(), stats })
}

/// Nothing but this was dropped.
pub(crate) fn assert_dropped(stats: &Stats, reason: DropReason, values: u64) {
    assert_eq!(stats.dropped(reason).values, values, "{reason:?}: {stats:?}");
    assert_eq!(stats.dropped_total().values, values, "{reason:?} alone: {stats:?}");
}
