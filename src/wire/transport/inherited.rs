//! Connections that a forked child inherits. They belong to its parent, and an agent would keep them open for as long
//! as the child lives.

use super::system;
use crate::process::fork::{AtFork, Origin};
use crate::process::sync::wide::AtomicU64;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// The number of connections noted at a time. A child keeps any others, which only delays their end.
const MOST: usize = 64;
/// No descriptor.
const NONE: RawFd = -1;
/// A slot that a thread is about to fill.
const TAKEN: RawFd = -2;

/// There is no lock, because a thread of the parent may have been changing it when the child was forked. A half-filled
/// slot names a socket that matches nothing in the child.
static OPEN: [Place; MOST] = [const { Place::new() }; MOST];

struct Place {
    descriptor: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

impl Place {
    const fn new() -> Self {
        Self { descriptor: AtomicI32::new(NONE), device: AtomicU64::new(0), inode: AtomicU64::new(0) }
    }

    fn take(&self) -> bool {
        self.descriptor.compare_exchange(NONE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

/// An open connection of this process. Drop it before the connection.
#[derive(Debug)]
pub(super) struct Noted(Option<usize>);

impl Noted {
    pub(super) fn new(socket: BorrowedFd<'_>) -> Self {
        let descriptor = socket.as_raw_fd();
        let Some((device, inode)) = system::identify(descriptor) else { return Self(None) };
        let place = OPEN.iter().position(Place::take);
        if let Some(place) = place.and_then(|place| OPEN.get(place)) {
            place.device.store(device, Ordering::Relaxed);
            place.inode.store(inode, Ordering::Relaxed);
            place.descriptor.store(descriptor, Ordering::Release);
        }
        Self(place)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if let Some(place) = self.0.and_then(|place| OPEN.get(place)) {
            place.descriptor.store(NONE, Ordering::Release);
        }
    }
}

/// Each process has its own open connections.
pub(crate) static AT_FORK: AtFork = AtFork {
    start_over: |origin| {
        if origin == Origin::Forked {
            close_inherited();
        }
    },
    ..AtFork::NONE
};

/// Runs in a forked child, before it has a connection of its own: closes its copies of its parent's connections. A
/// socket or file that the program opened under the same descriptor meanwhile stays open.
fn close_inherited() {
    for place in &OPEN {
        let descriptor = place.descriptor.swap(NONE, Ordering::Acquire);
        let (device, inode) = (place.device.load(Ordering::Relaxed), place.inode.load(Ordering::Relaxed));
        if descriptor >= 0 && system::identify(descriptor) == Some((device, inode)) {
            system::close(descriptor);
        }
    }
}
