//! The source of a simulated task's id.

use crate::generator::Generator;
use std::collections::HashSet;
use tasktag::{ConfigError, TaskIdPool};

/// The characters with which Kubernetes ends the names of pods and replica sets.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LEN: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Random,
    Hashed,
    Leased,
}

impl Source {
    pub(crate) const ALL: [Self; 3] = [Self::Random, Self::Hashed, Self::Leased];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Hashed => "hashed",
            Self::Leased => "leased",
        }
    }
}

/// A pod's name. A new deploy changes it; a crash does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    release: u64,
    suffix: u32,
}

impl Name {
    /// `shop-7d4b9c6f5-x2x8z`.
    pub(crate) fn render(self) -> [u8; 20] {
        let mut text = *b"shop-.........-.....";
        let (release, suffix) = text.split_at_mut(14);
        letters(&mut release[5..], self.release);
        letters(&mut suffix[1..], self.suffix.into());
        text
    }
}

fn letters(text: &mut [u8], mut number: u64) {
    let base = LETTERS.len() as u64;
    for letter in text {
        *letter = LETTERS[usize::try_from(number % base).unwrap_or(0)];
        number /= base;
    }
}

/// The names of a release's pods: random, and all different.
#[derive(Debug, Default)]
pub(crate) struct Names {
    release: u64,
    taken: HashSet<u32>,
}

impl Names {
    pub(crate) fn release(&mut self, generator: &mut Generator) {
        self.release = generator.next();
        self.taken.clear();
    }

    pub(crate) fn next(&mut self, generator: &mut Generator) -> Name {
        loop {
            let suffix = generator.below(27_u32.pow(SUFFIX_LEN));
            if self.taken.insert(suffix) {
                return Name { release: self.release, suffix };
            }
        }
    }
}

/// Computes what the crate's `TaskIdSource::hashed()` makes of a name. The crate reads the name from the environment,
/// of which a process has only one. Hence this copy of the function, which is compared with the crate's own before
/// every simulation.
pub(crate) fn hash(name: &[u8], pool: TaskIdPool) -> u32 {
    // FNV-1a of 128 bits, folded to 64: <https://www.rfc-editor.org/rfc/rfc9923>.
    let fnv = name.iter().fold(0x6C62_272E_07BB_0142_62B8_2175_6295_C58D_u128, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B)
    });
    let folded = (fnv >> 64) ^ (fnv & u128::from(u64::MAX));
    u32::try_from(folded % u128::from(pool.size())).unwrap_or(0) + 1
}

/// An id, and whether this task alone may give it back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id {
    pub(crate) number: u32,
    pub(crate) leased: bool,
}

/// Gives ids of a pool to tasks, and takes leases back.
#[derive(Debug)]
pub(crate) struct Ids {
    source: Source,
    pool: TaskIdPool,
    repeatable: bool,
    // By number, counted from 0.
    held: Vec<bool>,
    free: u32,
}

impl Ids {
    /// `repeatable` ids come from the generator. Otherwise the operating system draws them, as for a real program.
    pub(crate) fn new(source: Source, pool: TaskIdPool, repeatable: bool) -> Self {
        Self { source, pool, repeatable, held: vec![false; pool.size() as usize], free: pool.size() }
    }

    pub(crate) fn give(&mut self, name: Name, generator: &mut Generator) -> Result<Id, ConfigError> {
        let shared = |number| Id { number, leased: false };
        match self.source {
            Source::Hashed => Ok(shared(hash(&name.render(), self.pool))),
            Source::Random => self.draw(generator).map(shared),
            Source::Leased => {
                let start = self.draw(generator)?;
                Ok(self.lease(start).unwrap_or(shared(start)))
            }
        }
    }

    /// Of 100,000 real leases on one host's pool, 99,000 would wait for nothing, so a set of slots stands in for the
    /// locked files. As with the files, the next free slot is taken; if there is none, the drawn one is shared.
    fn lease(&mut self, start: u32) -> Option<Id> {
        if self.free == 0 {
            return None;
        }
        let (before, from) = self.held.split_at(start as usize - 1);
        let number = (start..).zip(from).chain((1..).zip(before)).find(|(_, held)| !**held)?.0;
        self.held[number as usize - 1] = true;
        self.free -= 1;
        Some(Id { number, leased: true })
    }

    pub(crate) fn take_back(&mut self, id: Id) {
        if id.leased {
            self.held[id.number as usize - 1] = false;
            self.free += 1;
        }
    }

    fn draw(&self, generator: &mut Generator) -> Result<u32, ConfigError> {
        if self.repeatable {
            return Ok(generator.below(self.pool.size()) + 1);
        }
        self.pool.draw().map(tasktag::TaskId::number)
    }
}
