//! What it costs to ask, with many jobs that wait, that are done, that are dead and that are due later.

use crate::database::Database;
use crate::program::Library;
use crate::tables;
use tasktag::SqlQueue;

/// As many as a plan has to keep off, and a test can make. `TASKTAG_PLAN_JOBS` sets another number.
fn jobs() -> u64 {
    match std::env::var("TASKTAG_PLAN_JOBS") {
        Ok(jobs) => jobs.parse().expect("TASKTAG_PLAN_JOBS is a number of jobs"),
        Err(_) => 120_000,
    }
}

/// What a statement may read where no job runs, and what is due later is in one state: jobs that wait, that are dead
/// and that are due later, up to a limit each; and the steps of its walk.
const MOST_READ: u64 = SqlQueue::COUNT_LIMIT + SqlQueue::DEAD_LIMIT + SqlQueue::LATER_LIMIT + 100;

/// The indexes that a system's documentation says its statement wants.
fn wanted(source: &str) -> String {
    let lines = source.lines().filter_map(|line| line.trim_start().strip_prefix("///"));
    let mut statements = String::new();
    let mut is_statement = false;
    for line in lines.map(str::trim) {
        if line.starts_with("```") {
            is_statement = line == "```sql";
        } else if is_statement {
            statements += &line.replace(" concurrently", "");
            statements += " ";
        }
    }
    statements
}

/// Makes the jobs, asks, and looks at the plan: with the system's own indexes, and then with those that are wanted and
/// all that can be counted.
///
/// `insert` is for one of many numbers, `job`: one in two waits, in three priorities, one in four is dead, and one in
/// four is due later.
#[track_caller]
fn assert_bounded(database: &mut Database, queue: &SqlQueue, table: &str, insert: &str, source: &str) {
    let jobs = jobs();
    database.run(&format!("{insert} from generate_series(1, {jobs}) as job"));
    // Without a map of what is visible to all, an index is not enough to count.
    database.run("vacuum analyze");
    let status = database.ask(queue);
    let many = Some(SqlQueue::COUNT_LIMIT);
    assert_eq!((status.depth, status.scheduled), (many, Some(SqlQueue::LATER_LIMIT)), "{status:?}");
    let age = status.oldest_age.unwrap().as_secs();
    assert!((jobs..jobs + 3600).contains(&age), "{age} s");
    assert_plan(database, queue, table);

    database.run(&wanted(source));
    database.run("vacuum analyze");
    let queue = queue.clone().with_scans();
    let status = database.ask(&queue);
    assert_eq!(status.dead, Some(SqlQueue::DEAD_LIMIT), "{status:?}");
    assert_plan(database, &queue, table);
}

/// No scan of the table is sequential, the rows read are bounded, and the statement seems too cheap to be compiled,
/// which would take the server longer than all the rest.
#[track_caller]
fn assert_plan(database: &mut Database, queue: &SqlQueue, table: &str) {
    let query = queue.query();
    let explained = format!("explain (analyze, timing off, format json) {query}");
    let plan = format!("'{}'::jsonb", database.rows(&explained).concat().replace('\'', "''"));
    let nodes =
        format!("jsonb_path_query({plan}, 'strict $.**? (@.\"Relation Name\" == \"{table}\")') as node");
    let scans = format!("select node->>'Node Type' from {nodes} where node->>'Node Type' = 'Seq Scan'");
    assert_eq!(database.rows(&scans), [""; 0], "{plan}");
    let read = "((node->>'Actual Rows')::float8 + coalesce((node->>'Rows Removed by Filter')::float8, 0))
        * (node->>'Actual Loops')::float8";
    let rows = database.number(&format!("select sum({read}) from {nodes}"));
    let is_cheap = "->0->'Plan'->>'Total Cost')::float8 < current_setting('jit_above_cost')::float8";
    assert_eq!(database.rows(&format!("select ({plan}{is_cheap}")), ["t"], "{plan}");
    let time = server_time(database, &query).unwrap_or(f64::NAN);
    println!("{table}: {rows} rows in {time:.2} ms of the server's processor");
    println!("{}", database.rows(&format!("explain (analyze, costs off, timing off) {query}")).join("\n"));
    assert!(rows <= MOST_READ as f64, "{rows} rows: {plan}");
}

/// The milliseconds of a processor that a statement takes the server, where Linux tells. They are only shown.
fn server_time(database: &mut Database, query: &str) -> Option<f64> {
    const ASKED: u32 = 20;
    let process = database.rows("select pg_backend_pid()").concat();
    let nanos = || -> Option<f64> {
        let times = std::fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
        times.split(' ').next()?.parse().ok()
    };
    let before = nanos()?;
    for _ in 0..ASKED {
        database.rows(query);
    }
    Some((nanos()? - before) / f64::from(ASKED) / 1e6)
}

#[test]
fn asking_for_a_queue_of_oban_costs_the_same_however_many_jobs_there_are() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::OBAN);
    let insert = "insert into oban_jobs (queue, state, priority, scheduled_at) select 'mail',
        (array['available', 'available', 'discarded', 'scheduled'])[job % 4 + 1]::oban_job_state, job % 3,
        timezone('UTC', now()) + make_interval(secs => case when job % 4 = 3 then job else -job - 1 end)";
    let source = include_str!("../../src/api/watch/queue/sql/oban.rs");
    assert_bounded(&mut database, &SqlQueue::oban("mail"), "oban_jobs", insert, source);
}

#[test]
fn asking_for_a_queue_of_river_costs_the_same_however_many_jobs_there_are() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::RIVER);
    let insert = "insert into river_job (queue, state, priority, scheduled_at, finalized_at) select 'mail',
        (array['available', 'available', 'discarded', 'scheduled'])[job % 4 + 1]::river_job_state, job % 3 + 1,
        now() + make_interval(secs => case when job % 4 = 3 then job else -job - 1 end),
        case when job % 4 = 2 then now() end";
    let source = include_str!("../../src/api/watch/queue/sql/river.rs");
    assert_bounded(&mut database, &SqlQueue::river("mail"), "river_job", insert, source);
}

#[test]
fn asking_for_a_queue_of_delayed_job_costs_the_same_with_the_index_that_it_wants() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::DELAYED_JOB);
    database.run(&wanted(include_str!("../../src/api/watch/queue/sql/delayed_job.rs")));
    let insert =
        "insert into delayed_jobs (queue, priority, run_at, locked_at, failed_at) select 'mail', job % 3,
        timezone('UTC', now()) + make_interval(secs => case when job % 4 = 3 then job else -job - 1 end),
        case when job % 4 = 2 then now() end, case when job % 4 = 2 then now() end";
    let source = include_str!("../../src/api/watch/queue/sql/delayed_job.rs");
    assert_bounded(&mut database, &SqlQueue::delayed_job("mail"), "delayed_jobs", insert, source);
}

#[test]
fn asking_for_a_queue_of_apalis_costs_the_same_however_many_jobs_there_are() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::APALIS_POSTGRES);
    let insert = "insert into apalis.jobs (job_type, status, attempts, priority, run_at) select 'mail',
        case when job % 4 = 2 then 'Failed' else 'Pending' end, case when job % 4 = 2 then 25 else 0 end, job % 3,
        now() + make_interval(secs => case when job % 4 = 3 then job else -job - 1 end)";
    let source = include_str!("../../src/api/watch/queue/sql/apalis.rs");
    assert_bounded(&mut database, &SqlQueue::apalis_postgres("mail"), "jobs", insert, source);
}

#[test]
fn asking_for_the_jobs_of_graphile_worker_costs_the_same_however_many_there_are() {
    let (Some(library), Some(mut database)) = (Library::node(), Database::new()) else { return };
    let mut program = library.start(&database, &["graphile"], &[]);
    program.act("setup");
    program.add("plain", 0, 1, 0);
    let insert =
        "insert into graphile_worker._private_jobs (task_id, attempts, max_attempts, priority, run_at)
        select 1, case when job % 4 = 2 then 25 else 0 end, 25, job % 3,
        now() + make_interval(secs => case when job % 4 = 3 then job else -job - 1 end)";
    let source = include_str!("../../src/api/watch/queue/sql/graphile_worker.rs");
    assert_bounded(&mut database, &SqlQueue::graphile_worker(), "_private_jobs", insert, source);
}

#[test]
fn asking_for_a_queue_of_pg_boss_costs_the_same_however_many_jobs_there_are() {
    let (Some(library), Some(mut database)) = (Library::node(), Database::new()) else { return };
    library.start(&database, &["boss"], &[]).act("setup");
    let insert = "insert into pgboss.job (name, state, priority, start_after, policy) select 'mail',
        (array['created', 'created', 'failed', 'created'])[job % 4 + 1]::pgboss.job_state, job % 3,
        now() + make_interval(secs => case when job % 4 = 3 then job else -job - 1 end), 'standard'";
    let source = include_str!("../../src/api/watch/queue/sql/pg_boss.rs");
    assert_bounded(&mut database, &SqlQueue::pg_boss("mail"), "job_common", insert, source);
}

#[test]
fn asking_for_a_queue_of_procrastinate_costs_the_same_with_the_indexes_that_it_wants() {
    let (Some(library), Some(mut database)) = (Library::python(), Database::new()) else { return };
    library.start(&database, &[], &["mail"]).act("setup");
    database.run(&wanted(include_str!("../../src/api/watch/queue/sql/procrastinate.rs")));
    database.run("alter table procrastinate_jobs disable trigger user");
    let insert =
        "insert into procrastinate_jobs (queue_name, task_name, status, scheduled_at) select 'mail', 'plain',
        (array['todo', 'todo', 'failed', 'todo'])[job % 4 + 1]::procrastinate_job_status,
        case when job % 4 = 0 then null else
            now() + make_interval(secs => case when job % 4 = 3 then job else -job - 4 end) end";
    let source = include_str!("../../src/api/watch/queue/sql/procrastinate.rs");
    assert_bounded(&mut database, &SqlQueue::procrastinate("mail"), "procrastinate_jobs", insert, source);
}

#[test]
fn asking_for_a_queue_of_good_job_costs_the_same_however_many_jobs_there_are() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::GOOD_JOB);
    let insert = "insert into good_jobs (queue_name, priority, scheduled_at, performed_at, finished_at, error)
        select 'mail', job % 3,
        timezone('UTC', now()) + make_interval(secs => case when job % 4 = 3 then job else -job - 1 end),
        case when job % 4 = 2 then now() end, case when job % 4 = 2 then now() end, case when job % 4 = 2 then 'x' end";
    let source = include_str!("../../src/api/watch/queue/sql/good_job.rs");
    assert_bounded(&mut database, &SqlQueue::good_job("mail"), "good_jobs", insert, source);
}

#[test]
fn asking_for_a_queue_of_que_costs_the_same_however_many_jobs_there_are() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::QUE);
    let insert = "insert into que_jobs (queue, job_schema_version, priority, run_at, expired_at)
        select 'mail', 2, job % 3,
        now() + make_interval(secs => case when job % 4 = 3 then job else -job - 1 end),
        case when job % 4 = 2 then now() end";
    let source = include_str!("../../src/api/watch/queue/sql/que.rs");
    assert_bounded(&mut database, &SqlQueue::que("mail"), "que_jobs", insert, source);
}

#[test]
fn asking_for_a_queue_of_solid_queue_costs_the_same_however_many_jobs_there_are() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::SOLID_QUEUE);
    let jobs = jobs();
    database.run(&format!(
        "insert into solid_queue_jobs (queue_name) select 'mail' from generate_series(1, {jobs});
         insert into solid_queue_scheduled_executions (job_id, queue_name, scheduled_at)
             select job, 'mail', timezone('UTC', now()) + make_interval(secs => job)
             from generate_series(1, {jobs}) as job
             where job % 4 = 3;
         insert into solid_queue_failed_executions (job_id)
             select job from generate_series(1, {jobs}) as job where job % 4 = 2"
    ));
    let insert = "insert into solid_queue_ready_executions (job_id, queue_name, priority, created_at)
        select job, 'mail', job % 3, timezone('UTC', now()) - make_interval(secs => JOBS + 1 - job)";
    let insert = insert.replace("JOBS", &jobs.to_string());
    let source = include_str!("../../src/api/watch/queue/sql/solid_queue.rs");
    assert_bounded(
        &mut database,
        &SqlQueue::solid_queue("mail"),
        "solid_queue_ready_executions",
        &insert,
        source,
    );
}

#[test]
fn a_count_of_several_priorities_ends_at_its_limit_and_the_last_of_them_has_the_oldest_job() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::OBAN);
    let queue = SqlQueue::oban("mail");
    let insert = "insert into oban_jobs (queue, priority, scheduled_at) select 'mail', job % 5,
        timezone('UTC', now()) - make_interval(hours => job % 5 + 1) from generate_series(1, 20000) as job";
    let most = i64::try_from(SqlQueue::COUNT_LIMIT).unwrap();
    database.step(&queue, insert, [most, 5, 0, 0, 0, 0]);
    database.run("vacuum analyze");
    assert_plan(&mut database, &queue, "oban_jobs");
}

#[test]
fn a_count_of_several_states_ends_at_its_limit() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::OBAN);
    let insert = "insert into oban_jobs (queue, state, priority, scheduled_at) select 'mail',
        (array['available', 'scheduled'])[job % 2 + 1]::oban_job_state, job % 5,
        timezone('UTC', now()) - make_interval(hours => job % 5 + 1) from generate_series(1, 20000) as job";
    let most = i64::try_from(SqlQueue::COUNT_LIMIT).unwrap();
    database.step(&SqlQueue::oban("mail"), insert, [most, 5, 0, 0, 0, 0]);
}

#[test]
fn a_job_of_que_is_looked_up_among_the_running_ones_and_not_compared_to_each() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::QUE);
    let explained = format!("explain {}", SqlQueue::que("mail").query());
    let plan = database.rows(&explained);
    // From 17 on, PostgreSQL writes what it looks up before the plan that it looks in.
    let looks_up = |step: &&String| step.contains("(NOT (") && step.contains("hashed SubPlan");
    assert_eq!(plan.iter().filter(looks_up).count(), 3, "the walk, and two counts: {plan:#?}");
}

#[test]
fn a_walk_ends_where_a_job_has_a_priority_of_its_own() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::OBAN);
    let queue = SqlQueue::oban("mail");
    let insert = "insert into oban_jobs (queue, priority, scheduled_at) select 'mail', job,
        timezone('UTC', now()) - make_interval(hours => job) from generate_series(1, 1500) as job";
    database.step(&queue, insert, [1000, 1000, 0, 0, 0, 0]);
}
