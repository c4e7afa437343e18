//! The simulated fleet of `examples/fleet` and the arithmetic of `TaskIdPool` come to the same.

#[path = "../examples/fleet/fleet.rs"]
mod fleet;
#[path = "../examples/fleet/generator.rs"]
mod generator;
#[path = "../examples/fleet/source.rs"]
mod source;

use crate::fleet::{Average, Found, Plan, simulate};
use crate::generator::Generator;
use crate::source::{Id, Ids, Names, Source, hash};
use std::collections::BTreeSet;
use std::fs;
use tasktag::testing::Capture;
use tasktag::{Client, TaskIdPool, TaskIdSource, TaskIdSourceKind};

/// How many standard errors a figure may be off: with less than one chance in 15,000 for each that is compared.
const ERRORS: f64 = 4.0;

fn plan(source: Source, tasks: u32) -> Plan {
    let months = (3000 / tasks).clamp(2, 60);
    Plan { source, pool: TaskIdPool::DEFAULT, tasks, months, seed: 5, repeatable: true }
}

#[track_caller]
fn assert_near(what: &str, average: Average, expected: f64, error: f64) {
    let off = (average.mean() - expected).abs();
    assert!(off <= ERRORS * error, "{what}: {} is {off} off {expected}, by {error}", average.mean());
}

#[track_caller]
fn assert_birthday(plan: Plan, found: &Found) {
    let Plan { source, pool, tasks, .. } = plan;
    let what = |figure| format!("{figure} of {tasks} {}", source.as_str());
    let odds = pool.collision_probability(tasks);
    // Where all of those that were looked at are alike, what they tell of their error is nothing.
    let error = (odds * (1.0 - odds) / f64::from(found.any.count())).sqrt().max(1e-4);
    assert_near(&what("any"), found.any, odds, error);
    let live = f64::from(tasks);
    assert_near(&what("sharing"), found.sharing, pool.expected_sharing(tasks) / live, found.sharing.error());
    let kept = pool.expected_distinct(tasks) / live;
    assert_near(&what("lost"), found.lost, 1.0 - kept, found.lost.error());
    let error = found.buckets.error().max(1e-3 * f64::from(pool.size()));
    assert_near(&what("buckets"), found.buckets, found.buckets_drawn.mean(), error);
}

#[test]
fn random_and_hashed_ids_are_shared_as_often_as_the_pool_says() {
    for source in [Source::Random, Source::Hashed] {
        for tasks in [10, 38, 100, 1000, 3000] {
            let plan = plan(source, tasks);
            assert_birthday(plan, &simulate(plan).unwrap());
        }
    }
}

#[test]
fn ids_that_the_operating_system_draws_are_shared_as_often_too() {
    // Of a wrong alarm there is one chance in millions: the figures differ from run to run.
    let pool = TaskIdPool::DEFAULT;
    let found = simulate(Plan { repeatable: false, ..plan(Source::Random, 100) }).unwrap();
    let off = (found.sharing.mean() - pool.expected_sharing(100) / 100.0).abs();
    assert!(off < 6.0 * found.sharing.error(), "{found:?}");
}

#[test]
fn leases_keep_all_tasks_apart_while_a_deploy_finds_a_slot_for_each() {
    for tasks in [10, 909] {
        let found = simulate(plan(Source::Leased, tasks)).unwrap();
        assert!(found.any.count() > 0);
        assert_eq!((found.any.mean(), found.sharing.mean()), (0.0, 0.0), "{tasks}");
        assert!(found.lost.mean().abs() < 1e-9, "{tasks}");
    }
    // A deploy of 910 starts one too many. At times it shares with a task that the same deploy stops.
    let odds = |tasks| simulate(plan(Source::Leased, tasks)).unwrap().any.mean();
    assert!((0.5..1.0).contains(&odds(910)), "{}", odds(910));
    assert_eq!(odds(1000), 1.0);
}

#[test]
fn a_month_mints_no_more_ids_than_the_pool_has_and_a_name_for_every_new_pod() {
    for source in Source::ALL {
        let found = simulate(plan(source, 300)).unwrap();
        assert!((999.0..=1000.0).contains(&found.buckets.mean()), "{found:?}");
        // 150 at first, 150 more each morning, 300 in each of 60 deploys.
        assert_eq!(found.names.mean(), f64::from(150 + 30 * 150 + 60 * 300));
        // A tenth of 300 crashes a day, and half of that by night.
        let crashes = found.starts.mean() - found.names.mean();
        assert!((crashes - 30.0 * 22.5).abs() < 10.0, "{crashes}");
    }
}

#[test]
fn a_seed_gives_the_same_fleet_again_and_another_seed_another() {
    let plan = plan(Source::Random, 30);
    let found = simulate(plan).unwrap();
    assert_eq!(simulate(plan).unwrap(), found);
    assert_ne!(simulate(Plan { seed: 6, ..plan }).unwrap(), found);
}

#[test]
fn a_simulated_pod_hashes_to_the_id_that_the_crate_gives_it() {
    let (mut names, mut generator) = (Names::default(), Generator::new(3));
    names.release(&mut generator);
    for size in [7, 1000, 1_000_000].repeat(10) {
        let pool = TaskIdPool::new(size).unwrap();
        let name = String::from_utf8(names.next(&mut generator).render().to_vec()).unwrap();
        let variables = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("POD_NAME", name.as_str())];
        let builder = Client::builder().capture(&Capture::new()).from_vars(variables).task_id_pool(pool);
        let guard = builder.task_id_from(TaskIdSource::hashed()).build().unwrap();
        let id = guard.client().task_id();
        assert_eq!(
            (id.number(), id.source()),
            (hash(name.as_bytes(), pool), TaskIdSourceKind::Hashed),
            "{name}"
        );
    }
}

#[test]
fn no_two_pods_of_a_release_have_one_name() {
    let (mut names, mut generator) = (Names::default(), Generator::new(3));
    // Of so many at random, some 14 would have another's.
    let found: BTreeSet<_> = (0..20_000).map(|_| names.next(&mut generator).render()).collect();
    assert_eq!(found.len(), 20_000);
}

#[test]
fn simulated_leases_are_given_and_taken_back_as_real_ones_are() {
    let directory = std::env::temp_dir().join(format!("tasktag-fleet-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let (pool, source) = (TaskIdPool::new(8).unwrap(), TaskIdSource::leased(&directory));
    let claim = || source.claim(pool).unwrap();
    let (mut ids, mut names) = (Ids::new(Source::Leased, pool, true), Names::default());
    let mut generator = Generator::new(9);
    let mut give = |ids: &mut Ids| ids.give(names.next(&mut generator), &mut generator).unwrap();

    let mut claims: Vec<_> = (0..12).map(|_| claim()).collect();
    let mut given: Vec<_> = (0..12).map(|_| give(&mut ids)).collect();
    let real: Vec<_> = claims.iter().map(|claim| claim.task_id().source()).collect();
    let simulated: Vec<_> = given.iter().map(|id| kind(*id)).collect();
    assert_eq!(simulated, real);
    assert_eq!(claims[..8].iter().map(|claim| claim.task_id().number()).collect::<BTreeSet<_>>().len(), 8);
    assert_eq!(given[..8].iter().map(|id| id.number).collect::<BTreeSet<_>>().len(), 8);

    // One that shares ends, and then one that holds a slot.
    drop(claims.pop());
    ids.take_back(given.pop().unwrap());
    let shared = TaskIdSourceKind::Shared;
    assert_eq!((kind(give(&mut ids)), claim().task_id().source()), (shared, shared));
    drop(claims.remove(3));
    let freed = given.remove(3);
    ids.take_back(freed);
    let next = give(&mut ids);
    let leased = TaskIdSourceKind::Leased;
    assert_eq!((kind(next), claim().task_id().source()), (leased, leased));
    assert_eq!(next.number, freed.number, "the only free slot");
    fs::remove_dir_all(&directory).unwrap();
}

fn kind(id: Id) -> TaskIdSourceKind {
    if id.leased { TaskIdSourceKind::Leased } else { TaskIdSourceKind::Shared }
}
