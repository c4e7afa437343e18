//! Whose variables and files are looked at: this process's, or another's.

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
    root: Root,
}

/// Where the files are by which a container is detected.
#[derive(Debug)]
enum Root {
    Own,
    /// A directory of links to what another process has.
    Links(PathBuf),
}

impl Surroundings {
    /// Those of a process, or of this one.
    pub(super) fn of(process: Option<u32>) -> Result<Self, Failure> {
        let Some(process) = process else {
            let variables = std::env::vars_os().map(|(key, value)| (text(&key), text(&value))).collect();
            return Ok(Self { variables, root: Root::Own });
        };
        let path = PathBuf::from(format!("/proc/{process}/environ"));
        let listed = fs::read(&path).map_err(|error| Failure::of(path.display(), &error))?;
        let root = links(process).map_err(|error| Failure::of("a directory for links", &error))?;
        Ok(Self { variables: parse(&listed), root: Root::Links(root) })
    }

    pub(super) fn root(&self) -> &Path {
        match &self.root {
            Root::Own => Path::new("/"),
            Root::Links(path) => path,
        }
    }

    /// The directory that systemd made for the service.
    pub(super) fn runtime_directory(&self) -> Option<PathBuf> {
        let listed = self.variables.get("RUNTIME_DIRECTORY")?;
        listed.split(':').find(|path| !path.is_empty()).map(PathBuf::from)
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        if let Root::Links(path) = &self.root {
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
fn links(process: u32) -> io::Result<PathBuf> {
    let root = std::env::temp_dir().join(format!("tasktag-doctor-{}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&root)?;
    fs::create_dir(root.join("proc"))?;
    let other = Path::new("/proc").join(process.to_string());
    symlink(&other, root.join("proc/self"))?;
    // The kernel's link to what that process has for a file system.
    symlink(other.join("root").join("opt"), root.join("opt"))?;
    symlink("/sys", root.join("sys"))?;
    Ok(root)
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
