//! [cadence](https://docs.rs/cadence): its clients report through ours.
