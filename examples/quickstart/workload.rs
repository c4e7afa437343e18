//! The watched program: a bounded queue, the pool of workers that empties it, and producers that fill it in waves.

use crate::files::Files;
use crate::options::Part;
use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tasktag::{
    Client, Counter, Distribution, Gauge, Occupancy, PoolStatus, QueueStatus, ServiceCheck, Set, Status,
    Watch,
};

pub(crate) const WORKERS: u32 = 4;
pub(crate) const QUEUE_CAPACITY: usize = 64;
const PRODUCERS: u32 = 2;
const WAVE_SECONDS: f64 = 4.0;
/// How far the peak of a wave exceeds the capacity of the pool.
const CREST: f64 = 1.25;
const PRODUCERS_PAUSE: Duration = Duration::from_millis(5);

/// The metrics. Each handle is registered once and used by all threads.
struct Metrics {
    busy: Occupancy,
    hash_time: Distribution,
    hashed: Counter,
    hashed_bytes: Counter,
    extensions: Set,
    rate: Gauge,
}

impl Metrics {
    fn new(client: &Client) -> Self {
        Self {
            busy: client.occupancy("workers", WORKERS).register(),
            hash_time: client.timing("files.hash_time").register(),
            hashed: client.counter("files.hashed").register(),
            hashed_bytes: client.counter("files.hashed_bytes").register(),
            extensions: client.set("files.extensions").register(),
            rate: client.gauge("producers.rate").register(),
        }
    }
}

/// The pool's own counts, to be compared with what the agent received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) unreadable: u64,
}

/// A running pool under load.
pub(crate) struct Workload {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    // The pool and the queue are watched for as long as these exist.
    _watches: [Watch; 2],
}

struct Shared {
    files: Files,
    queue: Queue,
    busy: AtomicU64,
    hashed: Mutex<Hashed>,
    next_file: AtomicU64,
    wave: Wave,
    ended: AtomicBool,
    metrics: Metrics,
}

impl Workload {
    /// Starts workers and producers. Several processes share the machine, and their waves follow one another.
    pub(crate) fn start(client: &Client, files: Files, part: Part) -> Self {
        let shared = Arc::new(Shared {
            wave: Wave::new(files.job, part),
            files,
            queue: Queue::default(),
            busy: AtomicU64::new(0),
            hashed: Mutex::default(),
            next_file: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            metrics: Metrics::new(client),
        });
        let (pool, queue) = (Arc::clone(&shared), Arc::clone(&shared));
        let watches = [
            client.watch_pool("hashers", move || pool.status()),
            client.watch_queue("files", move || queue.queue.status()),
        ];
        let work = (0..WORKERS).map(|_| Shared::work as fn(&Shared));
        let produce = (0..PRODUCERS).map(|_| Shared::produce as fn(&Shared));
        let threads = work.chain(produce).map(|body| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || body(&shared))
        });
        let threads = threads.collect();
        let text = format!("{WORKERS} workers hash {} files", shared.files.len());
        client.event("quickstart started", &text);
        client
            .send_service_check(ServiceCheck::new("quickstart.pool", Status::Ok).message("all workers run"));
        Self { shared, threads, _watches: watches }
    }

    /// Stops the producers, lets the workers empty the queue, and returns what they did.
    pub(crate) fn stop(&mut self) -> Result<Hashed, &'static str> {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.shared.queue.close();
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| "a thread of the pool panicked")?;
        }
        let hashed = *self.shared.hashed.lock().unwrap();
        Ok(hashed)
    }

    /// The current state of the pool.
    pub(crate) fn status(&self) -> (PoolStatus, QueueStatus, Hashed) {
        let hashed = *self.shared.hashed.lock().unwrap();
        (self.shared.status(), self.shared.queue.status(), hashed)
    }

    /// The files per second that the producers want hashed now.
    pub(crate) fn rate(&self) -> f64 {
        self.shared.wave.rate()
    }
}

impl Shared {
    fn status(&self) -> PoolStatus {
        PoolStatus::new().max(u64::from(WORKERS)).in_use(self.busy.load(Ordering::Relaxed))
    }

    fn work(&self) {
        while let Some(file) = self.queue.pop() {
            let _busy = self.metrics.busy.acquire();
            self.busy.fetch_add(1, Ordering::Relaxed);
            self.hash(file);
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn hash(&self, file: usize) {
        let timer = self.metrics.hash_time.start();
        let Ok(bytes) = self.files.hash(file) else {
            timer.discard();
            self.hashed.lock().unwrap().unreadable += 1;
            return;
        };
        drop(timer);
        self.metrics.hashed.increment(1);
        self.metrics.hashed_bytes.increment(bytes);
        self.metrics.extensions.insert(self.files.extension(file));
        let mut hashed = self.hashed.lock().unwrap();
        hashed.files += 1;
        hashed.bytes += bytes;
    }

    fn produce(&self) {
        let (mut owed, mut last) = (0.0, Instant::now());
        while !self.ended.load(Ordering::Relaxed) {
            thread::sleep(PRODUCERS_PAUSE);
            let rate = self.wave.rate();
            self.metrics.rate.set(rate);
            owed += rate * last.elapsed().as_secs_f64() / f64::from(PRODUCERS);
            while owed >= 1.0 && self.queue.push(|| self.next_file()) {
                // A literal name with literal tags needs no handle.
                tasktag::counter!("files.queued", "by" => "producer").increment(1);
                owed -= 1.0;
            }
            // Time that this producer spent waiting for a full queue is not made up for.
            last = Instant::now();
        }
        self.metrics.rate.set(0.0);
    }

    fn next_file(&self) -> usize {
        usize::try_from(self.next_file.fetch_add(1, Ordering::Relaxed)).unwrap_or(0)
    }
}

/// The load, as it rises and falls.
struct Wave {
    begun: Instant,
    /// The files per second that the pool can hash.
    capacity: f64,
    /// The number of waves before the first one: 0 begins in the trough.
    shift: f64,
}

impl Wave {
    fn new(job: Duration, part: Part) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get).min(WORKERS as usize);
        Self {
            begun: Instant::now(),
            capacity: processors as f64 / f64::from(part.of) / job.as_secs_f64(),
            shift: f64::from(part.number - 1) / f64::from(part.of),
        }
    }

    fn rate(&self) -> f64 {
        let waves = self.begun.elapsed().as_secs_f64() / WAVE_SECONDS + self.shift;
        self.capacity * CREST * (1.0 - (TAU * waves).cos()) / 2.0
    }
}

/// A bounded queue that knows how long its oldest job has waited.
#[derive(Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<(Instant, usize)>,
    closed: bool,
}

impl Queue {
    /// Waits for room. Returns `false` once the queue is closed.
    fn push(&self, job: impl FnOnce() -> usize) -> bool {
        let jobs = self.jobs.lock().unwrap();
        let full = |jobs: &mut Jobs| jobs.waiting.len() >= QUEUE_CAPACITY && !jobs.closed;
        let mut jobs = self.changed.wait_while(jobs, full).unwrap();
        if !jobs.closed {
            jobs.waiting.push_back((Instant::now(), job()));
            self.changed.notify_all();
        }
        !jobs.closed
    }

    /// Waits for a job. Returns `None` once the queue is closed and empty.
    fn pop(&self) -> Option<usize> {
        let jobs = self.jobs.lock().unwrap();
        let empty = |jobs: &mut Jobs| jobs.waiting.is_empty() && !jobs.closed;
        let mut jobs = self.changed.wait_while(jobs, empty).unwrap();
        let job = jobs.waiting.pop_front();
        self.changed.notify_all();
        job.map(|(_, file)| file)
    }

    fn close(&self) {
        self.jobs.lock().unwrap().closed = true;
        self.changed.notify_all();
    }

    fn status(&self) -> QueueStatus {
        let jobs = self.jobs.lock().unwrap();
        let oldest_age = jobs.waiting.front().map_or(Duration::ZERO, |(since, _)| since.elapsed());
        let status = QueueStatus::new().depth(jobs.waiting.len() as u64).oldest_age(oldest_age);
        status.capacity(QUEUE_CAPACITY as u64)
    }
}
