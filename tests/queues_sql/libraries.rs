//! What a queue says after each step of jobs that the libraries of the systems write and work themselves.

use crate::database::Database;
use crate::program::Library;
use tasktag::SqlQueue;

/// Follows a system of Node. Its jobs that were due in the past are as old as that.
#[track_caller]
fn live(library: &Library, system: &str, queue: &SqlQueue, database: &mut Database) {
    let start = |database: &Database| {
        let mut program = library.start(database, &[system], &[]);
        program.act("setup");
        program
    };
    let mut program = start(database);
    database.step(queue, "", [0, 0, 0, 0, 0, 0]);
    program.add("block", -2, 3, 0);
    database.step(queue, "", [1, 2, 0, 0, 0, 0]);
    // A job that is older, and that a worker takes later.
    let last = if system == "graphile" { 7 } else { -7 };
    program.add("plain", -5, 3, last);
    database.step(queue, "", [2, 5, 0, 0, 0, 0]);
    program.add("plain", 1, 3, 0);
    database.step(queue, "", [2, 5, 0, 1, 0, 0]);
    program.act("work");
    database.wait_until(queue, [1, 5, 1, 1, 0, 0]);
    // One fails for good, and one is tried again.
    program.add("fail", 0, 1, 0);
    program.add("fail", 0, 25, 0);
    // It waits the longer the more often it was tried: hours, and not the three seconds of a first time.
    let tried = if system == "graphile" {
        "update graphile_worker._private_jobs set attempts = 9 where max_attempts = 25"
    } else {
        ""
    };
    database.step(queue, tried, [3, 5, 1, 1, 0, 0]);
    program.act("release");
    database.wait_until(queue, [0, 0, 0, 1, 1, 1]);
    drop(program);
    let mut program = start(database);
    program.add("block", 0, 3, 0);
    program.act("work");
    database.wait_until(queue, [0, 0, 1, 1, 1, 1]);
    // It is killed, and nobody has noticed yet.
    drop(program);
    database.step(queue, "", [0, 0, 1, 1, 1, 1]);
}

#[test]
fn graphile_worker_is_followed_from_a_job_to_the_death_of_its_worker() {
    let (Some(library), Some(mut database)) = (Library::node(), Database::new()) else { return };
    live(&library, "graphile", &SqlQueue::graphile_worker().with_scans(), &mut database);
}

#[test]
fn pg_boss_is_followed_from_a_job_to_the_death_of_its_worker() {
    let (Some(library), Some(mut database)) = (Library::node(), Database::new()) else { return };
    live(&library, "boss", &SqlQueue::pg_boss("mail"), &mut database);
}

#[test]
fn pg_boss_leaves_out_what_is_blocked_and_counts_it_when_it_runs_or_is_dead() {
    let (Some(library), Some(mut database)) = (Library::node(), Database::new()) else { return };
    library.start(&database, &["boss"], &[]).act("setup");
    let queue = SqlQueue::pg_boss("mail");
    let insert = |jobs: &str| {
        format!(
            "insert into pgboss.job (name, policy, state, blocked, start_after)
             select 'mail', 'standard', state::pgboss.job_state, blocked, now() + late from {jobs}"
        )
    };
    let of_each = insert(
        "(values ('created', interval '-2 h'), ('retry', interval '1 h'), ('active', interval '-3 h'),
            ('failed', interval '-4 h')) as job (state, late)
         cross join (values (true), (false)) as both_ways (blocked)",
    );
    database.step(&queue, &of_each, [1, 2, 2, 0, 1, 2]);
    let many = |times: u32, of: &str| {
        insert(&format!("generate_series(1, {times}) cross join (values {of}) as job (state, blocked, late)"))
    };
    let [most, most_dead] =
        [SqlQueue::COUNT_LIMIT, SqlQueue::DEAD_LIMIT].map(|limit| i64::try_from(limit).unwrap());
    let due = many(6000, "('created', false, interval '-5 h'), ('retry', false, interval '-6 h')");
    database.step(&queue, &due, [most, 6, 2, 0, 1, 2]);
    let dead = many(600, "('failed', false, interval '-7 h'), ('failed', true, interval '-7 h')");
    database.step(&queue, &dead, [most, 6, 2, 0, 1, most_dead]);
}

#[test]
fn procrastinate_is_followed_from_a_job_to_the_death_of_its_worker_under_any_name() {
    let (Some(library), Some(mut database)) = (Library::python(), Database::new()) else { return };
    let name = r#"the {queue}'s "mail" \'"#;
    let queue = SqlQueue::procrastinate(name).with_scans();
    let mut program = library.start(&database, &[], &[name]);
    program.act("setup");
    database.step(&queue, "", [0, 0, 0, 0, 0, 0]);
    program.add("block", 0, 0, 0);
    database.step(&queue, "", [1, 0, 0, 0, 0, 0]);
    // What was deferred now, two hours ago.
    let earlier = "update procrastinate_events set at = at - interval '2 h' where type = 'deferred'";
    database.step(&queue, earlier, [1, 2, 0, 0, 0, 0]);
    program.add("plain", -5, 0, 0);
    database.step(&queue, "", [2, 5, 0, 0, 0, 0]);
    program.add("plain", 1, 0, 0);
    database.step(&queue, "", [2, 5, 0, 1, 0, 0]);
    program.act("work");
    database.wait_until(&queue, [1, 5, 1, 1, 0, 0]);
    program.add("fail", 0, 0, 0);
    program.add("retry", 0, 0, 0);
    database.step(&queue, "", [3, 5, 1, 1, 0, 0]);
    program.act("release");
    database.wait_until(&queue, [0, 0, 0, 1, 1, 1]);
    drop(program);
    let mut program = library.start(&database, &[], &[name]);
    program.add("block", 0, 0, 0);
    program.act("work");
    database.wait_until(&queue, [0, 0, 1, 1, 1, 1]);
    // It is killed, and nobody has noticed yet.
    drop(program);
    database.step(&queue, "", [0, 0, 1, 1, 1, 1]);
    // A job whose events were deleted has an unknown age.
    library.start(&database, &[], &[name]).add("plain", 0, 0, 0);
    database.step(&queue, "delete from procrastinate_events", [1, crate::database::ABSENT, 1, 1, 1, 1]);
}
