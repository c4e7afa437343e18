//! Why a Unix socket can't be connected to.

use super::finding::Finding;
use super::root::Root;
use super::way::Way;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// What connecting to a file that is no socket of this kind says.
const WRONG_TYPE: i32 = 91;

/// Explains an error. The socket's file is looked at if it has one.
pub(super) fn blame(way: &Way, error: &io::Error, scheme: &str, root: &Root) -> Finding {
    let Some(path) = &way.file else {
        let text = format!("the socket without a file does not answer: {error}");
        let finding = Finding::fault("connection", text);
        // A warning has said from where to look.
        let is_told = way.is_of_other_network;
        return if is_told { finding } else { finding.advise("start the agent in this network namespace") };
    };
    let shown = root.shown(path);
    let shown = shown.display();
    match (error.kind(), fs::metadata(path)) {
        (io::ErrorKind::NotFound, _) => {
            let text = format!("there is no file {shown}{}", nearest_parent(path, root));
            let advice = "start the agent with this socket, and mount its directory into this container";
            Finding::fault("connection", text).advise(advice)
        }
        (io::ErrorKind::PermissionDenied, found) => refused(&root.shown(path), found.ok().as_ref()),
        (_, Ok(found)) if !found.file_type().is_socket() => {
            let text = format!("{shown} is a {}, and no socket", type_of(&found));
            let advice = "a container runtime makes a directory where it mounts a path that does not exist yet: \
                          start the agent first, or mount the directory around the socket";
            Finding::fault("connection", text).advise(advice)
        }
        (io::ErrorKind::ConnectionRefused, _) => {
            let text = format!("{shown} is a socket that nobody reads: its agent has ended");
            let advice =
                "start the agent again; if it runs, it made a new file: mount the directory, not the file";
            Finding::fault("connection", text).advise(advice)
        }
        _ if error.raw_os_error() == Some(wrong_type()) => {
            let (is, other) =
                if scheme == "unix" { ("a stream", "unixstream") } else { ("for datagrams", "unix") };
            let text = format!("{shown} is a socket of another type: it is {is}");
            Finding::fault("connection", text).advise(format!("use {other}://{shown}"))
        }
        _ => Finding::fault("connection", format!("{shown} can't be connected to: {error}")),
    }
}

fn wrong_type() -> i32 {
    if cfg!(target_os = "linux") { WRONG_TYPE } else { 41 }
}

/// Who may write, and who this is.
fn refused(path: &Path, found: Option<&Metadata>) -> Finding {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let who = format!("user {user} of group {group}");
    let shown = path.display();
    let Some(found) = found else {
        let text = format!("{who} may not enter a directory on the way to {shown}");
        let advice = "give the directories on the way the permission x for this user";
        return Finding::fault("connection", text).advise(advice);
    };
    let (mode, owner, group) = (found.mode() & 0o7777, found.uid(), found.gid());
    let text =
        format!("{shown} has mode {mode:04o}, user {owner} and group {group}, and {who} may not write");
    let advice = "let the agent make its socket with mode 0722 or 0777, or run as a user who may write";
    Finding::fault("connection", text).advise(advice)
}

/// Says how far a path exists.
fn nearest_parent(path: &Path, root: &Root) -> String {
    match path.ancestors().skip(1).find(|parent| parent.exists()) {
        Some(parent) if path.parent() != Some(parent) => {
            format!("; of its directories only {} exists", root.shown(parent).display())
        }
        _ => String::new(),
    }
}

fn type_of(found: &Metadata) -> &'static str {
    if found.is_dir() {
        "directory"
    } else if found.is_file() {
        "regular file"
    } else {
        "device or pipe"
    }
}
