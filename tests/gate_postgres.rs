//! A gate follows the load of a real PostgreSQL server, takes no lock for load, and says when it can't know.
//!
//! The tests need the server, and say on standard error that they were skipped where `TASKTAG_TEST_POSTGRES`, the
//! folder with `postgres` and `initdb`, does not say where it is. `.ci/run` installs it. Where there is a `pgbench`
//! beside it, that makes load too.
#![cfg(all(unix, feature = "sqlx", feature = "tokio", feature = "tokio-postgres"))]

#[path = "pools/postgres.rs"]
mod postgres;
#[path = "pools/server.rs"]
mod server;
mod support;

use postgres::Postgres;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgConnection, Row};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::wait_until;
use tasktag::integrations::tokio::MeasureAsync;
use tasktag::integrations::{sqlx as by_sqlx, tokio_postgres as by_tokio_postgres};
use tasktag::testing::ManualClock;
use tasktag::{Admission, Gate, GateState, Guard, Load, PostgresLoad, SessionWait};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;

const SECOND: Duration = Duration::from_secs(1);
const CPUS: u32 = 4;

/// It runs for ever, waits for nothing and touches no disk.
const BUSY: &str = "do $$ begin loop perform 1; end loop; end $$";

/// One that works while the test waits for something else.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn connect(options: &PgConnectOptions, name: &str) -> PgConnection {
    options.clone().application_name(name).connect().await.unwrap()
}

/// Starts a statement that does not end by itself.
fn start(mut connection: PgConnection, statement: &'static str) -> JoinHandle<()> {
    tokio::spawn(async move { drop(connection.execute(statement).await) })
}

/// The server's own count of its sessions.
async fn count(connection: &mut PgConnection, which: &str) -> i64 {
    let query = format!("select count(*) from pg_stat_activity where pid <> pg_backend_pid() and {which}");
    connection.fetch_one(sqlx::AssertSqlSafe(query)).await.unwrap().get(0)
}

async fn wait_for_count(connection: &mut PgConnection, which: &str, expected: i64) {
    let start = std::time::Instant::now();
    while count(connection, which).await != expected {
        assert!(start.elapsed() < support::PATIENCE, "there were never {expected} with {which}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const COMPUTING: &str = "state = 'active' and wait_event_type is null and backend_type = 'client backend'";
const LOCKED: &str = "state = 'active' and wait_event_type = 'Lock'";

/// A client whose time is moved by hand, and a gate that asks a server by a connection of its own.
struct Lab {
    gate: Gate,
    clock: ManualClock,
    _guard: Guard,
}

impl Lab {
    fn new(runtime: &Runtime, pool: &PgPool) -> Self {
        let clock = ManualClock::new();
        let guard =
            support::builder().clock(&clock).collect_interval(Duration::from_millis(250)).build().unwrap();
        let pool = pool.clone();
        let gate = guard
            .client()
            .gate("orders")
            .smoothing(Duration::ZERO)
            .class("admitted", Admission::below(0.4).passing(0.0))
            .class("shed", Admission::below(0.4).passing(0.0).when_unknown(0.0))
            .measure_async(runtime.handle(), move || {
                let pool = pool.clone();
                async move {
                    by_sqlx::postgres_load(&pool)
                        .await
                        .map(|sessions| sessions.over(CPUS))
                        .unwrap_or_default()
                }
            })
            .unwrap();
        Self { gate, clock, _guard: guard }
    }

    /// Lets a second pass, in which the gate asks once, and waits for what it makes of the answer.
    #[track_caller]
    fn wait_for_sample(&self, is_seen: impl Fn(&Gate) -> bool) {
        self.clock.advance(SECOND);
        wait_until(|| {
            std::thread::sleep(Duration::from_millis(1));
            is_seen(&self.gate)
        });
    }

    fn part(&self, name: &str) -> Option<f64> {
        self.gate.status().parts().iter().find(|(part, _)| *part == name).map(|(_, value)| *value)
    }

    fn admitted(&self) -> [bool; 2] {
        ["admitted", "shed"].map(|class| self.gate.admits(class))
    }
}

fn monitoring(runtime: &Runtime, options: PgConnectOptions) -> PgPool {
    let _in = runtime.enter();
    PgPoolOptions::new().max_connections(1).connect_lazy_with(options.application_name("monitoring"))
}

#[test]
fn the_load_is_the_servers_own_count_and_locks_are_no_load() {
    let Some(postgres) = Postgres::start() else { return };
    let runtime = runtime();
    let lab = Lab::new(&runtime, &monitoring(&runtime, postgres.options()));
    let options = postgres.options();
    let mut own = runtime.block_on(connect(&options, "own"));
    lab.wait_for_sample(|gate| gate.load() == Some(0.0));
    assert_eq!(lab.admitted(), [true, true]);

    // Two that compute, of four processors.
    runtime.block_on(async {
        for _ in 0..2 {
            start(connect(&options, "busy").await, BUSY);
        }
        wait_for_count(&mut own, COMPUTING, 2).await;
    });
    lab.wait_for_sample(|gate| gate.load() == Some(0.5));
    assert_eq!((lab.part("cpu"), lab.part("lock")), (Some(0.5), Some(0.0)));
    assert_eq!(lab.admitted(), [false, false]);

    // Three that wait for a lock, and one that sleeps.
    // Not by the connection that counts, which would see the same sessions until its transaction ends.
    let mut holder = runtime.block_on(connect(&options, "holder"));
    runtime.block_on(async {
        holder.execute("create table orders (id int)").await.unwrap();
        holder.execute("begin").await.unwrap();
        holder.execute("lock table orders in access exclusive mode").await.unwrap();
        for _ in 0..3 {
            start(connect(&options, "locked").await, "select * from orders");
        }
        start(connect(&options, "sleeping").await, "select pg_sleep(600)");
        wait_for_count(&mut own, LOCKED, 3).await;
        wait_for_count(&mut own, "wait_event = 'PgSleep'", 1).await;
    });
    lab.wait_for_sample(|_| lab.part("lock") == Some(0.75) && lab.part("other") == Some(0.25));
    assert_eq!((lab.gate.load(), lab.part("cpu")), (Some(0.5), Some(0.5)));

    // Those that compute are ended.
    runtime.block_on(async {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'busy'";
        own.execute(end).await.unwrap();
        wait_for_count(&mut own, "application_name = 'busy'", 0).await;
    });
    lab.wait_for_sample(|gate| gate.load() == Some(0.0));
    assert_eq!((lab.part("lock"), lab.admitted()), (Some(0.75), [true, true]));
}

#[test]
fn both_clients_of_the_server_are_told_the_same() {
    let Some(postgres) = Postgres::start() else { return };
    runtime().block_on(async {
        let options = postgres.options();
        let mut own = connect(&options, "own").await;
        start(connect(&options, "busy").await, BUSY);
        start(connect(&options, "sleeping").await, "select pg_sleep(600)");
        let _idle = connect(&options, "idle").await;
        wait_for_count(&mut own, COMPUTING, 1).await;
        wait_for_count(&mut own, "wait_event = 'PgSleep'", 1).await;
        let mut config = tokio_postgres::Config::new();
        config.host_path(postgres.folder()).user("shop").dbname("postgres");
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        let told = [
            by_sqlx::postgres_load(&mut own).await.unwrap(),
            by_tokio_postgres::postgres_load(&client).await.unwrap(),
        ];
        for sessions in told {
            let waits = |wait| sessions.waiting_for(wait);
            assert_eq!((waits(SessionWait::Cpu), waits(SessionWait::Other)), (1, 1), "{sessions:?}");
            assert_eq!((waits(SessionWait::Lock), sessions.hidden()), (0, 0), "{sessions:?}");
        }
    });
}

#[test]
fn a_server_that_is_gone_makes_the_load_unknown_within_two_samples() {
    let Some(postgres) = Postgres::start() else { return };
    let runtime = runtime();
    let lab = Lab::new(&runtime, &monitoring(&runtime, postgres.options()));
    for busy in [0.0, 0.5] {
        if busy > 0.0 {
            runtime.block_on(async {
                let mut own = connect(&postgres.options(), "own").await;
                for _ in 0..2 {
                    start(connect(&postgres.options(), "busy").await, BUSY);
                }
                wait_for_count(&mut own, COMPUTING, 2).await;
            });
        }
        lab.wait_for_sample(|gate| gate.load() == Some(busy));
    }
    assert_eq!(lab.admitted(), [false, false]);
    drop(postgres);
    lab.clock.advance(SECOND);
    lab.wait_for_sample(|gate| gate.load().is_none());
    assert_eq!(lab.gate.class("shed").state(), GateState::Unknown);
    assert_eq!(lab.admitted(), [true, false], "as the classes say");
}

#[test]
fn a_server_that_does_not_answer_makes_the_load_unknown_within_two_samples() {
    let Some(postgres) = Postgres::start() else { return };
    let runtime = runtime();
    let lab = Lab::new(&runtime, &monitoring(&runtime, postgres.options()));
    lab.wait_for_sample(|gate| gate.load() == Some(0.0));
    let pid: i32 = runtime.block_on(async {
        let mut own = connect(&postgres.options(), "own").await;
        let which = "select pid from pg_stat_activity where application_name = 'monitoring'";
        own.fetch_one(which).await.unwrap().get(0)
    });
    signal("STOP", pid);
    lab.clock.advance(SECOND);
    lab.wait_for_sample(|gate| gate.load().is_none());
    assert_eq!(lab.admitted(), [true, false], "as the classes say");
    signal("CONT", pid);
    // The question that was given up has ended its connection, and the pool makes another.
    wait_until(|| {
        lab.clock.advance(SECOND);
        std::thread::sleep(Duration::from_millis(200));
        lab.gate.load() == Some(0.0)
    });
    assert_eq!(lab.admitted(), [true, true]);
}

fn signal(name: &str, pid: i32) {
    let kill = format!("kill -{name} {pid}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
}

#[test]
fn a_role_that_may_not_see_others_does_not_take_a_busy_server_for_an_idle_one() {
    let Some(postgres) = Postgres::start() else { return };
    runtime().block_on(async {
        let mut own = connect(&postgres.options(), "own").await;
        start(connect(&postgres.options(), "busy").await, BUSY);
        wait_for_count(&mut own, COMPUTING, 1).await;
        own.execute("create role monitoring login").await.unwrap();
        let mut ordinary = connect(&postgres.options().username("monitoring"), "monitoring").await;
        let before = by_sqlx::postgres_load(&mut ordinary).await.unwrap();
        assert_eq!((before.hidden(), before.over(CPUS)), (2, Load::unknown()));
        own.execute("grant pg_read_all_stats to monitoring").await.unwrap();
        let after = by_sqlx::postgres_load(&mut ordinary).await.unwrap();
        assert_eq!((after.hidden(), after.over(CPUS).value()), (0, Some(0.25)));
    });
}

#[test]
fn the_load_follows_pgbench() {
    let Some(postgres) = Postgres::start() else { return };
    let pgbench = server::programs("TASKTAG_TEST_POSTGRES").unwrap().join("pgbench");
    assert!(pgbench.exists(), "Debian's package of the server has {}", pgbench.display());
    let folder = postgres.folder();
    let run = |arguments: &[&str]| -> Child {
        let mut command = Command::new(&pgbench);
        command.args(["-h", folder.to_str().unwrap(), "-U", "shop", "-n"]).args(arguments).arg("postgres");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    assert!(run(&["-i", "-s", "1"]).wait().unwrap().success());
    let runtime = runtime();
    let mut own = runtime.block_on(connect(&postgres.options(), "own"));
    // It takes some milliseconds, so that the sessions are active nearly all of the time.
    let script = support::TempDir::new();
    std::fs::write(script.join("sum.sql"), "select sum(abalance) from pgbench_accounts;").unwrap();
    let mut bench = run(&["-f", script.join("sum.sql").to_str().unwrap(), "-c", "6", "-j", "2", "-T", "600"]);
    runtime.block_on(wait_for_count(&mut own, "application_name = 'pgbench'", 6));
    // Statements begin and end between two counts, so that these are not the same: their means are.
    let (mut told, mut counted) = (0, 0);
    for _ in 0..200 {
        let sessions: PostgresLoad = runtime.block_on(by_sqlx::postgres_load(&mut own)).unwrap();
        told += SessionWait::ALL.iter().map(|wait| sessions.waiting_for(*wait)).sum::<u64>();
        let active = "state = 'active' and backend_type = 'client backend'";
        counted += runtime.block_on(count(&mut own, active)).unsigned_abs();
    }
    bench.kill().unwrap();
    bench.wait().unwrap();
    assert!(counted > 200, "{counted}");
    assert!((told as f64 / counted as f64 - 1.0).abs() < 0.25, "{told} and {counted}");
}
