//! The status of a gRPC call, which is in headers or trailers and independent of the HTTP status.

use crate::StatusClass;
use http::HeaderMap;
use http::header::HeaderName;

static STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The class of the HTTP status that corresponds to a call's status, if the headers have one.
pub(super) fn class(headers: &HeaderMap) -> Option<StatusClass> {
    let status = headers.get(&STATUS)?;
    Some(match status.as_bytes() {
        b"0" => StatusClass::Success,
        // Cancelled, invalid argument, not found, already exists, permission denied, resource exhausted, failed
        // precondition, aborted, out of range, unauthenticated: errors of the caller.
        b"1" | b"3" | b"5" | b"6" | b"7" | b"8" | b"9" | b"10" | b"11" | b"16" => StatusClass::ClientError,
        // Unknown, deadline exceeded, unimplemented, internal, unavailable, data loss. An unreadable status counts as
        // unknown, as it does for clients.
        _ => StatusClass::ServerError,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(status: &[u8]) -> Option<StatusClass> {
        class(&HeaderMap::from_iter([(STATUS.clone(), HeaderValue::from_bytes(status).unwrap())]))
    }

    #[test]
    fn a_status_has_the_class_of_the_http_status_that_stands_for_it() {
        let http = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
        for (status, http) in http.into_iter().enumerate() {
            assert_eq!(of(status.to_string().as_bytes()), Some(StatusClass::from(http)), "{status}");
        }
    }

    #[test]
    fn what_is_no_status_is_an_error_and_no_header_is_nothing() {
        for status in [&b""[..], b"17", b"-1", b"ok", b"\xff"] {
            assert_eq!(of(status), Some(StatusClass::ServerError));
        }
        assert_eq!(class(&HeaderMap::new()), None);
    }
}
