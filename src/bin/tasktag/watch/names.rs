//! The names that are taken, as a client tells them apart.

use super::source::Source;
use tasktag::testing::Capture;
use tasktag::{ClientBuilder, Guard, Watch};

/// A client that sends nothing, and what it watches.
#[derive(Debug)]
pub(super) struct Names {
    // `None` if there can be no client, which is told when one is to report.
    guard: Option<Guard>,
    taken: Vec<Watch>,
}

impl Names {
    /// `builder` makes the client that reports: tags of all metrics may make two names one.
    pub(super) fn new(builder: ClientBuilder) -> Self {
        let builder = builder.capture(&Capture::new()).telemetry(false).disabled(false);
        Self { guard: builder.build().ok(), taken: Vec::new() }
    }

    /// Takes the name of a source, and returns whether it was free.
    pub(super) fn take(&mut self, source: &Source) -> bool {
        let Some(guard) = &self.guard else { return true };
        let refused = || guard.client().stats().refused_watches;
        let before = refused();
        self.taken.push(source.claim_name(guard.client()));
        refused() == before
    }
}
