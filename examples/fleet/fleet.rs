//! A fleet of tasks over a month, with deploys, crashes, and fewer tasks by night than by day.

use crate::generator::Generator;
use crate::source::{Id, Ids, Name, Names, Source};
use tasktag::{ConfigError, TaskIdPool};

pub(crate) const DAYS: u32 = 30;
pub(crate) const CRASHES_A_TASK_A_DAY: f64 = 0.1;
/// The number of parts of the fleet that a deploy replaces in turn. The new tasks of a part start before its old ones
/// stop.
pub(crate) const DEPLOY_PARTS: usize = 10;
/// The events of a day, each with the hours since the previous one.
const DAY: [(f64, Event); 5] = [
    (12.0, Event::ScaleUp),
    (2.0, Event::Deploy),
    (2.0, Event::Measure),
    (4.0, Event::Deploy),
    (4.0, Event::ScaleDown),
];

#[derive(Clone, Copy, Debug)]
enum Event {
    ScaleUp,
    ScaleDown,
    Deploy,
    Measure,
}

/// The parameters of a simulation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) source: Source,
    pub(crate) pool: TaskIdPool,
    /// The number of tasks by day; by night it is half of them.
    pub(crate) tasks: u32,
    pub(crate) months: u32,
    pub(crate) seed: u64,
    /// Whether random ids come from the seed too.
    pub(crate) repeatable: bool,
}

/// An average and its error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Average {
    count: u32,
    mean: f64,
    squares: f64,
}

impl Average {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / f64::from(self.count);
        self.squares += off * (value - self.mean);
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The standard error of the mean.
    pub(crate) fn error(&self) -> f64 {
        let count = f64::from(self.count);
        (self.squares / (count - 1.0).max(1.0) / count).sqrt()
    }
}

/// The results: the first three at noon of each day, the others for each month.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Found {
    /// Whether any two tasks had one id: 0 or 1.
    pub(crate) any: Average,
    /// The share of the tasks whose id another task had too.
    pub(crate) sharing: Average,
    /// The share of the tasks whose gauges another task overwrote before each flush of the agent.
    pub(crate) lost: Average,
    /// The number of processes started.
    pub(crate) starts: Average,
    /// The number of pods' names, each of which would be a tag's value if gauges were tagged with it.
    pub(crate) names: Average,
    /// The number of ids ever used.
    pub(crate) buckets: Average,
    /// The expected number of those for that many draws.
    pub(crate) buckets_drawn: Average,
}

#[derive(Clone, Copy, Debug)]
struct Task {
    name: Name,
    id: Id,
}

struct Fleet {
    generator: Generator,
    names: Names,
    ids: Ids,
    live: Vec<Task>,
    // By id, counted from 0.
    used: Vec<bool>,
    started: u32,
    named: u32,
}

/// Simulates the months one by one, each with a new fleet.
pub(crate) fn simulate(plan: Plan) -> Result<Found, ConfigError> {
    let mut found = Found::default();
    let mut seeds = Generator::new(plan.seed);
    for _ in 0..plan.months {
        let mut fleet = Fleet::new(plan, Generator::new(seeds.next()));
        fleet.scale_to(half(plan.tasks))?;
        for (hours, event) in DAY.repeat(DAYS as usize) {
            fleet.crash(hours)?;
            match event {
                Event::ScaleUp => fleet.scale_to(plan.tasks as usize)?,
                Event::ScaleDown => fleet.scale_to(half(plan.tasks))?,
                Event::Deploy => fleet.deploy()?,
                Event::Measure => fleet.measure(&mut found),
            }
        }
        fleet.count(plan, &mut found);
    }
    Ok(found)
}

fn half(tasks: u32) -> usize {
    tasks.div_ceil(2) as usize
}

impl Fleet {
    fn new(plan: Plan, mut generator: Generator) -> Self {
        let mut names = Names::default();
        names.release(&mut generator);
        Self {
            generator,
            names,
            ids: Ids::new(plan.source, plan.pool, plan.repeatable),
            live: Vec::new(),
            used: vec![false; plan.pool.size() as usize],
            started: 0,
            named: 0,
        }
    }

    fn start(&mut self, name: Name) -> Result<(), ConfigError> {
        let id = self.ids.give(name, &mut self.generator)?;
        self.used[id.number as usize - 1] = true;
        self.started += 1;
        self.live.push(Task { name, id });
        Ok(())
    }

    fn start_new(&mut self, count: usize) -> Result<(), ConfigError> {
        for _ in 0..count {
            let name = self.names.next(&mut self.generator);
            self.named += 1;
            self.start(name)?;
        }
        Ok(())
    }

    fn stop_any(&mut self) -> Option<Task> {
        let live = u32::try_from(self.live.len()).unwrap_or(u32::MAX);
        let place = self.generator.below(live) as usize;
        (place < self.live.len()).then(|| {
            let task = self.live.swap_remove(place);
            self.ids.take_back(task.id);
            task
        })
    }

    fn scale_to(&mut self, tasks: usize) -> Result<(), ConfigError> {
        while self.live.len() > tasks {
            self.stop_any();
        }
        self.start_new(tasks - self.live.len())
    }

    /// Restarts a crashed process in its pod: the name stays, and its lease is free.
    fn crash(&mut self, hours: f64) -> Result<(), ConfigError> {
        let expected = self.live.len() as f64 * CRASHES_A_TASK_A_DAY * hours / 24.0;
        for _ in 0..self.generator.round(expected) {
            if let Some(task) = self.stop_any() {
                self.start(task.name)?;
            }
        }
        Ok(())
    }

    fn deploy(&mut self) -> Result<(), ConfigError> {
        self.names.release(&mut self.generator);
        let old = std::mem::take(&mut self.live);
        for part in old.chunks(old.len().div_ceil(DEPLOY_PARTS).max(1)) {
            self.start_new(part.len())?;
            for task in part {
                self.ids.take_back(task.id);
            }
        }
        Ok(())
    }

    fn measure(&self, found: &mut Found) {
        let mut tasks_of = vec![0_u32; self.used.len()];
        for task in &self.live {
            tasks_of[task.id.number as usize - 1] += 1;
        }
        let live = self.live.len() as f64;
        let sharing: u32 = tasks_of.iter().filter(|tasks| **tasks > 1).sum();
        let distinct = tasks_of.iter().filter(|tasks| **tasks > 0).count();
        found.any.add(f64::from(u8::from(sharing > 0)));
        found.sharing.add(f64::from(sharing) / live);
        // Of all tasks that report under one id, the last value is kept.
        found.lost.add(1.0 - distinct as f64 / live);
    }

    fn count(&self, plan: Plan, found: &mut Found) {
        let draws = if plan.source == Source::Hashed { self.named } else { self.started };
        found.starts.add(f64::from(self.started));
        found.names.add(f64::from(self.named));
        found.buckets.add(self.used.iter().filter(|used| **used).count() as f64);
        found.buckets_drawn.add(plan.pool.expected_distinct(draws));
    }
}
