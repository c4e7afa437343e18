//! The files of a lease directory: how they are opened, made and told apart.
//!
//! Everybody who can write in the directory can put anything at a path. Therefore links are not followed, only regular
//! files are used, nothing is truncated, and opening never waits.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// The identity of a file among all existing files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inode {
    #[cfg(unix)]
    device: u64,
    #[cfg(unix)]
    number: u64,
}

impl Inode {
    #[cfg(unix)]
    pub(super) fn of(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: file.dev(), number: file.ino() }
    }

    /// On systems where an open file can't be replaced, the path identifies it.
    #[cfg(not(unix))]
    pub(super) fn of(_: &Metadata) -> Self {
        Self {}
    }
}

/// Whether an open file still has a name, anywhere.
#[cfg(unix)]
pub(super) fn has_name(file: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) > 0
}

#[cfg(not(unix))]
pub(super) fn has_name(_: &Metadata) -> bool {
    true
}

/// Closes a file, unless its descriptor belongs to another file by now. Daemons close all descriptors, and open other
/// files under the same numbers.
#[cfg(unix)]
pub(super) fn close(file: File, inode: Inode) {
    use std::os::fd::IntoRawFd;
    if !file.metadata().is_ok_and(|there| Inode::of(&there) == inode) {
        let _ = file.into_raw_fd();
    }
}

#[cfg(not(unix))]
pub(super) fn close(file: File, _: Inode) {
    drop(file);
}

/// Who shares a directory, and so the files in it: everybody who can write there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharing {
    #[cfg(unix)]
    mode: u32,
    #[cfg(unix)]
    group: u32,
}

impl Sharing {
    /// Reads the directory's permissions. `Err` if it does not exist or is not a directory.
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        let found = fs::metadata(directory)?;
        if found.is_dir() { Ok(Self::from(&found)) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    #[cfg(unix)]
    fn from(directory: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let writers = directory.mode() & 0o022;
        // Everybody who may write may read.
        Self { mode: 0o600 | writers | writers << 1, group: directory.gid() }
    }

    #[cfg(not(unix))]
    fn from(_: &Metadata) -> Self {
        Self {}
    }

    /// Makes a file that everybody who shares the directory can open, whatever this process's umask and group are.
    #[cfg_attr(not(unix), allow(clippy::unused_self, reason = "only Unix has a mode and a group to set"))]
    pub(super) fn make(self, path: &Path) -> io::Result<File> {
        let mut options = options();
        let file = options.read(true).write(true).create_new(true).open(path)?;
        // A file that only this process can use is still a slot.
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
            if file.metadata().is_ok_and(|made| made.gid() != self.group) {
                let _ = fchown(&file, None, Some(self.group));
            }
            let _ = file.set_permissions(fs::Permissions::from_mode(self.mode));
        }
        Ok(file)
    }
}

/// Opens an existing file. If it is not writable, it is opened for reading, which is enough for a lock.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let opened = match options().read(true).write(true).open(path) {
        Err(error) if is_refusal(&error) => options().read(true).open(path),
        opened => opened,
    }?;
    let found = opened.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no regular file"));
    }
    if cfg!(not(target_os = "linux")) && !is_at(path, Inode::of(&found)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is a link"));
    }
    Ok(opened)
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Whether this is the file at a path. A link is compared itself, not its target.
pub(super) fn is_at(path: &Path, inode: Inode) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| Inode::of(&there) == inode)
}

#[cfg(target_os = "linux")]
fn options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

/// [`is_at`] detects links.
#[cfg(not(target_os = "linux"))]
fn options() -> OpenOptions {
    OpenOptions::new()
}
