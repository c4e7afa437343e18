//! Whose variables and files are looked at: this process's, or another's.

use super::finding::Finding;
use super::root::Root;
use super::way::Way;
use crate::endpoint::Endpoint;
use crate::outcome::Failure;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// Variables with their values. Invalid Unicode is replaced.
pub(super) type Variables = BTreeMap<String, String>;

/// A process's variables, and the root under which its files are found.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) variables: Variables,
    process: Option<u32>,
    root: Root,
    /// A directory of links to what another process has, in which its container is detected.
    links: Option<PathBuf>,
}

/// What leads to the socket of the agent that the process has.
const AGENT_LINK: &str = "agent";
/// Where a Datadog Agent on the same host has its socket.
const AGENT_SOCKET: &str = "var/run/datadog/dsd.socket";

impl Surroundings {
    /// Those of a process, or of this one.
    pub(super) fn of(process: Option<u32>) -> Result<Self, Failure> {
        let Some(id) = process else {
            let variables = std::env::vars_os().map(|(key, value)| (text(&key), text(&value))).collect();
            return Ok(Self { variables, process, root: Root::own(), links: None });
        };
        let path = PathBuf::from(format!("/proc/{id}/environ"));
        let listed = fs::read(&path).map_err(|error| Failure::of(path.display(), &error))?;
        let root = Root::of(id);
        let links = links(id, &root).map_err(|error| Failure::of("a directory for links", &error))?;
        Ok(Self { variables: parse(&listed), process, root, links: Some(links) })
    }

    /// The root under which the process finds its files.
    pub(super) fn process_root(&self) -> &Root {
        &self.root
    }

    /// How this process reaches what that one reaches at `address`. A socket's file is found in the root of that
    /// process.
    pub(super) fn way(&self, address: &str) -> Way {
        let direct = Way::direct(address);
        let Ok(endpoint) = Endpoint::parse(address) else { return direct };
        let Some(file) = endpoint.path().map(|path| self.root.find(path)) else {
            return Way { is_of_other_network: self.is_of_other_network(), ..direct };
        };
        let scheme = address.split_once(':').map_or("", |(scheme, _)| scheme);
        let reached = format!("{scheme}://{}", self.link(&file).as_ref().unwrap_or(&file).display());
        Way { reached, file: Some(file), ..direct }
    }

    /// A short path to a file in another root: what `/proc` puts before it may make it too long for a socket.
    fn link(&self, file: &Path) -> Option<PathBuf> {
        let link = self.links.as_ref().filter(|_| !self.root.is_own())?.join(AGENT_LINK);
        symlink(file, &link).ok().map(|()| link)
    }

    fn is_of_other_network(&self) -> bool {
        let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
        let other = self.process.and_then(|process| network(&process.to_string()));
        other.is_some_and(|other| network("self").is_some_and(|own| own != other))
    }

    /// Warns of another network, where a host, a port and a name without a file are others.
    pub(super) fn network(&self, way: &Way) -> Option<Finding> {
        let process = self.process.filter(|_| way.is_of_other_network)?;
        let text =
            format!("process {process} has a network of its own, and what follows is seen from this one");
        let advice =
            format!("look from there: nsenter --target {process} --net tasktag doctor --env-of {process}");
        Some(Finding::warning("network", text).advise(advice))
    }

    /// The directory in place of `/` in which the library looks for files.
    pub(super) fn system_root(&self) -> &Path {
        self.links.as_deref().unwrap_or(Path::new("/"))
    }

    /// The directory that systemd made for the service, as that has it.
    pub(super) fn runtime_directory(&self) -> Option<&Path> {
        let listed = self.variables.get("RUNTIME_DIRECTORY")?;
        listed.split(':').find(|path| !path.is_empty()).map(Path::new)
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        if let Some(path) = &self.links {
            // Links are removed, not what they lead to.
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn text(text: &OsStr) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

/// The variables as the kernel has them: `key=value` with a 0 after each.
fn parse(listed: &[u8]) -> Variables {
    let pairs = listed.split(|byte| *byte == 0).map(|pair| text(OsStr::from_bytes(pair)));
    pairs
        .filter_map(|pair| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect()
}

/// Makes a directory in which `proc/self` is another process.
fn links(process: u32, root: &Root) -> io::Result<PathBuf> {
    let links = std::env::temp_dir().join(format!("tasktag-doctor-{}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&links)?;
    fs::create_dir(links.join("proc"))?;
    let other = Path::new("/proc").join(process.to_string());
    symlink(&other, links.join("proc/self"))?;
    symlink(root.find(Path::new("/opt")), links.join("opt"))?;
    symlink("/sys", links.join("sys"))?;
    let socket = links.join(AGENT_SOCKET);
    fs::create_dir_all(socket.parent().unwrap_or(&links))?;
    symlink(root.find(&Path::new("/").join(AGENT_SOCKET)), socket)?;
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_the_kernel_has_them() {
        let read = parse(b"A=b=c\0EMPTY=\0no value\0X=\xff\0");
        let expected = [("A", "b=c"), ("EMPTY", ""), ("X", "\u{fffd}")];
        assert!(read.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(expected), "{read:?}");
    }
}
