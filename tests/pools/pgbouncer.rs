//! A PgBouncer of a test's own, at a socket, in front of a PostgreSQL server.

use crate::postgres::Postgres;
use crate::server::{Server, command, folder, programs};
use crate::support::TempDir;
use sqlx::postgres::PgConnectOptions;
use std::fs;
use std::os::unix::net::UnixStream;

pub(crate) const POOL_SIZE: i64 = 2;

pub(crate) struct PgBouncer {
    _server: Server,
    folder: TempDir,
}

impl PgBouncer {
    /// `None` where nobody says where the program is. Its pools have two connections each, a transaction at a time.
    pub(crate) fn start(postgres: &Postgres) -> Option<Self> {
        let program = programs("TASKTAG_TEST_PGBOUNCER")?;
        let folder = folder();
        let (socket, server) = (folder.join(""), postgres.folder());
        let settings = format!(
            "[databases]\npostgres = host={} port=5432\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {}\nlisten_port = 6432\n\
             auth_type = any\nadmin_users = shop\npool_mode = transaction\ndefault_pool_size = {POOL_SIZE}\n",
            server.display(),
            socket.display(),
        );
        // Databases of `any` have a user of the server's in their line.
        let settings = settings.replace("port=5432\n", "port=5432 user=shop\n");
        fs::write(folder.join("settings"), settings).unwrap();
        let mut pgbouncer = command(&program, &folder);
        pgbouncer.arg(folder.join("settings"));
        let server =
            Server::start(&mut pgbouncer, || UnixStream::connect(folder.join(".s.PGSQL.6432")).is_ok());
        Some(Self { _server: server, folder })
    }

    /// Where its socket is.
    #[allow(dead_code, reason = "each test file uses a part")]
    pub(crate) fn folder(&self) -> std::path::PathBuf {
        self.folder.join("")
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().socket(self.folder.join(""));
        // PgBouncer refuses what sqlx asks for by default.
        options.port(6432).username("shop").database("postgres").extra_float_digits(None)
    }
}
