//! Closed tags that most services need.

crate::tags! {
    /// How something ended: `outcome:ok`, `outcome:error`.
    ///
    /// ```
    /// use tasktag::Outcome;
    ///
    /// let parsed = "12".parse::<u32>();
    /// assert_eq!(Outcome::of(&parsed), Outcome::Ok);
    /// ```
    pub enum Outcome: "outcome" {
        /// As it should.
        Ok,
        /// With an error.
        Error,
    }

    /// The class of an HTTP status: `status_class:2xx`, …
    ///
    /// ```
    /// use tasktag::{ClosedTag, StatusClass};
    ///
    /// assert_eq!(StatusClass::of(503).value(), "5xx");
    /// ```
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
        /// No status of HTTP.
        Other,
    }

    /// The method of an HTTP request: `method:get`, …
    ///
    /// ```
    /// use tasktag::HttpMethod;
    ///
    /// assert_eq!(HttpMethod::of("GET"), HttpMethod::Get);
    /// assert_eq!(HttpMethod::of("PROPFIND"), HttpMethod::Other);
    /// ```
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
        /// Whatever else a client may send.
        Other,
    }
}

impl Outcome {
    /// How a result ended.
    #[must_use]
    pub const fn of<T, E>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            Err(_) => Self::Error,
        }
    }
}

impl StatusClass {
    /// The class of a status code.
    #[must_use]
    pub const fn of(status: u16) -> Self {
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

impl HttpMethod {
    /// The method of that name. Names of methods are case-sensitive.
    #[must_use]
    pub fn of(method: &str) -> Self {
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
