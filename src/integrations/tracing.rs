//! [tracing](https://docs.rs/tracing): an event when losses start, and one when they end.
