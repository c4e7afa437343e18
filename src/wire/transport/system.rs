//! System calls of Linux that the standard library does not offer. All of the crate's `unsafe` for sockets is here.

#![allow(unsafe_code, reason = "system calls")]

use super::MAX_PACKETS;
use super::packets::Packets;
use super::socket_name::SocketName;
use std::ffi::c_int;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether the call for several datagrams was refused when the call for one was not. A sandbox does not change.
static ONE_BY_ONE: AtomicBool = AtomicBool::new(false);

pub(super) fn knows_send_datagrams() -> bool {
    !ONE_BY_ONE.load(Ordering::Relaxed)
}

pub(super) fn forget_send_datagrams() {
    ONE_BY_ONE.store(true, Ordering::Relaxed);
}

/// Whether sandboxes use this error to refuse an unknown system call.
pub(super) fn may_be_forbidden(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EACCES))
}

/// Sends as many of the packets as the connected socket accepts without waiting, in one call. Returns how many: at
/// least one, or it is an error.
pub(super) fn send_datagrams(socket: BorrowedFd<'_>, packets: Packets<'_>) -> io::Result<usize> {
    // SAFETY: both are C structs of integers and pointers, for which all bits 0 is a value.
    let (mut parts, mut messages): ([libc::iovec; MAX_PACKETS], [libc::mmsghdr; MAX_PACKETS]) =
        unsafe { mem::zeroed() };
    let mut count = 0;
    for ((packet, part), message) in packets.iter().zip(&mut parts).zip(&mut messages) {
        part.iov_base = packet.as_ptr().cast_mut().cast();
        part.iov_len = packet.len();
        message.msg_hdr.msg_iov = ptr::from_mut(part);
        message.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // Some C libraries have unsigned flags.
    #[cfg(any(target_env = "musl", target_env = "ohos"))]
    let flags = flags.cast_unsigned();
    // SAFETY: the first `count` messages each point to one part, which points to a packet; all of them live until the
    // call returns, and the kernel only reads what the parts point to. `count` is no more than there are messages.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sends as many of a stream's bytes as fit, without the signal that kills a program when its peer is gone. The
/// standard library does the same, for Unix streams from Rust 1.90 on.
pub(super) fn send_stream(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of one slice, which the kernel only reads.
    let sent =
        unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Whether less than half of the socket's send buffer is in use: then no packet was refused for lack of room.
pub(super) fn has_room(socket: BorrowedFd<'_>) -> bool {
    let mut most: c_int = 0;
    let mut size = 4;
    let waiting = queued(socket);
    let socket = socket.as_raw_fd();
    // SAFETY: the kernel writes at most `size` bytes, which is the size of `most`, and the size itself.
    let known = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            ptr::from_mut(&mut most).cast(),
            ptr::from_mut(&mut size),
        )
    } == 0;
    let most = usize::try_from(most).unwrap_or_default();
    known && waiting.is_some_and(|waiting| waiting < most / 2)
}

/// The bytes that the socket holds: for a TCP connection those that the other host has not acknowledged, for a Unix
/// stream at least those that nobody has read.
pub(super) fn queued(socket: BorrowedFd<'_>) -> Option<usize> {
    let mut queued: c_int = 0;
    // SAFETY: the kernel writes one `int`, for which there is room.
    let asked = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, ptr::from_mut(&mut queued)) } == 0;
    usize::try_from(queued).ok().filter(|_| asked)
}

/// Makes the kernel give up a TCP connection when the other host has acknowledged nothing for this long.
pub(super) fn set_user_timeout(socket: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    let millis = libc::c_uint::try_from(timeout.as_millis()).unwrap_or(libc::c_uint::MAX);
    let size = libc::socklen_t::try_from(size_of_val(&millis)).unwrap_or_default();
    // SAFETY: the pointer is to an `unsigned int`, `size` is its size, and the kernel only reads it.
    let set = unsafe {
        let value = ptr::from_ref(&millis).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, value, size)
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The device and inode of what is open under a descriptor, which may be anything or nothing.
pub(super) fn identify(descriptor: RawFd) -> Option<(u64, u64)> {
    // SAFETY: a C struct of integers, for which all bits 0 is a value.
    let mut found: libc::stat = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes one `stat`, for which there is room. A number under which nothing is open is an error.
    let known = unsafe { libc::fstat(descriptor, ptr::from_mut(&mut found)) } == 0;
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "the types differ from system to system"
    )]
    known.then_some((found.st_dev as u64, found.st_ino as u64))
}

/// Closes a descriptor that nothing else in this process will close or use.
pub(super) fn close(descriptor: RawFd) {
    // SAFETY: the caller has found that it is the parent's connection, of which no value in this process is ever
    // dropped.
    unsafe { libc::close(descriptor) };
}

/// Connects to a socket file without waiting. If the agent's queue of connections is full, that is an error.
pub(super) fn connect_unix(name: &SocketName) -> io::Result<UnixStream> {
    // SAFETY: no pointers are passed.
    let socket = unsafe {
        libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0)
    };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: a C struct of integers, for which all bits 0 is a value.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or_default();
    // A path ends with a 0, and a name without a file begins with one and ends with its length.
    let (start, bytes, end) = match name {
        SocketName::File(path) => (0, path.as_os_str().as_bytes(), 1),
        SocketName::Abstract(name) => (1, name.as_bytes(), 0),
    };
    let len = start + bytes.len() + end;
    if len > address.sun_path.len() || bytes.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in address.sun_path.iter_mut().skip(start).zip(bytes) {
        // Signed on one target and not on another.
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    let size =
        libc::socklen_t::try_from(mem::offset_of!(libc::sockaddr_un, sun_path) + len).unwrap_or_default();
    // SAFETY: the pointer is to a whole `sockaddr_un`, and `size` is not more than its size.
    let connected = unsafe { libc::connect(socket.as_raw_fd(), ptr::from_ref(&address).cast(), size) } == 0;
    if connected { Ok(UnixStream::from(socket)) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixListener};
    use std::path::Path;

    #[test]
    fn datagrams_leave_in_one_call_until_there_is_no_room() {
        let (from, to) = UnixDatagram::pair().unwrap();
        let bytes = b"abbccc";
        assert_eq!(send_datagrams(from.as_fd(), Packets::new(bytes, 0, &[1, 3, 6])).unwrap(), 3);
        let mut buffer = [0; 8];
        for expected in [b"a".as_slice(), b"bb", b"ccc"] {
            let len = to.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], expected);
        }
        let ends = [1; 1];
        let full = std::iter::repeat_with(|| send_datagrams(from.as_fd(), Packets::new(bytes, 0, &ends)))
            .find_map(Result::err);
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_socket_that_keeps_nothing_has_room_and_a_full_one_has_not() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(has_room(udp.as_fd()));
        let (from, _to) = UnixDatagram::pair().unwrap();
        from.set_nonblocking(true).unwrap();
        while from.send(&vec![0; 60_000]).is_ok() {}
        assert!(!has_room(from.as_fd()));
    }

    #[test]
    fn a_full_queue_of_connections_is_an_error_and_no_wait() {
        let path = std::env::temp_dir().join(format!("tasktag-backlog-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let name = SocketName::file(&path);
        // Otherwise a listener accepts thousands by itself: more than the other tests leave a process that may
        // have 1024 files, or than they can do without. SAFETY: It touches no memory.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 3) }, 0);
        let connections: Vec<_> = (0..100).map_while(|_| connect_unix(&name).ok()).collect();
        assert!((3..100).contains(&connections.len()), "{}", connections.len());
        assert_eq!(connect_unix(&name).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop((listener, connections));
        assert_eq!(connect_unix(&name).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(connect_unix(&name).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(
            connect_unix(&SocketName::file(Path::new(&"x".repeat(200)))).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
