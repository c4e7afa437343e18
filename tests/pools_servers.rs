//! What PostgreSQL and PgBouncer say of their connections is true, and is reported by one task, without a task id.
//!
//! The tests need the servers, and say on standard error that they were skipped where `TASKTAG_TEST_POSTGRES`, the
//! folder with `postgres` and `initdb`, and `TASKTAG_TEST_PGBOUNCER`, the program, do not say where those are.
//! `.ci/run` installs them.
#![cfg(all(unix, feature = "sqlx", feature = "tokio", feature = "tokio-postgres"))]

#[path = "pools/pgbouncer.rs"]
mod pgbouncer;
#[path = "pools/postgres.rs"]
mod postgres;
#[path = "pools/server.rs"]
mod server;
mod support;

use pgbouncer::{POOL_SIZE, PgBouncer};
use postgres::Postgres;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection, Row};
use std::time::Duration;
use support::{PATIENCE, TempDir};
use tasktag::integrations::tokio::WatchAsync;
use tasktag::integrations::{sqlx as by_sqlx, tokio_postgres as by_tokio_postgres};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{PgBouncerStatus, PostgresStatus, TaskIdPool, TaskIdSource, Watch};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

const SECOND: Duration = Duration::from_secs(1);

/// One that works while the test waits for something else.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn connect(options: &PgConnectOptions, name: &str) -> PgConnection {
    options.clone().application_name(name).connect().await.unwrap()
}

/// The same server for the other crate.
async fn connect_by_tokio_postgres(postgres: &Postgres, user: &str) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(postgres.folder()).user(user).dbname("postgres").application_name("monitoring");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// Starts a statement that takes long, and ends with its connection.
fn sleep(mut connection: PgConnection) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move { drop(connection.execute("select pg_sleep(600)").await) })
}

/// Watches, flushes until `done`, and returns the lines of the last flush.
fn reported(
    runtime: &Runtime,
    watch: impl FnOnce(&tasktag::Client, &tasktag::SoleReporter) -> Watch,
    done: impl Fn(&[String]) -> bool,
) -> Vec<String> {
    let _in = runtime.enter();
    let (capture, clock, folder) = (Capture::new(), ManualClock::new(), TempDir::new());
    let guard = support::builder().capture(&capture).clock(&clock).build().unwrap();
    let sole = guard.client().sole_reporter(TaskIdSource::leased(folder.path())).unwrap();
    let _watch = watch(guard.client(), &sole);
    support::in_time(|| {
        clock.advance(SECOND);
        // A question that has no answer at the next turn is given up.
        std::thread::sleep(Duration::from_millis(50));
        guard.client().flush(PATIENCE).unwrap();
        Some(capture.take_lines()).filter(|lines| done(lines))
    })
}

#[test]
fn a_server_says_which_service_has_its_connections_and_in_which_state() {
    let Some(postgres) = Postgres::start() else { return };
    let runtime = runtime();
    let id = |number| TaskIdPool::DEFAULT.id(number).unwrap();
    let status: [PostgresStatus; 2] = runtime.block_on(async {
        let options = postgres.options();
        let web = [1, 2].map(|number| id(number).application_name("shop-web"));
        let _idle = [connect(&options, &web[0]).await, connect(&options, &web[1]).await];
        let mut open = connect(&options, &id(7).application_name("shop-jobs")).await;
        open.execute("begin").await.unwrap();
        let slow = sleep(connect(&options, &id(8).application_name("shop-jobs")).await);
        let mut monitoring = connect(&options, "monitoring").await;
        loop {
            let sleeping = "select 1 from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()";
            if !monitoring.fetch_all(sleeping).await.unwrap().is_empty() {
                break;
            }
        }
        let first = by_sqlx::postgres_status(&mut monitoring).await.unwrap();
        drop(monitoring);
        let client = connect_by_tokio_postgres(&postgres, "shop").await;
        // The server ends a connection a moment after its client.
        let second = loop {
            let status = by_tokio_postgres::postgres_status(&client).await.unwrap();
            if status.total() == Some(5) {
                break status;
            }
        };
        slow.abort();
        [first, second]
    });
    for (status, asker) in status.iter().zip(["sqlx", "tokio-postgres"]) {
        assert_eq!((status.total(), status.hidden()), (Some(5), 0), "{asker}");
        assert!(status.oldest_idle_in_transaction().is_some_and(|age| age < PATIENCE), "{asker}: {status:?}");
    }
    let watched = status[0].clone();
    let lines = reported(
        &runtime,
        |client, sole| client.postgres("orders").by(sole).watch(move || watched.clone()),
        |lines| !lines.is_empty(),
    );
    for group in ["shop-web,state:idle", "shop-jobs,state:idle_in_transaction", "shop-jobs,state:active"] {
        let service = group.split(',').next().unwrap();
        let connections = if service == "shop-web" { 2 } else { 1 };
        let tags = format!("service:{group}");
        let line = format!("postgres.connections:{connections}|g|#database:orders,{tags}");
        assert!(lines.contains(&line), "{line} in {lines:#?}");
    }
    assert!(lines.contains(&"postgres.hidden_connections:0|g|#database:orders".to_owned()), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("task_id")), "{lines:#?}");
}

#[test]
fn a_task_asks_for_all_and_what_can_t_be_asked_is_absent() {
    let Some(postgres) = Postgres::start() else { return };
    let runtime = runtime();
    let pool = {
        let _in = runtime.enter();
        sqlx::postgres::PgPoolOptions::new().connect_lazy_with(postgres.options())
    };
    let asked = pool.clone();
    let watch = |client: &tasktag::Client, sole: &tasktag::SoleReporter| {
        let ask = move || {
            let pool = asked.clone();
            async move { by_sqlx::postgres_status(&pool).await.unwrap_or_default() }
        };
        client.postgres("orders").by(sole).watch_async(&tokio::runtime::Handle::current(), SECOND, ask)
    };
    let is_limit = |line: &String| line == "postgres.limit:97|g|#database:orders";
    let lines = reported(&runtime, watch, |lines| lines.iter().any(is_limit));
    assert!(lines.iter().any(|line| line.starts_with("postgres.connections_used:")), "{lines:#?}");
    runtime.block_on(pool.close());
}

#[test]
fn a_role_that_may_not_see_others_is_told_so_until_it_is_granted() {
    let Some(postgres) = Postgres::start() else { return };
    runtime().block_on(async {
        let mut shop = connect(&postgres.options(), "shop-web/0001").await;
        shop.execute("create role monitoring login").await.unwrap();
        let client = connect_by_tokio_postgres(&postgres, "monitoring").await;
        let before = by_tokio_postgres::postgres_status(&client).await.unwrap();
        assert_eq!((before.total(), before.hidden()), (Some(2), 1));
        shop.execute("grant pg_read_all_stats to monitoring").await.unwrap();
        let after = by_tokio_postgres::postgres_status(&client).await.unwrap();
        assert_eq!((after.total(), after.hidden()), (Some(2), 0));
    });
}

#[test]
fn an_ordinary_user_gets_as_many_connections_as_the_limit_says() {
    let Some(postgres) = Postgres::start_with(&["max_connections=9"]) else { return };
    runtime().block_on(async {
        let mut shop = connect(&postgres.options(), "shop").await;
        shop.execute("create role ordinary login").await.unwrap();
        let options = postgres.options().username("ordinary");
        let mut held = vec![shop];
        let refused = loop {
            match options.clone().connect().await {
                Ok(connection) => held.push(connection),
                Err(error) => break error,
            }
        };
        assert_eq!(
            refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(),
            Some("53300")
        );
        let said = by_sqlx::postgres_status(held.first_mut().unwrap()).await.unwrap();
        assert_eq!(said.total(), Some(held.len() as u64));
        let budget = tasktag::ConnectionBudget::new().tasks(1).pool(held.len() as u64).limit(said.limit());
        assert_eq!(budget.tasks_that_fit(), Some(1), "{budget}");
        assert_eq!(budget.pool(1).tasks_that_fit(), Some(0));
    });
}

#[test]
fn the_name_of_a_task_is_in_the_servers_list_whole() {
    let Some(postgres) = Postgres::start() else { return };
    runtime().block_on(async {
        for service in ["shop-web", "caf\u{e9} \u{4e2d}", &"long-".repeat(20)] {
            let name = TaskIdPool::DEFAULT.id(42).unwrap().application_name(service);
            let mut connection = connect(&postgres.options(), &name).await;
            let own = "select application_name from pg_stat_activity where pid = pg_backend_pid()";
            let row = connection.fetch_one(own).await.unwrap();
            assert_eq!(row.get::<String, _>(0), name);
        }
    });
}

#[test]
fn a_pooler_says_who_waits_for_it() {
    let Some(postgres) = Postgres::start() else { return };
    let Some(pgbouncer) = PgBouncer::start(&postgres) else { return };
    let runtime = runtime();
    let status: PgBouncerStatus = runtime.block_on(async {
        let options = pgbouncer.options();
        let busy = [(); 3].map(|()| options.clone());
        let mut sleeping = Vec::new();
        for options in busy {
            sleeping.push(sleep(connect(&options, "shop-web/0001").await));
        }
        let _idle = connect(&options, "shop-web/0002").await;
        let mut console = options.clone().database("pgbouncer").connect().await.unwrap();
        loop {
            let rows = console.fetch_all(sqlx::raw_sql("SHOW POOLS")).await.unwrap();
            let waiting: i32 = rows.iter().map(|row| row.get::<i32, _>("cl_waiting")).sum();
            let active: i32 = rows.iter().map(|row| row.get::<i32, _>("sv_active")).sum();
            if waiting == 1 && i64::from(active) == POOL_SIZE {
                break;
            }
        }
        let status = by_sqlx::pgbouncer_status(&mut console).await.unwrap();
        sleeping.iter().for_each(tokio::task::JoinHandle::abort);
        status
    });
    let lines = reported(
        &runtime,
        |client, sole| client.pgbouncer("orders").by(sole).watch(move || status.clone()),
        |lines| !lines.is_empty(),
    );
    let value = |name: &str| {
        let start = format!("pgbouncer.{name}:");
        let line = lines.iter().find_map(|line| line.strip_prefix(&start));
        let (value, tags) =
            line.unwrap_or_else(|| panic!("{name} in {lines:#?}")).split_once("|g|#").unwrap();
        assert_eq!(tags, "database:postgres,pgbouncer:orders,user:shop");
        value.parse::<f64>().unwrap()
    };
    assert_eq!([value("waiting"), value("in_use"), value("max"), value("utilization")], [1.0, 2.0, 2.0, 1.0]);
    assert!(value("oldest_wait_seconds") < PATIENCE.as_secs_f64());
}
