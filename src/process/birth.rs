//! What tells this process from all others, and is the same for all code in it.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process, or one that it was forked from, was restored from a snapshot of its memory. All clones of a
/// snapshot have the same marks.
static RESTORED: AtomicBool = AtomicBool::new(false);

/// Returns a text that no other process has, if the system provides for one. It is the same at every call, in every
/// copy of this library that the process has loaded.
///
/// Linux gives each program 16 random bytes when it starts (`AT_RANDOM`, see `getauxval(3)`). Its forked children
/// inherit them, so the process id is part of the text. It is only unique within its namespace, so that is part of it
/// as well.
pub(crate) fn mark() -> Option<String> {
    if RESTORED.load(Ordering::Relaxed) {
        return None;
    }
    let seed = system::seed()?;
    Some(format!("{seed:032x} {} {}", std::process::id(), system::process_namespace()))
}

/// Notes that other processes may have the same mark as this one.
pub(crate) fn forget() {
    RESTORED.store(true, Ordering::Relaxed);
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the random bytes are given by address")]
mod system {
    use std::os::unix::fs::MetadataExt;

    const LEN: usize = size_of::<u128>();

    pub(super) fn seed() -> Option<u128> {
        // SAFETY: The function only reads what the system passed to the program.
        let address = unsafe { libc::getauxval(libc::AT_RANDOM) };
        let bytes = std::ptr::with_exposed_provenance::<[u8; LEN]>(usize::try_from(address).ok()?);
        // SAFETY: The address is 0 if there is none. If there is one, it is that of 16 bytes, which stay where they are
        // until the program ends, and which nothing writes.
        let bytes = unsafe { bytes.as_ref() }?;
        Some(u128::from_ne_bytes(*bytes))
    }

    /// Returns the number of the namespace of process ids, or 0 if the system does not tell.
    pub(super) fn process_namespace() -> u64 {
        std::fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn seed() -> Option<u128> {
        None
    }

    pub(super) fn process_namespace() -> u64 {
        0
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stays_the_same_and_starts_with_random_bytes() {
        let mark = mark().unwrap();
        assert_eq!(Some(&mark), super::mark().as_ref());
        let (seed, process) = mark.split_at(32);
        assert_ne!(u128::from_str_radix(seed, 16).unwrap(), 0);
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
        let namespace = namespace.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
        assert_eq!(process, format!(" {} {namespace}", std::process::id()));
    }
}
