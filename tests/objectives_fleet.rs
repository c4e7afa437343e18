//! The counts of fifty tasks add up exactly, and a slice that belongs to all of them is counted once.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;
use support::{PATIENCE, TempDir};
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{Guard, Objective, SoleReporter, Target, TaskIdPool, TaskIdSource};

const TASKS: u32 = 50;
const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_millis(250);

struct Task {
    guard: Guard,
    objective: Objective,
    sole: SoleReporter,
}

impl Task {
    fn start(number: u32, capture: &Capture, clock: &ManualClock, folder: &TempDir) -> Self {
        let id = TaskIdPool::DEFAULT.id(number).unwrap();
        let builder = support::builder().capture(capture).clock(clock).task_id(id).collect_interval(SECOND);
        let guard = builder.build().unwrap();
        let client = guard.client();
        let objective = client.objective("checkout", Target::within(LIMIT), 0.999).register().unwrap();
        let sole = client.sole_reporter(TaskIdSource::leased(folder.path())).unwrap();
        // Each task sees the same queue: bad for a while, and silent for another.
        let time = clock.clone();
        let start = clock.time_of_day();
        let watch = client.time_objective("mail", 0.99).by(&sole).watch(move || {
            let minutes = time.time_of_day().duration_since(start).unwrap().as_secs() / 60;
            match minutes {
                4 | 5 => Some(false),
                7 => None,
                _ => Some(true),
            }
        });
        watch.unwrap().detach();
        Self { guard, objective, sole }
    }

    fn end(self) {
        self.guard.shutdown(PATIENCE).unwrap();
    }
}

/// The sum of a counter over all tasks and flushes.
fn sum(metrics: &[ParsedMetric], name: &str, tag: (&str, &str)) -> f64 {
    let own = metrics.iter().filter(|metric| metric.name == name && metric.tag(tag.0) == Some(tag.1));
    own.map(|metric| metric.value.number().unwrap()).sum()
}

#[test]
fn the_counts_of_fifty_tasks_add_up_and_a_common_slice_is_counted_once() {
    let (capture, clock, folder) = (Capture::new(), ManualClock::new(), TempDir::new());
    let mut tasks: Vec<_> =
        (1..=TASKS).map(|number| Task::start(number, &capture, &clock, &folder)).collect();
    let (mut good, mut total, mut handed_over) = (0, 0, 0);
    for second in 0..600_u32 {
        for (number, task) in (0..).zip(&tasks) {
            let elapsed = Duration::from_millis(u64::from((second * 31 + number * 17) % 260));
            task.objective.record(elapsed);
            good += u64::from(elapsed <= LIMIT);
            total += 1;
        }
        // Twice, the task that reports for all ends in the middle of a slice.
        if [125, 305].contains(&second) {
            let holder = tasks.iter().position(|task| task.sole.is_held()).unwrap();
            tasks.remove(holder).end();
            handed_over += 1;
        }
        if second % 7 == 0 {
            for task in &tasks {
                task.guard.client().flush(PATIENCE).unwrap();
            }
        }
        clock.advance(SECOND);
        assert!(tasks.iter().filter(|task| task.sole.is_held()).count() <= 1);
    }
    clock.advance(SECOND);
    tasks.into_iter().for_each(Task::end);

    let metrics = capture.take_metrics().unwrap();
    let own = ("objective", "checkout");
    assert_eq!(
        (sum(&metrics, "slo.good", own), sum(&metrics, "slo.total", own)),
        (good as f64, total as f64)
    );
    assert!(good < total && total > 29_000);
    let mut by_task: BTreeMap<_, f64> = BTreeMap::new();
    for metric in metrics.iter().filter(|metric| metric.name == "slo.total") {
        *by_task.entry(metric.tag("task_id").unwrap().to_owned()).or_default() +=
            metric.value.number().unwrap();
    }
    assert_eq!(by_task.len(), TASKS as usize, "each has a series of its own: {by_task:?}");

    assert!(
        metrics
            .iter()
            .filter(|metric| metric.name == "slo.slices")
            .all(|metric| metric.tag("task_id").is_none())
    );
    let slices = ["good", "bad", "unknown"].map(|state| sum(&metrics, "slo.slices", ("state", state)));
    // Of 60 slices, the first began before anybody looked, and two more were nobody's when the lease changed hands: a good
    // one and one of the 12 bad ones. 6 were silent.
    assert_eq!((slices, handed_over), ([40.0, 11.0, 6.0], 2));
}
