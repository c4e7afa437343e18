//! What lets calls through that wait at it, as many as a test says.

#![allow(dead_code, reason = "each test file uses a part")]

use tokio::sync::Semaphore;

#[derive(Debug)]
pub(crate) struct Gate(Semaphore);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Semaphore::new(0))
    }

    pub(crate) fn open() -> Self {
        Self(Semaphore::new(Semaphore::MAX_PERMITS))
    }

    pub(crate) fn let_through(&self, calls: usize) {
        self.0.add_permits(calls);
    }

    pub(crate) async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}
