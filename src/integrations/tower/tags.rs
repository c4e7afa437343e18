//! Closed tags from the types of `http`.

use crate::{HttpMethod, StatusClass};
use http::{Method, StatusCode};

impl From<&Method> for HttpMethod {
    /// ```
    /// use tasktag::HttpMethod;
    ///
    /// assert_eq!(HttpMethod::from(&http::Method::GET), HttpMethod::Get);
    /// ```
    fn from(method: &Method) -> Self {
        method.as_str().into()
    }
}

impl From<StatusCode> for StatusClass {
    /// ```
    /// use tasktag::StatusClass;
    ///
    /// assert_eq!(StatusClass::from(http::StatusCode::NOT_FOUND), StatusClass::ClientError);
    /// ```
    fn from(status: StatusCode) -> Self {
        status.as_u16().into()
    }
}
