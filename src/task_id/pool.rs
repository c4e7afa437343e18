//! The buckets that task ids are drawn from, and the probabilities of collisions.

use super::{TASK_ID_VARIABLE, TaskId, TaskIdSourceKind};
use crate::process::birth;
use crate::vocabulary::error::ConfigError;
use crate::vocabulary::fnv::fnv1a;
use rand::TryRng;
use rand::rngs::SysRng;
use std::hash::{BuildHasher, RandomState};

/// A pool of task ids: the buckets `1..=size`.
///
/// The size limits permanently how many time series a metric can have per tag set. It also determines the probability
/// that two live tasks share a bucket, which the methods compute.
///
/// ```
/// use tasktag::TaskIdPool;
///
/// let pool = TaskIdPool::DEFAULT;
/// assert_eq!(pool.size(), 1000);
/// assert_eq!(pool.tasks_for_probability(0.5), 38);
/// assert!((pool.collision_probability(7) - 0.021).abs() < 0.001);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskIdPool {
    size: u32,
}

impl TaskIdPool {
    /// 1000 buckets, `0001` to `1000`.
    pub const DEFAULT: Self = Self { size: 1000 };

    /// The pool of what only one process may have.
    pub(super) const ONE: Self = Self { size: 1 };

    /// The largest pool size, 1,000,000. A larger pool would make the task id a high-cardinality tag.
    pub const MAX_SIZE: u32 = 1_000_000;

    /// The number of digits of [`MAX_SIZE`](Self::MAX_SIZE).
    pub(super) const MAX_WIDTH: usize = 7;

    /// Makes a pool of `size` buckets.
    ///
    /// # Errors
    ///
    /// Fails if `size` is 0 or above [`MAX_SIZE`](Self::MAX_SIZE).
    pub fn new(size: u32) -> Result<Self, ConfigError> {
        if (1..=Self::MAX_SIZE).contains(&size) {
            Ok(Self { size })
        } else {
            Err(ConfigError::setting(
                "task_id_pool",
                size,
                format_args!("a pool must have 1 to {} buckets", Self::MAX_SIZE),
            ))
        }
    }

    /// The number of buckets.
    #[must_use]
    pub const fn size(self) -> u32 {
        self.size
    }

    /// The number of digits that every id of this pool is padded to.
    #[must_use]
    pub const fn width(self) -> usize {
        // `ilog10` of at most a million: 0 to 6.
        self.size.ilog10() as usize + 1
    }

    /// The id of one bucket, or `None` if `number` is not in `1..=size`.
    #[must_use]
    pub fn id(self, number: u32) -> Option<TaskId> {
        (1..=self.size).contains(&number).then(|| TaskId::new(number, self, TaskIdSourceKind::Fixed))
    }

    /// Draws a bucket uniformly with the operating system's generator.
    ///
    /// A generator in user space is not used, because its state survives a `fork`: all children would draw the same id.
    ///
    /// # Errors
    ///
    /// Fails if the operating system's generator fails.
    pub fn draw(self) -> Result<TaskId, ConfigError> {
        // Draws at or above the largest multiple of `size` are discarded: they would favour the first buckets.
        let fair = u32::MAX - u32::MAX % self.size;
        loop {
            let drawn = SysRng.try_next_u32().map_err(|error| ConfigError::Random(error.to_string()))?;
            if drawn < fair {
                return Ok(TaskId::new(drawn % self.size + 1, self, TaskIdSourceKind::Random));
            }
        }
    }

    /// The bucket of this process, which was drawn when the program started. All copies of this crate in one program
    /// compute the same, whatever their versions: the text that is hashed must never change. Where the system gives a
    /// program no random bytes, each copy draws a bucket of its own.
    pub(super) fn draw_for_process(self) -> Result<TaskId, ConfigError> {
        match birth::mark() {
            Some(mark) => Ok(self.id_of(&mark, TaskIdSourceKind::Random)),
            None => self.draw(),
        }
    }

    /// Draws a bucket even if the generator fails: std seeds its hasher by itself, from memory addresses at worst.
    pub(super) fn draw_or_hash(self) -> TaskId {
        self.draw().unwrap_or_else(|_| {
            let hash = RandomState::new().hash_one(std::process::id());
            self.id_at(hash, TaskIdSourceKind::Random)
        })
    }

    /// The bucket of a text, by its hash.
    pub(super) fn id_of(self, text: &str, source: TaskIdSourceKind) -> TaskId {
        let hash = fnv1a(text);
        // The lowest bits of FNV depend little on the first characters, and the highest ones little on the last.
        let [high, low] =
            [hash >> 64, hash].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0));
        self.id_at(high ^ low, source)
    }

    /// The bucket at an index counted from 0. Indexes beyond the last bucket start again at the first.
    pub(super) fn id_at(self, place: u64, source: TaskIdSourceKind) -> TaskId {
        let place = u32::try_from(place % u64::from(self.size)).unwrap_or(0);
        TaskId::new(place + 1, self, source)
    }

    /// The id of a bucket that is written as `42` or `0042`.
    ///
    /// ```
    /// use tasktag::TaskIdPool;
    ///
    /// let pool = TaskIdPool::new(50)?;
    /// assert_eq!(pool.parse("7")?.as_str(), "07");
    ///
    /// let error = pool.parse("seven").unwrap_err();
    /// assert_eq!(error.to_string(), r#"the setting task_id can't be "seven": a task id is a number from 1 to 50"#);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the text is not a number in `1..=size`.
    pub fn parse(self, text: &str) -> Result<TaskId, ConfigError> {
        self.read(text).ok_or_else(|| ConfigError::setting("task_id", text, self.expected()))
    }

    fn read(self, text: &str) -> Option<TaskId> {
        // `u32::from_str` takes a leading `+`, which no padded id has.
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { self.id(text.parse().ok()?) } else { None }
    }

    fn expected(self) -> String {
        format!("a task id is a number from 1 to {}", self.size)
    }

    /// Reads the value of `TASKTAG_TASK_ID`.
    pub(crate) fn parse_variable(self, text: &str) -> Result<TaskId, ConfigError> {
        self.read(text).ok_or_else(|| self.unusable(text))
    }

    pub(super) fn unusable(self, text: &str) -> ConfigError {
        ConfigError::variable(TASK_ID_VARIABLE, text, self.expected())
    }

    /// The probability, from 0 to 1, that at least two of `tasks` live tasks share a bucket.
    ///
    /// ```
    /// use tasktag::TaskIdPool;
    ///
    /// let of_ten = TaskIdPool::DEFAULT.collision_probability(10);
    /// assert!((of_ten - 0.044).abs() < 0.001);
    /// ```
    #[must_use]
    pub fn collision_probability(self, tasks: u32) -> f64 {
        if tasks > self.size {
            return 1.0;
        }
        let size = f64::from(self.size);
        // The logarithm keeps its precision when the product would underflow.
        let all_apart: f64 = (1..tasks).map(|taken| (-f64::from(taken) / size).ln_1p()).sum();
        -all_apart.exp_m1()
    }

    /// The smallest number of tasks for which two share a bucket with at least this `probability`.
    ///
    /// For a probability of 0 or less this is 0 tasks, and for 1 or more it is `size + 1`.
    #[must_use]
    pub fn tasks_for_probability(self, probability: f64) -> u32 {
        first(0, self.size + 1, |tasks| self.collision_probability(tasks) >= probability)
    }

    /// How many different ids `tasks` tasks have on average: `size * (1 - (1 - 1 / size)^tasks)`.
    ///
    /// ```
    /// use tasktag::TaskIdPool;
    ///
    /// assert_eq!(TaskIdPool::DEFAULT.expected_distinct(500).round(), 394.0);
    /// ```
    #[must_use]
    pub fn expected_distinct(self, tasks: u32) -> f64 {
        // In a pool of one, the logarithm is infinite, and 0 times infinity is NaN.
        if tasks == 0 {
            return 0.0;
        }
        let size = f64::from(self.size);
        // Avoids the cancellation of 1 - (1 - 1 / size)^tasks for few tasks.
        -size * (f64::from(tasks) * (-1.0 / size).ln_1p()).exp_m1()
    }

    /// How many of `tasks` live tasks share their bucket with another one, on average.
    ///
    /// ```
    /// use tasktag::TaskIdPool;
    ///
    /// assert_eq!(TaskIdPool::DEFAULT.expected_sharing(100).round(), 9.0);
    /// ```
    #[must_use]
    pub fn expected_sharing(self, tasks: u32) -> f64 {
        if tasks < 2 {
            return 0.0;
        }
        let others = f64::from(tasks - 1);
        let alone = others * (-1.0 / f64::from(self.size)).ln_1p();
        f64::from(tasks) * -alone.exp_m1()
    }

    /// The smallest pool in which any of `tasks` live tasks share a bucket with at most this `probability`. Returns
    /// `None` if that takes more than [`MAX_SIZE`](Self::MAX_SIZE) buckets: random ids are not enough then.
    ///
    /// ```
    /// use tasktag::TaskIdPool;
    ///
    /// let size = |tasks| TaskIdPool::smallest_for(tasks, 0.01).map(TaskIdPool::size);
    /// assert_eq!(size(20), Some(18_912));
    /// assert_eq!(size(200), None, "lease the ids of so many");
    /// ```
    #[must_use]
    pub fn smallest_for(tasks: u32, probability: f64) -> Option<Self> {
        let holds = |size| Self { size }.collision_probability(tasks) <= probability;
        let size = first(1, Self::MAX_SIZE + 1, holds);
        (size <= Self::MAX_SIZE).then_some(Self { size })
    }
}

impl Default for TaskIdPool {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The first number in `low..high` for which `holds` is true, or `high` if there is none. Once true, it must stay true.
fn first(mut low: u32, mut high: u32, holds: impl Fn(u32) -> bool) -> u32 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odds_are_the_birthday_odds() {
        let pool = TaskIdPool::DEFAULT;
        for (tasks, probability) in
            [(0, 0.0), (1, 0.0), (2, 0.001), (7, 0.0209), (38, 0.5093), (100, 0.9940), (1001, 1.0)]
        {
            let found = pool.collision_probability(tasks);
            assert!((found - probability).abs() < 5e-4, "{tasks}: {found}");
        }
        assert_eq!(pool.tasks_for_probability(0.02), 7);
        assert_eq!(pool.tasks_for_probability(0.5), 38);
        assert_eq!(pool.tasks_for_probability(0.0), 0);
        assert_eq!(pool.tasks_for_probability(2.0), 1001);
        assert!((pool.expected_sharing(100) - 9.4).abs() < 0.05);
        assert!((pool.expected_sharing(200) - 36.1).abs() < 0.1);
        assert!(pool.expected_sharing(0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_odds_are_known_for_any_number_of_tasks() {
        for size in [1, 2, 7, 1000, TaskIdPool::MAX_SIZE] {
            let pool = TaskIdPool::new(size).unwrap();
            let (mut odds, mut sharing) = (0.0, 0.0);
            for tasks in [0, 1, 2, 3, 10, 1000, 1001, TaskIdPool::MAX_SIZE + 1, u32::MAX] {
                let before = (odds, sharing);
                (odds, sharing) = (pool.collision_probability(tasks), pool.expected_sharing(tasks));
                assert!(before.0 <= odds && odds <= 1.0, "{tasks} of {size}: {odds}");
                assert!(before.1 <= sharing && sharing <= f64::from(tasks), "{tasks} of {size}: {sharing}");
                assert_eq!((odds > 0.0, sharing > 0.0), (tasks > 1, tasks > 1), "{tasks} of {size}");
            }
        }
    }

    #[test]
    fn the_smallest_pool_is_the_smallest() {
        let pool = TaskIdPool::smallest_for(20, 0.02).unwrap();
        assert!(pool.collision_probability(20) <= 0.02);
        assert!(TaskIdPool::new(pool.size() - 1).unwrap().collision_probability(20) > 0.02);
        assert_eq!(TaskIdPool::smallest_for(10_000, 0.001), None);
    }

    #[test]
    fn ids_are_padded_to_the_width_of_the_pool() {
        for (size, number, text) in
            [(1000, 1, "0001"), (1000, 1000, "1000"), (999, 7, "007"), (1, 1, "1"), (1_000_000, 5, "0000005")]
        {
            let id = TaskIdPool::new(size).unwrap().id(number).unwrap();
            assert_eq!(id.as_str(), text);
            assert_eq!(id.tag(), format!("task_id:{text}"));
        }
    }

    #[test]
    fn only_numbers_of_the_pool_are_ids() {
        let pool = TaskIdPool::DEFAULT;
        for good in ["1", "0042", "1000", "000042"] {
            assert!(pool.parse(good).is_ok(), "{good}");
        }
        for bad in ["", "0", "1001", "+5", "-1", " 5", "5 ", "0x10", "4.2", "99999999999999"] {
            assert!(pool.parse(bad).is_err(), "{bad}");
        }
        assert!(TaskIdPool::new(0).is_err());
        assert!(TaskIdPool::new(TaskIdPool::MAX_SIZE + 1).is_err());
    }
}
