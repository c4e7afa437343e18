//! Closed tags that most services need.

crate::tags! {
    /// The outcome of an operation: `outcome:ok`, `outcome:error`, `outcome:cancelled`.
    ///
    /// `integrations::tower` tags its requests with it, so that a family's counts can be compared with them.
    ///
    /// ```
    /// use tasktag::Outcome;
    ///
    /// let parsed = "12".parse::<u32>();
    /// assert_eq!(Outcome::from(&parsed), Outcome::Ok);
    /// ```
    ///
    /// Later versions may add outcomes. A `match` needs an arm for them, and a family includes them automatically.
    #[non_exhaustive]
    pub enum Outcome: "outcome" {
        /// The operation succeeded.
        Ok,
        /// The operation failed.
        Error,
        /// The operation was abandoned before it ended.
        Cancelled,
    }

    /// The class of an HTTP status: `status_class:2xx`, …
    ///
    /// ```
    /// use tasktag::{ClosedTag, StatusClass};
    ///
    /// assert_eq!(StatusClass::from(503).value(), "5xx");
    /// ```
    ///
    /// HTTP has no other classes, so a `match` needs no further arm.
    pub enum StatusClass: "status_class" {
        /// 100 to 199.
        Informational = "1xx",
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 to 599.
        ServerError = "5xx",
        /// Any other number, which is no HTTP status.
        Other,
    }

    /// The method of an HTTP request: `method:get`, …
    ///
    /// ```
    /// use tasktag::HttpMethod;
    ///
    /// assert_eq!(HttpMethod::from("GET"), HttpMethod::Get);
    /// assert_eq!(HttpMethod::from("PROPFIND"), HttpMethod::Other);
    /// ```
    ///
    /// Later versions may add methods, as they are standardized. A `match` needs an arm for them, and a family includes
    /// them automatically.
    #[non_exhaustive]
    pub enum HttpMethod: "method" {
        /// `GET`
        Get,
        /// `HEAD`
        Head,
        /// `POST`
        Post,
        /// `PUT`
        Put,
        /// `PATCH`
        Patch,
        /// `DELETE`
        Delete,
        /// `OPTIONS`
        Options,
        /// `CONNECT`
        Connect,
        /// `TRACE`
        Trace,
        /// Any other method.
        Other,
    }
}

impl<T, E> From<&Result<T, E>> for Outcome {
    /// Returns the outcome of a result.
    fn from(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            Err(_) => Self::Error,
        }
    }
}

impl From<u16> for StatusClass {
    /// Returns the class of a status code.
    fn from(status: u16) -> Self {
        match status / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            5 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

impl From<&str> for HttpMethod {
    /// Returns the method with that name. Names of methods are case-sensitive.
    fn from(method: &str) -> Self {
        match method {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            "CONNECT" => Self::Connect,
            "TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }
}

crate::api::dimension::shown!(Outcome, StatusClass, HttpMethod);
