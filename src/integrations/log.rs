//! [log](https://docs.rs/log): a line when losses start, and one when they end.
