//! Finds the container that this process runs in.
//!
//! The steps and their order are those of the official clients: an id in the process's cgroup, an id in the mount of
//! its `/etc/hostname`, and the inode of its cgroup's directory if a private namespace hides the id.

use crate::vocabulary::protocol::Protocol;
use std::io::Write;
use std::path::Path;

/// How an agent identifies a container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has files that tell"))]
pub(super) enum Container {
    /// Given by the program, with or without a mark, perhaps as a list.
    Given(String),
    /// Its id.
    Id(String),
    /// The inode of its cgroup's directory.
    Inode(u64),
}

impl Container {
    /// Appends the field if an agent with this protocol, at least 1.2, can use it.
    pub(super) fn write_field(&self, protocol: Protocol, out: &mut Vec<u8>) {
        // Writing to a `Vec` can't fail.
        let _ = match (self, protocol >= Protocol::V1_4) {
            (Self::Given(text), true) => write!(out, "|c:{text}"),
            (Self::Given(text), false) => bare(text).map_or(Ok(()), |id| write!(out, "|c:{id}")),
            (Self::Id(id), true) => write!(out, "|c:ci-{id}"),
            (Self::Id(id), false) => write!(out, "|c:{id}"),
            (Self::Inode(inode), true) => write!(out, "|c:in-{inode}"),
            (Self::Inode(_), false) => Ok(()),
        };
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn find(_root: &Path) -> Option<Self> {
        None
    }

    #[cfg(target_os = "linux")]
    pub(super) fn find(root: &Path) -> Option<Self> {
        linux::find(root)
    }
}

/// The first id of a list, without its mark: versions before 1.4 had neither lists nor marks.
fn bare(given: &str) -> Option<&str> {
    let id = given.split(',').find(|item| !item.starts_with("in-"))?;
    Some(id.strip_prefix("ci-").unwrap_or(id))
}

#[cfg(target_os = "linux")]
mod linux {
    use super::super::{cgroup, mountinfo};
    use super::Container;
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    /// The number of bytes read from a file: many times the size of a cgroup's and a container's mounts.
    const MAX_CGROUP: u64 = 1 << 16;
    const MAX_MOUNTINFO: u64 = 1 << 20;
    /// The kernel's name of the initial cgroup namespace of every host (`PROC_CGROUP_INIT_INO`).
    const HOST_NAMESPACE: &str = "cgroup:[4026531835]";
    /// Inode 0 is none, 1 holds bad blocks or is a whole hierarchy's, 2 is a file system's root.
    const MAX_COMMON_INODE: u64 = 2;

    /// Some runtimes write a uuid with `_`. Agent Data Plane does not accept it in an id, and refuses the line.
    fn without_underscores(id: &str) -> String {
        id.replace('_', "-")
    }

    pub(super) fn find(root: &Path) -> Option<Container> {
        let cgroup = read(&root.join("proc/self/cgroup"), MAX_CGROUP).unwrap_or_default();
        if let Some(id) = cgroup::container_id(&cgroup) {
            return Some(Container::Id(without_underscores(id)));
        }
        let mountinfo = read(&root.join("proc/self/mountinfo"), MAX_MOUNTINFO).unwrap_or_default();
        if let Some(id) = mountinfo::container_id(&mountinfo) {
            return Some(Container::Id(without_underscores(id)));
        }
        // In the initial namespace, the cgroup has the whole path: a container would have been found.
        if is_in_host_namespace(root) {
            return None;
        }
        cgroup::directories(&cgroup)
            .find_map(|directory| inode(&root.join("sys/fs/cgroup").join(directory)))
            .map(Container::Inode)
    }

    fn read(path: &Path, limit: u64) -> Option<String> {
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 == limit {
            // The last line may be cut, and half a line may look like another one.
            let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            bytes.truncate(end);
        }
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn is_in_host_namespace(root: &Path) -> bool {
        fs::read_link(root.join("proc/self/ns/cgroup")).is_ok_and(|name| name.as_os_str() == HOST_NAMESPACE)
    }

    fn inode(directory: &Path) -> Option<u64> {
        fs::metadata(directory).ok().map(|found| found.ino()).filter(|inode| *inode > MAX_COMMON_INODE)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_host_namespace_has_the_inode_that_the_kernel_gave_it() {
            assert_eq!(HOST_NAMESPACE, format!("cgroup:[{}]", 0xEFFF_FFFB_u32));
        }
    }
}
