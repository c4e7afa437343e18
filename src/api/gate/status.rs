//! What is known of a gate.

use super::load::Load;
use super::verdict::GateState;
use crate::api::watch::{Field, Group, Reported, Watchable};

/// What a [`Gate`](crate::Gate) knows of the load, and the states of its classes. [`Gate::status`](crate::Gate::status)
/// returns it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GateStatus {
    load: Load,
    smoothed: Option<f64>,
    classes: Vec<(String, GateState)>,
}

impl GateStatus {
    pub(super) fn new(load: Load, smoothed: Option<f64>, classes: Vec<(String, GateState)>) -> Self {
        Self { load, smoothed, classes }
    }

    /// The load as it was measured last. `None` if it is unknown.
    #[must_use]
    pub fn load(&self) -> Option<f64> {
        self.load.value()
    }

    /// The parts of the load, with their names.
    #[must_use]
    pub fn parts(&self) -> &[(&'static str, f64)] {
        self.load.parts()
    }

    /// The load that decides. `None` if it is unknown.
    #[must_use]
    pub fn smoothed(&self) -> Option<f64> {
        self.smoothed
    }

    /// The registered classes, each with its state.
    #[must_use]
    pub fn classes(&self) -> &[(String, GateState)] {
        &self.classes
    }
}

impl Watchable for GateStatus {}

impl Reported for GateStatus {
    const NOUN: &'static str = "gate";

    fn fields(&self) -> Vec<Field> {
        let known = f64::from(u8::from(self.smoothed.is_some()));
        vec![
            Field { name: "load", peak: true, value: self.load() },
            Field { name: "load_smoothed", peak: false, value: self.smoothed },
            Field { name: "load_known", peak: false, value: Some(known) },
        ]
    }

    fn groups(&self) -> Vec<Group> {
        let part = |(name, value): &(&'static str, f64)| Group {
            name: "load_part",
            tags: vec![("waits_for", (*name).to_owned())],
            value: *value,
        };
        let known = self.classes.iter().filter(|(_, state)| *state != GateState::Unknown);
        let shedding = known.map(|(class, state)| Group {
            name: "shedding",
            tags: vec![("class", class.clone())],
            value: f64::from(u8::from(*state == GateState::Shedding)),
        });
        self.parts().iter().map(part).chain(shedding).collect()
    }
}
