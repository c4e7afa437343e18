//! [metrics](https://docs.rs/metrics): its macros report through our client.
