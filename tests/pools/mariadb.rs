//! A MariaDB server of a test's own, at a socket, for whoever comes.

use crate::server::{Server, command, folder, programs};
use crate::support::TempDir;
use mysql_async::{OptsBuilder, PoolConstraints, PoolOpts};
use std::os::unix::net::UnixStream;

pub(crate) struct MariaDb {
    // Before the folder, in which it writes.
    _server: Server,
    folder: TempDir,
}

impl MariaDb {
    /// `None` where nobody says where the program is.
    pub(crate) fn start() -> Option<Self> {
        let program = programs("TASKTAG_TEST_MARIADB")?;
        let folder = folder();
        let mut mariadb = command(&program, &folder);
        // Without tables of users, which the package's script would make.
        mariadb.args([
            "--no-defaults",
            "--skip-grant-tables",
            "--skip-networking",
            "--innodb-log-file-size=4M",
        ]);
        for (setting, name) in [("datadir", ""), ("socket", "socket"), ("pid-file", "pid"), ("tmpdir", "")] {
            mariadb.arg(format!("--{setting}={}", folder.join(name).display()));
        }
        let socket = folder.join("socket");
        let server = Server::start(&mut mariadb, || UnixStream::connect(&socket).is_ok());
        Some(Self { _server: server, folder })
    }

    pub(crate) fn options(&self) -> OptsBuilder {
        OptsBuilder::default()
            .socket(Some(self.folder.join("socket").display().to_string()))
            .user(Some("shop"))
    }
}

/// Of a pool that keeps all that it opens.
pub(crate) fn keeping(max: usize) -> PoolOpts {
    PoolOpts::default().with_constraints(PoolConstraints::new(max, max).unwrap())
}
