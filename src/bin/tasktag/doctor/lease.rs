//! The state of a directory in which task ids are leased.

use super::finding::Finding;
use super::root::Root;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The end of a slot's file's name, behind its number.
const SLOT: &str = ".lock";
/// The bits of a mode by which anybody may write.
const EVERYBODY: u32 = 0o002;
/// The holders that are listed.
const MAX_LISTED: usize = 10;

/// `root` is that under which the directory is found.
pub(super) fn examine(directory: &Path, root: &Root) -> Vec<Finding> {
    let directory = &root.find(directory);
    let shown = root.shown(directory).display().to_string();
    let found = match fs::metadata(directory) {
        Ok(found) if found.is_dir() => found,
        Ok(_) => return vec![Finding::fault("lease", format!("{shown} is no directory"))],
        Err(error) => {
            let finding = Finding::fault("lease", format!("{shown}: {error}"));
            return vec![finding.advise("make it: with systemd, RuntimeDirectory= of the unit does")];
        }
    };
    let mut findings = vec![may_write(directory, &found, &shown)];
    if found.mode() & EVERYBODY != 0 && found.mode() & 0o1000 == 0 {
        let text = format!("{shown} has mode {:04o}: anybody may remove the slots", found.mode() & 0o7777);
        findings.push(Finding::warning("lease", text).advise("let only the service write there"));
    }
    findings.extend(slots(directory));
    findings
}

/// Whether this user may make the files of slots.
fn may_write(directory: &Path, found: &Metadata, shown: &str) -> Finding {
    let user = rustix::process::geteuid().as_raw();
    let path = directory.join(format!(".tasktag-doctor-{}", std::process::id()));
    match fs::File::create_new(&path) {
        Ok(_) => {
            let _ = fs::remove_file(&path);
            Finding::ok("lease", format!("user {user} may make slots in {shown}"))
        }
        Err(error) => {
            let (mode, owner, group) = (found.mode() & 0o7777, found.uid(), found.gid());
            let text = format!(
                "user {user} can't make slots in {shown}: {error} (mode {mode:04o}, user {owner}, group {group})"
            );
            Finding::fault("lease", text).advise("let all processes that lease there write in it")
        }
    }
}

/// Says which slots are held and by whom, and what is no slot.
fn slots(directory: &Path) -> Vec<Finding> {
    let holders = holders();
    let (mut held, mut free, mut wrong) = (Vec::new(), 0, Vec::new());
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(number) = name.strip_suffix(SLOT).and_then(|number| number.parse::<u32>().ok()) else {
            continue;
        };
        match fs::symlink_metadata(entry.path()) {
            Ok(found) if found.is_file() => match holders.get(&found.ino()) {
                Some(process) => held.push((number, *process)),
                None => free += 1,
            },
            _ => wrong.push(name),
        }
    }
    held.sort_unstable();
    let listed: Vec<_> =
        held.iter().take(MAX_LISTED).map(|(number, process)| format!("{number} by {process}")).collect();
    let more = if held.len() > MAX_LISTED { ", …" } else { "" };
    let whose = if listed.is_empty() {
        String::new()
    } else {
        format!(" (process ids: {}{more})", listed.join(", "))
    };
    let text = format!("{} slots are held, {free} are free{whose}", held.len());
    let mut findings = vec![Finding::ok("lease", text)];
    if !wrong.is_empty() {
        let text = format!("no regular files, so that nobody gets their slots: {}", wrong.join(", "));
        findings.push(Finding::warning("lease", text).advise("remove them"));
    }
    findings
}

/// The processes that hold locks of files, by inode. A file of the same inode in another file system would be taken for
/// a slot, which costs a wrong line here and nothing else.
fn holders() -> BTreeMap<u64, u32> {
    let listed = fs::read_to_string("/proc/locks").unwrap_or_default();
    listed.lines().filter_map(holder).collect()
}

/// Reads `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`.
fn holder(line: &str) -> Option<(u64, u32)> {
    let mut words = line.split_whitespace().skip(1);
    words.next().filter(|kind| *kind == "FLOCK")?;
    let process = words.nth(2)?.parse().ok()?;
    let (_, inode) = words.next()?.rsplit_once(':')?;
    Some((inode.parse().ok()?, process))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_of_locks_is_read() {
        assert_eq!(holder("1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF"), Some((5678, 1234)));
        for other in [
            "",
            "2: POSIX  ADVISORY  WRITE 1 00:1:2 0 EOF",
            "1: -> FLOCK ADVISORY WRITE 1 0:0:1 0 EOF",
            "1: FLOCK",
        ] {
            assert_eq!(holder(other), None, "{other}");
        }
    }
}
