//! How requests end.

crate::tags! {
    /// How a request ended.
    pub(super) enum Ending: "outcome" {
        /// The whole response was sent.
        Ok,
        /// The server failed.
        Error,
        /// The caller did not wait for the end of the response.
        Cancelled,
    }
}
