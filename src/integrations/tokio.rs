//! [tokio](https://docs.rs/tokio): runtimes, channels and semaphores, watched.
