//! What a program file says of thread-local storage.

use std::fs;
use std::path::Path;

/// The type of the segment of thread-local storage, from the ELF specification's `PT_TLS`.
const TLS: u32 = 7;
/// A file of 64 bits whose numbers have their least byte first.
const MAGIC: [u8; 6] = [0x7F, b'E', b'L', b'F', 2, 1];

/// The bytes of static thread-local storage that each thread of a program has for it. `None` if it is no such file.
pub fn thread_local_bytes(program: &Path) -> Option<u64> {
    let file = fs::read(program).ok()?;
    if !file.starts_with(&MAGIC) {
        return None;
    }
    // The header says where the segments' headers are, how large each is, and how many there are.
    let first = usize::try_from(number(&file, 0x20, 8)?).ok()?;
    let size = usize::try_from(number(&file, 0x36, 2)?).ok()?;
    let segments = usize::try_from(number(&file, 0x38, 2)?).ok()?;
    let bytes = |segment: usize| {
        let at = first + segment * size;
        let is_tls = number(&file, at, 4)? == u64::from(TLS);
        is_tls.then(|| number(&file, at + 0x28, 8))?
    };
    // Without such a segment there is none.
    Some((0..segments).filter_map(bytes).sum())
}

fn number(file: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let bytes = file.get(at..at.checked_add(bytes)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
