//! [metrics-exporter-statsd](https://docs.rs/metrics-exporter-statsd): its recorder reports through our client.
