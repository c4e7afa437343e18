//! How requests end.

crate::tags! {
    /// How a request ended.
    pub(super) enum Ending: "outcome" {
        /// With a response, all of which was read.
        Ok,
        /// With the server's own failure.
        Error,
        /// Nobody waited for the end of it.
        Cancelled,
    }
}
