//! What is wrong with the certificate that a server shows.

use redis::RedisError;
use rustls::CertificateError;
use std::error::Error;
use std::io;
use std::sync::Arc;

/// Why TLS does not accept the certificate, if that is the error.
pub(super) fn reason(error: &RedisError) -> Option<&CertificateError> {
    let cause = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    match cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(reason) => Some(reason),
        _ => None,
    }
}

pub(super) fn advice(reason: &CertificateError) -> Option<&'static str> {
    match reason {
        // An authority that was made anew has the name of the trusted one, and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Some(
            "have the system trust the server's authority, or name its certificate in SSL_CERT_FILE; until then tasks \
             share buckets",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some("use the name that the certificate has; until then tasks share buckets")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some("renew the certificate, or set this host's clock; until then tasks share buckets")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some("set this host's clock, or wait; until then tasks share buckets")
        }
        _ => None,
    }
}
