//! The name of a Unix socket: a file, or an abstract name on Linux.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::SocketAddr;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

/// The limit of `sun_path`: the shortest of all systems, minus the final 0 of a path or the first 0 of an abstract
/// name.
const MAX_LEN: usize = 103;

/// A new file at the same path is another agent.
pub(super) type FileId = (u64, u64);

/// The path of a socket's file, or a name in Linux' abstract namespace, which is written `@name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SocketName {
    File(PathBuf),
    #[cfg(target_os = "linux")]
    Abstract(String),
}

impl SocketName {
    /// Reads a path or a name. `Err` holds what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix('@');
        if name.is_none() && !text.starts_with('/') {
            return Err(
                "a socket's path must be absolute: unix:///path/to/socket, or unix:@name without a file"
                    .to_owned(),
            );
        }
        if name.unwrap_or(text).len() > MAX_LEN {
            return Err(format!("a socket's path must have at most {MAX_LEN} bytes"));
        }
        if text.contains('\0') {
            return Err("a path must not contain a zero byte".to_owned());
        }
        match name {
            None => Ok(Self::File(text.into())),
            Some("") => Err("a socket without a file must have a name: unix:@name".to_owned()),
            #[cfg(target_os = "linux")]
            Some(name) => Ok(Self::Abstract(name.to_owned())),
            #[cfg(not(target_os = "linux"))]
            Some(_) => Err("only Linux supports sockets without a file".to_owned()),
        }
    }

    #[cfg(test)]
    pub(super) fn file(path: &Path) -> Self {
        Self::File(path.to_owned())
    }

    /// The address in the system's form.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::File(path) => SocketAddr::from_pathname(path),
            #[cfg(target_os = "linux")]
            Self::Abstract(name) => {
                use std::os::linux::net::SocketAddrExt;
                SocketAddr::from_abstract_name(name)
            }
        }
    }

    /// The file that exists now. An abstract name always has the same one.
    pub(super) fn file_id(&self) -> io::Result<FileId> {
        match self {
            Self::File(path) => path.metadata().map(|file| (file.dev(), file.ino())),
            #[cfg(target_os = "linux")]
            Self::Abstract(_) => Ok((0, 0)),
        }
    }
}

impl fmt::Display for SocketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            #[cfg(target_os = "linux")]
            Self::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_an_absolute_path_or_a_name() {
        let file = SocketName::parse("/run/dsd.socket").unwrap();
        assert_eq!(file, SocketName::file(Path::new("/run/dsd.socket")));
        assert_eq!(file.to_string(), "/run/dsd.socket");
        for bad in ["", "relative", "/zero\0", "@", &format!("/{}", "x".repeat(MAX_LEN))] {
            assert!(SocketName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_without_a_file_is_linux_own() {
        let name = SocketName::parse("@dsd").unwrap();
        assert_eq!((name.to_string(), name.file_id().unwrap()), ("@dsd".to_owned(), (0, 0)));
        assert!(SocketName::parse(&format!("@{}", "x".repeat(MAX_LEN))).unwrap().address().is_ok());
        assert!(SocketName::parse(&format!("@{}", "x".repeat(MAX_LEN + 1))).is_err());
    }
}
