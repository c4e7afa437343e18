//! The lines of one context for every agent.

use crate::worker::route::Rendered;
use std::slice;

/// A context's lines, for each route its own.
#[derive(Debug, Default)]
pub(super) enum Lines {
    #[default]
    NotRendered,
    /// Most clients have one agent, and then this saves every context an allocation.
    One(Rendered),
    Several(Box<[Rendered]>),
}

impl Lines {
    pub(super) fn is_rendered(&self) -> bool {
        !matches!(self, Self::NotRendered)
    }

    pub(super) fn as_slice(&self) -> &[Rendered] {
        match self {
            Self::NotRendered => &[],
            Self::One(rendered) => slice::from_ref(rendered),
            Self::Several(rendered) => rendered,
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Rendered] {
        match self {
            Self::NotRendered => &mut [],
            Self::One(rendered) => slice::from_mut(rendered),
            Self::Several(rendered) => rendered,
        }
    }
}

impl FromIterator<Rendered> for Lines {
    fn from_iter<T: IntoIterator<Item = Rendered>>(rendered: T) -> Self {
        let mut rendered = rendered.into_iter();
        match (rendered.next(), rendered.next()) {
            (Some(only), None) => Self::One(only),
            (first, second) => Self::Several(first.into_iter().chain(second).chain(rendered).collect()),
        }
    }
}
