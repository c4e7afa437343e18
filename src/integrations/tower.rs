//! [tower](https://docs.rs/tower): a layer that measures HTTP services.
