//! Certificates for a server over TLS.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};

/// An authority, a certificate of `localhost` that it signed, and its key, as files.
pub(crate) fn certify(directory: &Path) -> [PathBuf; 3] {
    certify_as(directory, &CertificateParams::new(vec!["localhost".to_owned()]).unwrap())
}

/// The same, with another certificate.
pub(crate) fn certify_as(directory: &Path, certificate: &CertificateParams) -> [PathBuf; 3] {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let pem = certificate.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap().pem();
    let files = ["authority.pem", "localhost.pem", "key.pem"].map(|name| directory.join(name));
    for (path, text) in files.iter().zip([authority_pem, pem, key.serialize_pem()]) {
        fs::write(path, text).unwrap();
    }
    files
}
