//! How the crate's own closed tags are displayed.

/// Displays a closed tag as its value on the wire. A program's own enums may have another text, so `tags!` leaves this
/// to them.
macro_rules! shown {
    ($($tag:ident),+) => {$(
        impl std::fmt::Display for $tag {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad($crate::api::dimension::ClosedTag::value(*self))
            }
        }
    )+};
}

pub(crate) use shown;
