//! A pseudo-terminal in which the command runs, and what it shows.

use crate::run::{kill, tasktag, wait};
use crate::support::{PATIENCE, wait_until};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What came out of the terminal.
struct Shown {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

/// The terminal with the command in it.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    shown: Arc<Mutex<Shown>>,
}

impl Terminal {
    /// Runs the command in a terminal of a size.
    pub(crate) fn run(arguments: &[&str], rows: u16, columns: u16) -> Self {
        let (master, slave) = open(rows, columns);
        let stdio = || Stdio::from(slave.try_clone().expect("there is room for descriptors"));
        let mut command = tasktag(arguments);
        command.stdin(stdio()).stdout(stdio()).stderr(Stdio::null());
        // SAFETY: between fork and exec it makes two system calls, and touches no memory.
        unsafe {
            command.pre_exec(|| {
                // The terminal tells only those of its own session that its size has changed.
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("it starts");
        let screen = File::from(master);
        let keyboard = screen.try_clone().expect("there is room for descriptors");
        let shown = Shown { parser: vt100::Parser::new(rows, columns, 0), bytes: Vec::new() };
        let shown = Arc::new(Mutex::new(shown));
        thread::spawn({
            let shown = Arc::clone(&shown);
            move || read(screen, &shown)
        });
        Self { child, keyboard, shown }
    }

    /// Waits until the screen is as expected.
    #[track_caller]
    pub(crate) fn until(&self, is_expected: impl Fn(&str) -> bool) -> String {
        let start = std::time::Instant::now();
        loop {
            let screen = self.screen();
            if is_expected(&screen) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "it never showed, but {screen}");
            thread::yield_now();
        }
    }

    pub(crate) fn screen(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).parser.screen().contents()
    }

    /// Whether a program has the whole screen, which is gone with it.
    pub(crate) fn is_taken(&self) -> bool {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).parser.screen().alternate_screen()
    }

    /// Everything that was written to the terminal.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).bytes.clone()
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal is open");
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.parser.screen_mut().set_size(rows, columns);
        let size = size(rows, columns);
        // SAFETY: the kernel reads one size, which lives until the call returns.
        let set = unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, ptr::from_ref(&size)) };
        assert_eq!(set, 0, "a terminal has a size");
    }

    pub(crate) fn kill(&self, signal: &str) {
        kill(self.child.id(), signal);
    }

    /// Waits for the end of the command.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        let status = wait(&mut self.child);
        wait_until(|| !self.is_taken());
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(rows: u16, columns: u16) -> libc::winsize {
    libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn open(rows: u16, columns: u16) -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave, size) = (0, 0, size(rows, columns));
    // SAFETY: the two numbers are written and the size is read; a name and settings are not asked for.
    let opened = unsafe {
        libc::openpty(&raw mut master, &raw mut slave, ptr::null_mut(), ptr::null(), &raw const size)
    };
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: both were just opened, and nobody else has them.
    unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) }
}

/// Reads until nobody has the terminal any more.
fn read(mut screen: File, shown: &Mutex<Shown>) {
    let mut buffer = [0; 4096];
    while let Ok(len) = screen.read(&mut buffer) {
        if len == 0 {
            return;
        }
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.parser.process(&buffer[..len]);
        shown.bytes.extend_from_slice(&buffer[..len]);
    }
}
