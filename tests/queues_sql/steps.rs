//! What a queue says after each step of its jobs, on tables as they are documented.

use crate::database::{ABSENT, Database};
use crate::tables;
use sqlx::Connection;
use tasktag::SqlQueue;

#[test]
fn oban_tells_its_jobs_apart_and_what_is_due_before_it_is_staged() {
    let Some(mut database) = Database::new() else { return };
    let queue = SqlQueue::oban("mail");
    database.step(&queue, tables::OBAN, [0, 0, 0, 0, 0, 0]);
    let set = |to: &str, id: u32| format!("update oban_jobs set {to} where id = {id}");
    let enqueued = "insert into oban_jobs (queue, scheduled_at) values
        ('mail', timezone('UTC', now()) - interval '2 h'),
        ('other', timezone('UTC', now()) - interval '9 h')";
    database.step(&queue, enqueued, [1, 2, 0, 0, 0, 0]);
    let urgent = "insert into oban_jobs (queue, priority, inserted_at, scheduled_at) values
        ('mail', 3, timezone('UTC', now()) - interval '90 h', timezone('UTC', now()) - interval '5 h')";
    database.step(&queue, urgent, [2, 5, 0, 0, 0, 0]);
    let delayed = "insert into oban_jobs (queue, state, scheduled_at)
        values ('mail', 'scheduled', timezone('UTC', now()) + interval '1 h')";
    database.step(&queue, delayed, [2, 5, 0, 1, 0, 0]);
    // Job 4 is due, and the stager stands still.
    database.step(
        &queue,
        &set("scheduled_at = timezone('UTC', now()) - interval '7 h'", 4),
        [3, 7, 0, 0, 0, 0],
    );
    database.step(&queue, &set("state = 'executing', attempt = 1", 4), [2, 5, 1, 0, 0, 0]);
    let failed = "state = 'retryable', scheduled_at = timezone('UTC', now()) + interval '1 h'";
    database.step(&queue, &set(failed, 4), [2, 5, 0, 0, 1, 0]);
    database.step(&queue, &set("state = 'discarded', attempt = 20", 4), [2, 5, 0, 0, 0, 1]);
    database.step(&queue, &set("state = 'completed'", 3), [1, 2, 0, 0, 0, 1]);
    // Its node dies with job 1, which stays.
    database.step(&queue, &set("state = 'executing', attempt = 1", 1), [0, 0, 1, 0, 0, 1]);
}

#[test]
fn river_leaves_out_a_retry_that_is_available_and_not_due() {
    let Some(mut database) = Database::new() else { return };
    let queue = SqlQueue::river("mail");
    database.step(&queue, tables::RIVER, [0, 0, 0, 0, 0, 0]);
    let set = |to: &str, id: u32| format!("update river_job set {to} where id = {id}");
    let enqueued = "insert into river_job (queue, priority, scheduled_at) values
        ('mail', 1, now() - interval '2 h'), ('mail', 4, now() - interval '3 h'), ('other', 1, now() - interval '9 h')";
    database.step(&queue, enqueued, [2, 3, 0, 0, 0, 0]);
    let delayed = "insert into river_job (queue, state, scheduled_at)
        values ('mail', 'scheduled', now() + interval '1 h')";
    database.step(&queue, delayed, [2, 3, 0, 1, 0, 0]);
    // A pause is in no number.
    let paused = "insert into river_queue (name, paused_at) values ('mail', now())";
    database.step(&queue, paused, [2, 3, 0, 1, 0, 0]);
    database.step(&queue, &set("state = 'running', attempt = 1", 2), [1, 2, 1, 1, 0, 0]);
    let soon = "state = 'available', scheduled_at = now() + interval '1 h'";
    database.step(&queue, &set(soon, 2), [1, 2, 0, 1, 1, 0]);
    database.step(&queue, &set("state = 'retryable'", 2), [1, 2, 0, 1, 1, 0]);
    let discarded = "state = 'discarded', finalized_at = now()";
    database.step(&queue, &set(discarded, 2), [1, 2, 0, 1, 0, 1]);
    database.step(&queue, &set("state = 'completed', finalized_at = now()", 1), [0, 0, 0, 1, 0, 1]);
    database.step(&queue, &set("scheduled_at = now() - interval '6 h'", 4), [1, 6, 0, 0, 0, 1]);
    // Its process dies with job 4, which stays.
    database.step(&queue, &set("state = 'running', attempt = 1", 4), [0, 0, 1, 0, 0, 1]);
}

#[test]
fn retries_of_oban_are_counted_however_many_jobs_are_scheduled() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::OBAN);
    let insert = "insert into oban_jobs (queue, state, scheduled_at) select 'mail',
        case when job <= 1500 then 'scheduled' else 'retryable' end::oban_job_state,
        timezone('UTC', now()) + make_interval(hours => 2000 - job) from generate_series(1, 1900) as job";
    let most = i64::try_from(SqlQueue::LATER_LIMIT).unwrap();
    database.step(&SqlQueue::oban("mail"), insert, [0, 0, 0, most, 400, 0]);
}

#[test]
fn dead_jobs_are_counted_up_to_a_limit_of_their_own_and_running_jobs_further() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::OBAN);
    let most = i64::try_from(SqlQueue::DEAD_LIMIT).unwrap();
    let insert = |state: &str, jobs: i64| {
        format!(
            "insert into oban_jobs (queue, state) select 'mail', '{state}' from generate_series(1, {jobs})"
        )
    };
    let queue = SqlQueue::oban("mail");
    database.step(&queue, &insert("executing", most + 500), [0, 0, most + 500, 0, 0, 0]);
    database.step(&queue, &insert("discarded", most - 1), [0, 0, most + 500, 0, 0, most - 1]);
    database.step(&queue, &insert("discarded", 2), [0, 0, most + 500, 0, 0, most]);
}

#[test]
fn dead_jobs_of_que_are_counted_up_to_their_limit_too() {
    let Some(mut database) = Database::new() else { return };
    database.run(tables::QUE);
    let most = i64::try_from(SqlQueue::DEAD_LIMIT).unwrap();
    let insert = |jobs: i64| {
        format!(
            "insert into que_jobs (queue, job_schema_version, expired_at)
             select 'mail', 2, now() from generate_series(1, {jobs})"
        )
    };
    let queue = SqlQueue::que("mail").with_scans();
    database.step(&queue, &insert(most - 1), [0, 0, 0, 0, 0, most - 1]);
    database.step(&queue, &insert(2), [0, 0, 0, 0, 0, most]);
}

#[test]
fn good_job_tells_its_jobs_apart_and_counts_what_is_lost_as_running() {
    let Some(mut database) = Database::new() else { return };
    let queue = SqlQueue::good_job("mail").with_scans();
    database.step(&queue, tables::GOOD_JOB, [0, 0, 0, 0, 0, 0]);
    let set = |to: &str, priority: u32| format!("update good_jobs set {to} where priority = {priority}");
    let enqueued = "insert into good_jobs (queue_name, priority, scheduled_at) values
        ('mail', 1, timezone('UTC', now()) - interval '2 h'), ('mail', 2, timezone('UTC', now()) - interval '4 h'),
        ('other', 0, timezone('UTC', now()) - interval '9 h')";
    database.step(&queue, enqueued, [2, 4, 0, 0, 0, 0]);
    let delayed = "insert into good_jobs (queue_name, priority, scheduled_at)
        values ('mail', 3, timezone('UTC', now()) + interval '1 h')";
    database.step(&queue, delayed, [2, 4, 0, 1, 0, 0]);
    database.step(
        &queue,
        &set("performed_at = timezone('UTC', now()), executions_count = 1", 2),
        [1, 2, 1, 1, 0, 0],
    );
    let failed = "performed_at = null, error = 'x', scheduled_at = timezone('UTC', now()) + interval '1 h'";
    database.step(&queue, &set(failed, 2), [1, 2, 0, 1, 1, 0]);
    let discarded = "performed_at = timezone('UTC', now()), finished_at = timezone('UTC', now())";
    database.step(&queue, &set(discarded, 2), [1, 2, 0, 1, 0, 1]);
    // Its process dies with job 1, which stays.
    database.step(&queue, &set("performed_at = timezone('UTC', now())", 1), [0, 0, 1, 1, 0, 1]);
    database.step(&queue, &set("finished_at = timezone('UTC', now())", 1), [0, 0, 0, 1, 0, 1]);
    let sparing = SqlQueue::good_job("mail");
    database.step(&sparing, "", [0, 0, ABSENT, 1, 0, ABSENT]);
}

#[test]
fn solid_queue_counts_what_no_dispatcher_has_moved_and_leaves_out_what_is_blocked() {
    let Some(mut database) = Database::new() else { return };
    let queue = SqlQueue::solid_queue("mail").with_scans();
    database.step(&queue, tables::SOLID_QUEUE, [0, 0, 0, 0, ABSENT, 0]);
    // A job of each queue: 1 and 2, 3 and 4 …
    let jobs = "insert into solid_queue_jobs (queue_name)
        select queue from generate_series(1, 5), (values ('mail'), ('other')) as two (queue)";
    database.step(&queue, jobs, [0, 0, 0, 0, ABSENT, 0]);
    let ready = "insert into solid_queue_ready_executions (job_id, queue_name, priority, created_at) values
        (1, 'mail', 0, timezone('UTC', now()) - interval '2 h'),
        (3, 'mail', 5, timezone('UTC', now()) - interval '3 h'),
        (2, 'other', 0, timezone('UTC', now()) - interval '9 h')";
    database.step(&queue, ready, [2, 3, 0, 0, ABSENT, 0]);
    let delayed = "insert into solid_queue_scheduled_executions (job_id, queue_name, scheduled_at) values
        (5, 'mail', timezone('UTC', now()) + interval '1 h'), (7, 'mail', timezone('UTC', now()) + interval '2 h'),
        (6, 'other', timezone('UTC', now()) + interval '1 h')";
    database.step(&queue, delayed, [2, 3, 0, 2, ABSENT, 0]);
    let due =
        "update solid_queue_scheduled_executions set scheduled_at = timezone('UTC', now()) - interval '8 h'";
    database.step(&queue, due, [4, 8, 0, 0, ABSENT, 0]);
    // A pause is in no number.
    let paused = "insert into solid_queue_pauses (queue_name) values ('mail')";
    database.step(&queue, paused, [4, 8, 0, 0, ABSENT, 0]);
    let claimed = "delete from solid_queue_ready_executions where job_id in (2, 3);
        insert into solid_queue_claimed_executions (job_id) values (2), (3)";
    database.step(&queue, claimed, [3, 8, 1, 0, ABSENT, 0]);
    let failed = "delete from solid_queue_claimed_executions;
        insert into solid_queue_failed_executions (job_id) values (2), (3)";
    database.step(&queue, failed, [3, 8, 0, 0, ABSENT, 1]);
}

#[test]
fn delayed_job_asks_for_one_queue_or_for_all() {
    let Some(mut database) = Database::new() else { return };
    let [queue, all] = [Some("mail"), None].map(|queue| SqlQueue::delayed_job(queue).with_scans());
    database.step(&queue, tables::DELAYED_JOB, [0, 0, 0, 0, 0, 0]);
    let set = |to: &str, id: u32| format!("update delayed_jobs set {to} where id = {id}");
    let enqueued = "insert into delayed_jobs (queue, priority, run_at) values
        ('mail', 0, timezone('UTC', now()) - interval '2 h'), ('mail', -7, timezone('UTC', now()) - interval '1 h'),
        (null, 0, timezone('UTC', now()) - interval '6 h')";
    database.step(&queue, enqueued, [2, 2, 0, 0, 0, 0]);
    database.step(&all, "", [3, 6, 0, 0, 0, 0]);
    let delayed =
        "insert into delayed_jobs (queue, run_at) values ('mail', timezone('UTC', now()) + interval '1 h')";
    database.step(&queue, delayed, [2, 2, 0, 1, 0, 0]);
    database.step(&queue, &set("locked_at = timezone('UTC', now()), locked_by = 'a'", 1), [1, 1, 1, 1, 0, 0]);
    let failed =
        "locked_at = null, locked_by = null, attempts = 1, run_at = timezone('UTC', now()) + interval '1 h'";
    database.step(&queue, &set(failed, 1), [1, 1, 0, 1, 1, 0]);
    // Its worker dies with job 2, which stays.
    database.step(&queue, &set("locked_at = timezone('UTC', now()), locked_by = 'a'", 2), [0, 0, 1, 1, 1, 0]);
    database.step(&all, "", [1, 6, 1, 1, 1, 0]);
}

#[test]
fn que_tells_a_running_job_by_its_lock_which_is_gone_with_its_process() {
    let Some(mut database) = Database::new() else { return };
    let queue = SqlQueue::que("mail").with_scans();
    database.step(&queue, tables::QUE, [0, 0, 0, 0, 0, 0]);
    let set = |to: &str, id: u32| format!("update que_jobs set {to} where id = {id}");
    // More than 32 bits, as ids may have.
    let enqueued = "insert into que_jobs (id, queue, priority, run_at, job_schema_version) values
        (4294967299, 'mail', 100, now() - interval '8 h', 2), (2, 'mail', 50, now() - interval '2 h', 2),
        (3, 'other', 1, now() - interval '9 h', 2), (4, 'mail', 1, now() - interval '99 h', 1)";
    database.step(&queue, enqueued, [2, 8, 0, 0, 0, 0]);
    let delayed = "insert into que_jobs (id, queue, run_at, job_schema_version)
        values (5, 'mail', now() + interval '1 h', 2)";
    database.step(&queue, delayed, [2, 8, 0, 1, 0, 0]);
    let mut process = database.connect();
    database.run_on(&mut process, "select pg_advisory_lock(4294967299), pg_advisory_lock(3)");
    // The lock of another kind, with the same numbers.
    database.run_on(&mut process, "select pg_advisory_lock(0, 2)");
    database.step(&queue, "", [1, 2, 1, 1, 0, 0]);
    database.wait_for(process.close()).unwrap();
    database.wait_until(&queue, [2, 8, 0, 1, 0, 0]);
    database.step(&queue, &set("error_count = 1, run_at = now() + interval '1 h'", 2), [1, 8, 0, 1, 1, 0]);
    database.step(&queue, &set("expired_at = now()", 2), [1, 8, 0, 1, 0, 1]);
    database.step(
        &queue,
        "update que_jobs set finished_at = now() where id = 4294967299",
        [0, 0, 0, 1, 0, 1],
    );
}

#[test]
fn apalis_on_postgres_tells_its_jobs_apart() {
    let Some(mut database) = Database::new() else { return };
    let queue = SqlQueue::apalis_postgres("mail").with_scans();
    database.step(&queue, tables::APALIS_POSTGRES, [0, 0, 0, 0, 0, 0]);
    let set = |to: &str, id: &str| format!("update apalis.jobs set {to} where id = '{id}'");
    let enqueued = "insert into apalis.jobs (id, job_type, priority, run_at) values
        ('a', 'mail', 0, now() - interval '6 h'), ('b', 'mail', 9, now() - interval '2 h'),
        ('c', 'other', 0, now() - interval '9 h'), ('d', 'mail', null, now() - interval '50 h')";
    database.step(&queue, enqueued, [2, 6, 0, 0, 0, 0]);
    let delayed =
        "insert into apalis.jobs (id, job_type, run_at) values ('e', 'mail', now() + interval '1 h')";
    database.step(&queue, delayed, [2, 6, 0, 1, 0, 0]);
    database.step(&queue, &set("status = 'Running', lock_at = now()", "b"), [1, 6, 1, 1, 0, 0]);
    database.step(
        &queue,
        &set("status = 'Failed', attempts = 1, run_at = now() + interval '1 h'", "b"),
        [1, 6, 0, 1, 1, 0],
    );
    database.step(&queue, &set("run_at = now() - interval '7 h'", "b"), [2, 7, 0, 1, 0, 0]);
    database.step(&queue, &set("attempts = 25", "b"), [1, 6, 0, 1, 0, 1]);
    database.step(&queue, &set("status = 'Killed'", "a"), [0, 0, 0, 1, 0, 2]);
    // Its worker dies with job e, which stays.
    database.step(&queue, &set("status = 'Queued'", "e"), [0, 0, 1, 0, 0, 2]);
    database.step(&queue, &set("status = 'Done', done_at = now()", "e"), [0, 0, 0, 0, 0, 2]);
}
