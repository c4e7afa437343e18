//! What an obvious recipe shows, and what is true.

use crate::database::{ABSENT, Database, HOUR, seen};
use crate::program::{Library, Program};
use crate::tables;
use tasktag::{QueueStatus, SqlQueue};

/// Rails sets it in its own sessions, and so does who asks.
const ZONE_OF_RAILS: &str = "UTC";

/// Starts a program with a library of Node, whose tables are then there.
fn node(system: &str) -> Option<(Database, Program)> {
    let (library, database) = (Library::node()?, Database::new()?);
    let mut program = library.start(&database, &[system], &[]);
    program.act("setup");
    Some((database, program))
}

fn python() -> Option<(Database, Program)> {
    let (library, database) = (Library::python()?, Database::new()?);
    let mut program = library.start(&database, &[], &["mail"]);
    program.act("setup");
    Some((database, program))
}

fn hours(seconds: f64) -> f64 {
    (seconds / HOUR.as_secs_f64()).floor()
}

#[test]
fn a_monitoring_role_of_graphile_worker_is_told_that_it_sees_nothing() {
    let Some((mut database, mut program)) = node("graphile") else { return };
    program.add("plain", -2, 3, 0);
    database.run(
        "create role watcher login in role pg_monitor, pg_read_all_data;
         create role passer login bypassrls in role pg_read_all_data; create role member login in role shop;
         create role stranger login",
    );
    let queue = SqlQueue::graphile_worker();
    let naive = "set role watcher; select count(*) from graphile_worker._private_jobs";
    assert_eq!(database.number(naive), 0.0, "without an error");
    database.run("reset role");
    assert_eq!(database.ask_as("watcher", &queue).unwrap(), QueueStatus::new().hidden(true));
    for role in ["passer", "member"] {
        let status = database.ask_as(role, &queue).unwrap();
        assert_eq!((status.depth, status.hidden), (Some(1), Some(false)), "{role}");
    }
    assert!(database.ask_as("stranger", &queue).is_err());
    database.run("drop role watcher; drop role passer; drop role member; drop role stranger");
}

#[test]
fn the_view_of_graphile_worker_without_a_lock_shows_the_dead_jobs() {
    let Some((mut database, mut program)) = node("graphile") else { return };
    program.add("plain", -30 * 24, 1, 0);
    database.run("update graphile_worker._private_jobs set attempts = 1");
    program.add("plain", -2, 3, 0);
    let naive =
        "select extract(epoch from now() - min(run_at)) from graphile_worker.jobs where locked_at is null";
    assert_eq!(hours(database.number(naive)), 720.0);
    assert_eq!(seen(&database.ask(&SqlQueue::graphile_worker().with_scans())), [1, 2, 0, 0, 0, 1]);
}

#[test]
fn a_job_of_graphile_worker_that_runs_on_its_last_try_is_not_dead() {
    let Some((mut database, mut program)) = node("graphile") else { return };
    program.add("block", 0, 1, 0);
    program.act("work");
    database.wait_until(&SqlQueue::graphile_worker().with_scans(), [0, 0, 1, 0, 0, 0]);
    assert_eq!(
        database.number("select count(*) from graphile_worker.jobs where attempts >= max_attempts"),
        1.0
    );
}

#[test]
fn the_first_that_was_created_in_pg_boss_is_one_that_is_scheduled() {
    let Some((mut database, mut program)) = node("boss") else { return };
    program.add("plain", 1, 3, 0);
    database.run("update pgboss.job set created_on = now() - interval '72 h'");
    program.add("plain", -2, 3, 0);
    let naive = "select extract(epoch from now() - min(created_on)) from pgboss.job where state < 'active'";
    assert_eq!(hours(database.number(naive)), 72.0);
    assert_eq!(seen(&database.ask(&SqlQueue::pg_boss("mail"))), [1, 2, 0, 1, 0, 0]);
}

#[test]
fn the_count_of_retries_of_pg_boss_is_0_while_the_first_retry_waits() {
    let Some((mut database, mut program)) = node("boss") else { return };
    program.add("fail", 0, 2, 0);
    program.act("work");
    database.wait_until(&SqlQueue::pg_boss("mail"), [0, 0, 0, 0, 1, 0]);
    assert_eq!(database.number("select count(*) from pgboss.job where retry_count > 0"), 0.0);
}

#[test]
fn the_first_time_of_procrastinate_is_null_for_plain_jobs() {
    let Some((mut database, mut program)) = python() else { return };
    program.add("plain", 0, 0, 0);
    database.run("update procrastinate_events set at = at - interval '3 h'");
    let naive = "select min(scheduled_at) from procrastinate_jobs where status = 'todo'";
    assert_eq!(database.rows(naive), [""]);
    assert_eq!(seen(&database.ask(&SqlQueue::procrastinate("mail").with_scans())), [1, 3, 0, 0, 0, 0]);
}

#[test]
fn an_event_scheduled_of_procrastinate_is_ahead() {
    let Some((mut database, mut program)) = python() else { return };
    program.add("plain", 0, 0, 0);
    program.add("plain", 5, 0, 0);
    let naive =
        "select extract(epoch from now() - min(at)) from procrastinate_events where type = 'scheduled'";
    assert_eq!(hours(database.number(naive)), -5.0);
    assert_eq!(seen(&database.ask(&SqlQueue::procrastinate("mail"))), [1, 0, 0, 1, 0, ABSENT]);
}

#[test]
fn a_job_of_apalis_that_failed_for_good_waits_for_nothing() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::APALIS_POSTGRES);
    database.run(
        "insert into apalis.jobs (job_type, status, attempts, run_at) values
         ('mail', 'Failed', 25, now() - interval '120 h'), ('mail', 'Failed', 1, now() - interval '2 h')",
    );
    let naive = "select extract(epoch from now() - min(run_at)) from apalis.jobs where status = 'Failed'";
    assert_eq!(hours(database.number(naive)), 120.0);
    assert_eq!(seen(&database.ask(&SqlQueue::apalis_postgres("mail").with_scans())), [1, 2, 0, 0, 0, 1]);
}

#[test]
fn a_worker_of_apalis_has_jobs_that_neither_run_nor_wait_by_their_status() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::APALIS_POSTGRES);
    database
        .run("insert into apalis.jobs (job_type, status) select 'mail', 'Queued' from generate_series(1, 4)");
    let naive = "select count(*) from apalis.jobs where status in ('Running', 'Pending')";
    assert_eq!(database.number(naive), 0.0);
    assert_eq!(seen(&database.ask(&SqlQueue::apalis_postgres("mail").with_scans())), [0, 0, 4, 0, 0, 0]);
}

/// What `now() - column` shows, in hours, and what the queue says, in sessions of two time zones.
#[track_caller]
fn in_time_zones(database: &mut Database, queue: &SqlQueue, naive: &str, expected: [i64; 6]) {
    for (zone, shown) in [("America/New_York", [-3.0, -2.0]), ("Asia/Kolkata", [7.0, 7.0])] {
        let name = &database.rows("select current_database()")[0];
        // Of sessions from now on, and of this one.
        database.run(&format!("alter database {name} set timezone = '{zone}'; set timezone = '{zone}'"));
        // New York's clocks change.
        assert!(shown.contains(&hours(database.number(naive))), "{zone}");
        assert_eq!(seen(&database.ask(queue)), expected, "{zone}");
        let status = database.ask_as("shop", queue).unwrap();
        assert_eq!(seen(&status), expected, "{zone}, in a session of its own");
    }
}

#[test]
fn oban_is_2_hours_late_whatever_the_time_zone_of_the_session() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::OBAN);
    database.run(
        "insert into oban_jobs (queue, scheduled_at)
         values ('mail', timezone('UTC', now()) - interval '2 h')",
    );
    let naive = "select extract(epoch from now() - min(scheduled_at)) from oban_jobs";
    in_time_zones(&mut database, &SqlQueue::oban("mail"), naive, [1, 2, 0, 0, 0, 0]);
}

#[test]
fn good_job_is_2_hours_late_whatever_the_time_zone_of_the_session() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::GOOD_JOB);
    database.run(
        "insert into good_jobs (queue_name, scheduled_at)
         values ('mail', timezone('UTC', now()) - interval '2 h')",
    );
    let naive = "select extract(epoch from now() - min(scheduled_at)) from good_jobs";
    in_time_zones(&mut database, &SqlQueue::good_job("mail").with_scans(), naive, [1, 2, 0, 0, 0, 0]);
}

#[test]
fn solid_queue_is_2_hours_late_whatever_the_time_zone_of_the_session() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::SOLID_QUEUE);
    database.run(
        "insert into solid_queue_jobs (queue_name) values ('mail');
         insert into solid_queue_ready_executions (job_id, queue_name, created_at)
             values (1, 'mail', timezone('UTC', now()) - interval '2 h')",
    );
    let naive = "select extract(epoch from now() - min(created_at)) from solid_queue_ready_executions";
    in_time_zones(&mut database, &SqlQueue::solid_queue("mail").with_scans(), naive, [1, 2, 0, 0, ABSENT, 0]);
}

#[test]
fn delayed_job_is_2_hours_late_whatever_the_time_zone_of_the_session() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::DELAYED_JOB);
    database.run("insert into delayed_jobs (run_at) values (timezone('UTC', now()) - interval '2 h')");
    let naive = "select extract(epoch from now() - min(run_at)) from delayed_jobs";
    in_time_zones(&mut database, &SqlQueue::delayed_job(None).with_scans(), naive, [1, 2, 0, 0, 0, 0]);
}

#[test]
fn delayed_job_may_have_times_with_a_zone() {
    let Some(mut database) = Database::new() else { return };
    database.set_zone(ZONE_OF_RAILS);
    database.run(tables::DELAYED_JOB);
    let insert = "insert into delayed_jobs (priority, run_at) select priority, timezone('UTC', now()) + late
        from (values (0, interval '-2 h'), (5, interval '-3 h'), (5, interval '1 h'), (9, null)) as job (priority, late)";
    let queue = SqlQueue::delayed_job(None).with_scans();
    let expected = [2, 3, 0, 1, 0, 0];
    database.step(&queue, insert, expected);
    let zoned = "alter table delayed_jobs alter run_at type timestamptz using run_at at time zone 'UTC'";
    database.step(&queue, zoned, expected);
}

#[test]
fn solid_queue_may_have_times_with_a_zone() {
    let Some(mut database) = Database::new() else { return };
    database.set_zone(ZONE_OF_RAILS);
    database.run(tables::SOLID_QUEUE);
    let insert = "insert into solid_queue_jobs (queue_name) values ('mail'), ('mail'), ('mail');
        insert into solid_queue_ready_executions (job_id, queue_name, priority, created_at) values
            (1, 'mail', 0, timezone('UTC', now()) - interval '2 h'),
            (2, 'mail', 5, timezone('UTC', now()) - interval '3 h');
        insert into solid_queue_scheduled_executions (job_id, queue_name, scheduled_at)
            values (3, 'mail', timezone('UTC', now()) + interval '1 h')";
    let queue = SqlQueue::solid_queue("mail").with_scans();
    let expected = [2, 3, 0, 1, ABSENT, 0];
    database.step(&queue, insert, expected);
    for (table, column) in [("ready", "created_at"), ("scheduled", "scheduled_at")] {
        let zoned = format!(
            "alter table solid_queue_{table}_executions
             alter {column} type timestamptz using {column} at time zone 'UTC'"
        );
        database.step(&queue, &zoned, expected);
    }
}

#[test]
fn a_dead_job_of_delayed_job_keeps_its_lock_and_does_not_run() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::DELAYED_JOB);
    database.run(
        "insert into delayed_jobs (queue, attempts, run_at, locked_at, failed_at, locked_by)
         select 'mail', 25, at, at, at, 'a' from (select timezone('UTC', now()) - interval '3 h') as t (at)",
    );
    assert_eq!(database.number("select count(*) from delayed_jobs where locked_at is not null"), 1.0);
    assert_eq!(seen(&database.ask(&SqlQueue::delayed_job("mail").with_scans())), [0, 0, 0, 0, 0, 1]);
}

#[test]
fn a_time_without_end_is_no_error() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::QUE);
    let insert = |times: &str| {
        format!(
            "insert into que_jobs (queue, run_at, job_schema_version)
                 select 'mail', at, 2 from (values {times}) as t (at)"
        )
    };
    let queue = SqlQueue::que("mail");
    database.step(&queue, &insert("('infinity'::timestamptz)"), [0, 0, 0, 1, 0, ABSENT]);
    database.run(&insert("('-infinity'::timestamptz)"));
    let status = database.ask(&queue);
    assert_eq!((status.depth, status.scheduled), (Some(1), Some(1)));
    assert!(status.oldest_age > Some(HOUR * 24 * 365 * 50), "since 1970: {status:?}");
}

#[test]
fn a_policy_of_rows_hides_a_queue_of_any_system() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::RIVER);
    database.run(
        "insert into river_job (queue) values ('mail'); alter table river_job enable row level security;
         create role tenant login; grant select on river_job to tenant;
         create policy own on river_job to tenant using (queue = 'other')",
    );
    let queue = SqlQueue::river("mail");
    assert_eq!(database.ask(&queue).depth, Some(1), "the owner's");
    assert_eq!(database.ask_as("tenant", &queue).unwrap(), QueueStatus::new().hidden(true));
    database.run("revoke select on river_job from tenant; drop policy own on river_job; drop role tenant");
}

#[test]
fn a_name_is_a_name_whatever_is_in_it() {
    let Some(mut database) = Database::new() else { return };
    database.run(r#"create schema "the ""jobs"" \"; set search_path = 'the "jobs" \'"#);
    database.run(tables::OBAN);
    for setting in ["on", "off"] {
        database.run(&format!("set standard_conforming_strings = {setting}"));
        for name in ["it's", r"\", r"\' or true --", "' or true --", "{queue}", "$1", "\u{1f4ec}", "#"] {
            let queue = SqlQueue::oban(name).schema(r#"the "jobs" \"#);
            database.run("truncate oban_jobs");
            let quoted = format!("E'{}'", name.replace('\\', r"\\").replace('\'', r"\'"));
            let insert = format!("insert into oban_jobs (queue) values ({quoted}), ('other')");
            database.step(&queue, &insert, [1, 0, 0, 0, 0, 0]);
            let other = SqlQueue::oban(&format!("{name}\0")).schema(r#"the "jobs" \"#);
            database.step(&other, "", [0, 0, 0, 0, 0, 0]);
        }
    }
}
