//! A proxy between a client and a server's socket, which may drop connections and tell neither side.

use crate::support::TempDir;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub(crate) struct Proxy {
    folder: TempDir,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    /// Connections before this one are dropped.
    first: AtomicUsize,
}

impl Proxy {
    /// Has a socket of the same name as the server's, for as long as this process lives.
    pub(crate) fn start(server: &Path) -> Self {
        let (folder, state) = (TempDir::new(), Arc::<State>::default());
        let listener = UnixListener::bind(folder.join("").join(server.file_name().unwrap())).unwrap();
        let (server, shared) = (server.to_owned(), Arc::clone(&state));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&server) else { continue };
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let state = Arc::clone(&shared);
                    thread::spawn(move || pass_on(from, to, || state.first.load(Ordering::SeqCst) <= number));
                }
            }
        });
        Self { folder, state }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.join("")
    }

    /// The connections that there were so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Drops all that come through the connections that there are, which stay open.
    pub(crate) fn drop_connections(&self) {
        self.state.first.store(self.connections(), Ordering::SeqCst);
    }
}

fn pass_on(mut from: UnixStream, mut to: UnixStream, is_passed_on: impl Fn() -> bool) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if is_passed_on() && to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}
