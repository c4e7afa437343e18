//! TLS to a Redis server whose certificate the system trusts.

use super::timed::Timed;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io;
use std::net::TcpStream;
use std::sync::Arc;

pub(super) type TlsStream = StreamOwned<ClientConnection, Timed<TcpStream>>;

/// The handshake happens with the first write, and within its deadline.
///
/// The cryptography provider is named here, not taken from the process: a program whose dependencies bring two
/// providers, and that chose neither, would panic.
pub(super) fn wrap(host: &str, stream: TcpStream) -> io::Result<TlsStream> {
    let mut roots = RootCertStore::empty();
    // An unreadable certificate is left out. If it is needed, the handshake fails and says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, Timed::new(stream)))
}
