//! A process has one task id, drawn uniformly from its pool or given by `TASKTAG_TASK_ID`, and keeps it.

use std::error::Error;
use std::ops::RangeInclusive;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;
use tasktag::testing::Capture;
use tasktag::{Client, ClientBuilder, ConfigError, TaskId, TaskIdPool};

const PATIENCE: Duration = Duration::from_secs(60);
const VARIABLE: &str = "TASKTAG_TASK_ID";
/// What a child is to do.
const CHILD: &str = "TASK_ID_CHILD";

/// Where chi-square of so many buckets lies but for one run in a million: half of them are too uneven to be drawn
/// uniformly, half too even to be drawn at random.
const TEN_BUCKETS: RangeInclusive<f64> = 0.195..=46.43;
const THOUSAND_BUCKETS: RangeInclusive<f64> = 795.4..=1233.1;

fn chi_square(found: &[u32]) -> f64 {
    let expected = f64::from(found.iter().sum::<u32>()) / found.len() as f64;
    found.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum()
}

fn client() -> ClientBuilder {
    Client::builder().capture(&Capture::new())
}

fn pool(size: u32) -> TaskIdPool {
    TaskIdPool::new(size).unwrap()
}

/// Runs this test binary again for one child's part, and returns what it answers.
fn child(part: &str, task_id: Option<&str>) -> Result<Vec<String>, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--exact", "child_prints_its_task_id", "--nocapture"])
        .env(CHILD, part)
        .env_remove(VARIABLE);
    if let Some(task_id) = task_id {
        command.env(VARIABLE, task_id);
    }
    let output = command.output()?;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| line.strip_prefix("answer: ")).map(ToOwned::to_owned).collect())
}

fn answer(text: impl std::fmt::Display) {
    // The harness leaves its own line unfinished.
    println!("\nanswer: {text}");
}

/// The id of a client, or why it could not be built.
fn answer_built(builder: ClientBuilder) {
    match builder.build() {
        Ok(guard) => answer(guard.client().task_id()),
        Err(error @ ConfigError::Variable { .. }) => answer(format_args!("variable: {error}")),
        Err(error) => answer(error),
    }
}

/// What the other tests have done in a process of its own: an id is decided once a process.
#[test]
fn child_prints_its_task_id() {
    match std::env::var(CHILD).unwrap_or_default().as_str() {
        "current" => answer(TaskId::current()),
        "threads" => answer_from_threads(),
        "client" => {
            answer_built(client());
            answer(TaskId::current());
        }
        "stand-in" => {
            let before = TaskId::current();
            answer_built(client());
            assert!(TaskId::try_current().is_err());
            assert_eq!([TaskId::current(); 3], [before; 3]);
            answer(before);
        }
        "small pool" => {
            answer_built(client().task_id_pool(pool(50)));
            answer_built(client().task_id_pool(pool(50)));
            answer(TaskId::current());
            answer_built(client().task_id_pool(pool(60)));
            answer_built(client());
        }
        "decided" => {
            answer(TaskId::current());
            answer_built(client().task_id_pool(pool(50)));
            answer_built(client().task_id_pool(TaskIdPool::DEFAULT));
        }
        "own id" => {
            answer_built(client().task_id(pool(20).id(3).unwrap()).task_id_pool(pool(50)));
            answer_built(client());
        }
        _ => {}
    }
}

/// Each of many threads is the first to ask, as near as can be.
fn answer_from_threads() {
    const THREADS: usize = 16;
    let barrier = Barrier::new(THREADS);
    let ask = || {
        barrier.wait();
        TaskId::current()
    };
    let ids = thread::scope(|scope| {
        let threads = [(); THREADS].map(|()| scope.spawn(ask));
        threads.map(|thread| thread.join().unwrap())
    });
    ids.into_iter().for_each(answer);
    answer(TaskId::current());
}

#[test]
fn processes_draw_their_ids_uniformly() -> Result<(), Box<dyn Error>> {
    let mut bins = [0; 10];
    for _ in 0..300 {
        let answers = child("current", None)?;
        let [id] = answers.as_slice() else { panic!("one answer: {answers:?}") };
        let number: usize = id.parse()?;
        assert!((1..=1000).contains(&number) && id.len() == 4, "{id}");
        bins[(number - 1) / 100] += 1;
    }
    let found = chi_square(&bins);
    assert!(TEN_BUCKETS.contains(&found), "{found}: {bins:?}");
    Ok(())
}

#[test]
fn a_pool_is_drawn_from_uniformly() -> Result<(), Box<dyn Error>> {
    let mut buckets = [0; 1000];
    for _ in 0..200_000 {
        buckets[TaskIdPool::DEFAULT.draw()?.number() as usize - 1] += 1;
    }
    let found = chi_square(&buckets);
    assert!(THOUSAND_BUCKETS.contains(&found), "{found}");
    Ok(())
}

#[test]
fn chi_square_tells_what_is_uneven_and_what_is_too_even() {
    let even = [200; 1000];
    let mut uneven = [200; 1000];
    uneven[..100].fill(240);
    // Ids counted on from one another, and what is to be expected where a tenth of them is favoured by a fifth.
    for found in [chi_square(&even), chi_square(&uneven) + 999.0] {
        assert!(!THOUSAND_BUCKETS.contains(&found), "{found}");
    }
    assert!((chi_square(&[10, 20, 30]) - 10.0).abs() < 1e-9);
}

#[test]
fn every_draw_is_in_its_pool() {
    arbtest::arbtest(|u| {
        let size = u.int_in_range(1..=TaskIdPool::MAX_SIZE)?;
        let small = u.int_in_range(1..=5)?;
        for pool in [pool(size), pool(small)] {
            let id = pool.draw().unwrap();
            assert!((1..=pool.size()).contains(&id.number()));
            assert_eq!((id.pool(), id.as_str().len()), (pool, pool.width()));
            assert_eq!(pool.id(id.number()), Some(id));
        }
        Ok(())
    })
    .budget_ms(300);
}

#[test]
fn threads_that_ask_first_at_once_get_the_same_id() -> Result<(), Box<dyn Error>> {
    for _ in 0..10 {
        let answers = child("threads", None)?;
        assert_eq!(answers.len(), 17);
        assert!(answers.iter().all(|id| *id == answers[0]), "{answers:?}");
    }
    Ok(())
}

#[test]
fn the_id_stays_the_same_and_is_the_clients() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).build()?;
    assert_eq!(guard.client().task_id(), TaskId::current());
    assert_eq!(TaskId::try_current()?, TaskId::current());
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE)?;
    assert_eq!(capture.take_lines(), [format!("jobs:1|c|#{}", TaskId::current().tag())]);
    Ok(())
}

#[test]
fn the_variable_fixes_the_id() -> Result<(), Box<dyn Error>> {
    for (task_id, padded) in
        [("7", "0007"), ("0042", "0042"), ("1", "0001"), ("1000", "1000"), ("00999", "0999")]
    {
        assert_eq!(child("client", Some(task_id))?, [padded, padded], "{task_id}");
        assert_eq!(child("threads", Some(task_id))?, [padded; 17], "{task_id}");
    }
    Ok(())
}

#[test]
fn an_empty_variable_counts_as_absent() -> Result<(), Box<dyn Error>> {
    let answers = child("client", Some(""))?;
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0], answers[1]);
    assert!((1..=1000).contains(&answers[0].parse::<u32>()?), "{answers:?}");
    Ok(())
}

#[test]
fn an_unusable_variable_fails_the_build_and_leaves_a_constant_stand_in() -> Result<(), Box<dyn Error>> {
    for task_id in ["0", "1001", "abc", "-1", "+7", " 7", "7.0", "4294967297"] {
        let answers = child("stand-in", Some(task_id))?;
        let expected = format!(
            "variable: the environment variable TASKTAG_TASK_ID can't be {task_id:?}: a task id is a number from 1 to 1000"
        );
        assert_eq!(answers[0], expected);
        assert!((1..=1000).contains(&answers[1].parse::<u32>()?), "{answers:?}");
        assert_eq!(answers.len(), 2);
    }
    Ok(())
}

#[test]
fn the_builder_chooses_the_pool_of_the_first_id() -> Result<(), Box<dyn Error>> {
    let decided = |wanted| {
        format!(
            "the setting task_id_pool can't be {wanted}: this process already drew its task id from a pool of 50"
        )
    };
    let answers = child("small pool", None)?;
    let id = answers[0].as_str();
    assert!(id.len() == 2 && (1..=50).contains(&id.parse::<u32>()?), "{id}");
    assert_eq!(answers, [id, id, id, &decided(60), id]);
    // The variable is held against the same pool.
    assert_eq!(child("small pool", Some("7"))?[..3], ["07", "07", "07"]);
    let refused = &child("small pool", Some("51"))?[0];
    assert!(refused.starts_with("variable: ") && refused.ends_with("a number from 1 to 50"), "{refused}");
    Ok(())
}

#[test]
fn a_pool_that_comes_too_late_is_an_error() -> Result<(), Box<dyn Error>> {
    let answers = child("decided", None)?;
    let id = answers[0].as_str();
    let refused =
        "the setting task_id_pool can't be 50: this process already drew its task id from a pool of 1000";
    assert_eq!(answers, [id, refused, id]);

    let error = client().task_id_pool(pool(TaskId::current().pool().size() + 1)).build().unwrap_err();
    assert_eq!(error, ConfigError::TaskIdDecided { decided: 1000, wanted: 1001 });
    Ok(())
}

#[test]
fn a_client_may_have_an_id_of_its_own() -> Result<(), Box<dyn Error>> {
    let answers = child("own id", None)?;
    assert_eq!(answers[0], "03");
    assert_eq!(answers[1].len(), 4, "the process's own was not decided by it");
    // Nothing is asked of the environment for it, so nothing there can be wrong.
    assert_eq!(child("own id", Some("abc"))?[0], "03");
    Ok(())
}

#[test]
fn the_text_is_padded_to_the_width_of_the_pool() {
    for (size, number, text) in [
        (1000, 1, "0001"),
        (1000, 42, "0042"),
        (1000, 1000, "1000"),
        (999, 7, "007"),
        (10, 10, "10"),
        (9, 9, "9"),
        (1, 1, "1"),
        (TaskIdPool::MAX_SIZE, 5, "0000005"),
        (TaskIdPool::MAX_SIZE, TaskIdPool::MAX_SIZE, "1000000"),
    ] {
        let id = pool(size).id(number).unwrap();
        assert_eq!((id.number(), id.pool().size(), id.pool().width()), (number, size, text.len()));
        assert_eq!((id.as_str(), id.to_string().as_str()), (text, text));
        assert_eq!(id.tag(), format!("task_id:{text}"));
        assert_eq!(format!("{id:?}"), format!("TaskId({text} of {size})"));
    }
    assert_eq!((pool(1000).id(0), pool(1000).id(1001)), (None, None));
}

#[test]
fn display_keeps_to_a_width_that_is_asked_for() {
    let id = TaskIdPool::DEFAULT.id(42).unwrap();
    assert_eq!(
        format!("[{id:>7}] [{id:<7}] [{id:^8}] [{id:*>5}] [{id:1}]"),
        "[   0042] [0042   ] [  0042  ] [*0042] [0042]"
    );
}

#[test]
fn ids_are_ordered_by_their_number() {
    let ids = [1, 2, 10, 100, 1000].map(|number| TaskIdPool::DEFAULT.id(number).unwrap());
    assert!(ids.is_sorted());
    assert_ne!(pool(50).id(7), pool(60).id(7), "another pool's bucket is another id");
}
