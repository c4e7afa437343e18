//! The root under which a process finds its files.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// The links that are followed on the way to one file, as by the kernel.
const MAX_LINKS: usize = 40;

/// A root: this process's, or another's as it is found from here.
#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn own() -> Self {
        Self(PathBuf::from("/"))
    }

    /// That of another process, which may be in a container.
    pub(super) fn of(process: u32) -> Self {
        let path = PathBuf::from(format!("/proc/{process}/root"));
        if leads_where_own_does(&path, process) { Self::own() } else { Self(path) }
    }

    /// Whether this process has the same.
    pub(super) fn is_own(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// Where a file of the process is found from here. The kernel would follow an absolute link to this process's root,
    /// as of `/var/run` to `/run`, so links are followed one by one.
    pub(super) fn find(&self, path: &Path) -> PathBuf {
        if self.is_own() {
            return path.to_owned();
        }
        let (mut found, mut links) = (PathBuf::new(), 0);
        let mut left: Vec<OsString> = parts(path);
        while let Some(part) = left.pop() {
            if part == ".." {
                found.pop();
                continue;
            }
            match fs::read_link(self.0.join(&found).join(&part)) {
                Ok(target) if links < MAX_LINKS => {
                    links += 1;
                    if target.is_absolute() {
                        found = PathBuf::new();
                    }
                    left.extend(parts(&target));
                }
                _ => found.push(part),
            }
        }
        self.0.join(found)
    }

    /// The path of a found file, as the process has it.
    pub(super) fn shown(&self, found: &Path) -> PathBuf {
        found.strip_prefix(&self.0).map_or_else(|_| found.to_owned(), |path| Path::new("/").join(path))
    }
}

/// Whether a process has this process's root. The same directory with other mounts below it is another root: a service
/// of systemd may have its own `/tmp`.
fn leads_where_own_does(root: &Path, process: u32) -> bool {
    let directory = |path| fs::metadata(path).map(|directory| (directory.dev(), directory.ino())).ok();
    let mounts = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let is_same_directory = directory(root).is_some_and(|other| directory(Path::new("/")) == Some(other));
    is_same_directory && mounts("self").is_some_and(|own| mounts(&process.to_string()) == Some(own))
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let named = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    named.rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_lead_where_they_lead_in_that_root_and_never_out_of_it() {
        let directory = std::env::temp_dir().join(format!("tasktag-root-{}", std::process::id()));
        fs::create_dir_all(directory.join("run/agent")).unwrap();
        fs::create_dir_all(directory.join("var")).unwrap();
        for (target, link) in
            [("/run", "var/run"), ("../run/agent", "var/agent"), ("loop", "loop"), ("/../..", "out")]
        {
            symlink(target, directory.join(link)).unwrap();
        }
        let root = Root(directory.clone());
        for (path, found) in [
            ("/run/agent/socket", "run/agent/socket"),
            ("/var/run/agent/socket", "run/agent/socket"),
            ("/var/agent/socket", "run/agent/socket"),
            ("/out/run", "run"),
            ("/loop", "loop"),
            ("/none/../run", "run"),
        ] {
            assert_eq!(root.find(Path::new(path)), directory.join(found), "{path}");
            assert_eq!(root.shown(&directory.join(found)), Path::new("/").join(found));
        }
        assert_eq!(Root::own().find(Path::new("/var/run/x")), Path::new("/var/run/x"));
        assert_eq!(Root::own().shown(Path::new("/var/run/x")), Path::new("/var/run/x"));
        fs::remove_dir_all(&directory).unwrap();
    }
}
