//! A PostgreSQL server of a test's own, at a socket.

use crate::server::{Server, command, folder, programs};
use crate::support::TempDir;
use sqlx::postgres::PgConnectOptions;
use std::fs;

pub(crate) struct Postgres {
    // Before the folder, in which it writes.
    _server: Server,
    folder: TempDir,
}

impl Postgres {
    /// `None` where nobody says where the programs are.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(settings: &[&str]) -> Option<Self> {
        let programs = programs("TASKTAG_TEST_POSTGRES")?;
        let folder = folder();
        let data = folder.join("data");
        let mut initdb = command(&programs.join("initdb"), &folder);
        initdb.args(["--auth=trust", "--username=shop", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"]);
        assert!(initdb.arg(&data).status().unwrap().success(), "{initdb:?}");

        let mut postgres = command(&programs.join("postgres"), &folder);
        postgres
            .args(["-F", "-c", "listen_addresses=", "-c", "autovacuum=off", "-k"])
            .arg(folder.join(""))
            .arg("-D")
            .arg(&data);
        for setting in settings {
            postgres.args(["-c", setting]);
        }
        // The server's last line there is its state.
        let state = || fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let server = Server::start(&mut postgres, || state().trim_end().ends_with("ready"));
        Some(Self { _server: server, folder })
    }

    /// Where the server's socket is.
    #[allow(dead_code, reason = "each test file uses a part")]
    pub(crate) fn folder(&self) -> std::path::PathBuf {
        self.folder.join("")
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().socket(self.folder.join(""));
        options.port(5432).username("shop").database("postgres")
    }
}
