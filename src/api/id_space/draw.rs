//! Draws of ids.

use super::{IdSpace, IdSpaceStatus};
use rand::TryRng;
use rand::rngs::SysRng;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// An id that was free, and is taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Draw {
    /// The id.
    pub id: u64,
    /// How many ids were tried, this one included. Record it in a [distribution](crate::Client::distribution): its mean
    /// is what [`expected_tries`](IdSpaceStatus::expected_tries) foretells.
    pub tries: u32,
}

/// None of the ids that a draw tried was free. The message says how full the space is.
///
/// Retrying for ever would only keep a database busy. Draw from a space of longer ids, or answer that there is none at
/// the moment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NoneFree {
    /// How many ids were tried.
    pub tries: u32,
    /// How full the space is.
    pub status: IdSpaceStatus,
}

impl fmt::Display for NoneFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "none of {} ids that were tried is free: {}", self.tries, self.status)
    }
}

impl std::error::Error for NoneFree {}

impl IdSpace {
    /// Draws ids at random until `take` returns `true`, which says that the id was free and is taken now. It tries at
    /// most [`max_tries`](Self::max_tries) ids.
    ///
    /// `take` has to do both at once, such as an insert that a unique index may refuse: between a look and an insert
    /// somebody else may take the id. Where it is asynchronous or may fail in other ways, take the
    /// [candidates](Self::candidates) one by one.
    ///
    /// # Errors
    ///
    /// Fails if none of the ids was free.
    ///
    /// ```
    /// use tasktag::IdSpace;
    ///
    /// let space = IdSpace::new(1_000_000);
    /// space.set_used(1_000_000);
    /// let none = space.draw_with(|_| false).unwrap_err();
    /// assert_eq!(
    ///     none.to_string(),
    ///     "none of 32 ids that were tried is free: 1000000 of 1000000 ids are used (100.0 %); no draw can end"
    /// );
    /// ```
    pub fn draw_with(&self, mut take: impl FnMut(u64) -> bool) -> Result<Draw, NoneFree> {
        let mut tries = 0;
        for id in self.candidates() {
            tries += 1;
            if take(id) {
                return Ok(Draw { id, tries });
            }
        }
        Err(NoneFree { tries, status: self.status() })
    }

    /// Returns [`max_tries`](Self::max_tries) ids, each drawn at random by the operating system's generator. An id may
    /// come again. A space of 0 ids has none.
    ///
    /// ```
    /// # async fn insert(_id: u64) -> Result<bool, std::io::Error> { Ok(true) }
    /// use tasktag::IdSpace;
    ///
    /// async fn draw(space: &IdSpace) -> Result<Option<u64>, std::io::Error> {
    ///     for id in space.candidates() {
    ///         if insert(id).await? {
    ///             return Ok(Some(id));
    ///         }
    ///     }
    ///     Ok(None) // instead of retrying for ever
    /// }
    /// ```
    pub fn candidates(&self) -> IdCandidates {
        let left = if self.size == 0 { 0 } else { self.max_tries };
        IdCandidates { size: self.size, left }
    }
}

/// Ids to try, one by one. [`IdSpace::candidates`] returns them.
#[derive(Clone, Debug)]
#[must_use = "none is drawn until the next one is asked for"]
pub struct IdCandidates {
    size: u64,
    left: u32,
}

impl Iterator for IdCandidates {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        // Without the system's generator the standard library's keys, which it drew earlier, are as good here.
        let drawn = SysRng.try_next_u64().unwrap_or_else(|_| RandomState::new().hash_one(self.left));
        // The upper half of the product, which is from 0 to below the size.
        let id = (u128::from(drawn) * u128::from(self.size)) >> 64;
        u64::try_from(id).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}
