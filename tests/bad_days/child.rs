//! A forked child that uses metrics too, and tells its parent what came of it.

use super::books::Books;
use super::caller::{Caller, Handles};
use super::dice::Dice;
use super::watched::Watched;
use crate::support::fork::{assert_done, fork};
use crate::support::{PATIENCE, assert_conserved_when_idle};
use std::io::{Read, Write};
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tasktag::Guard;

const OPERATIONS: u64 = 40;

/// What a child was born with.
pub(crate) struct Birth<'a> {
    pub(crate) guard: &'a mut Option<Guard>,
    pub(crate) handles: &'a Handles,
    pub(crate) watched: &'a Watched,
    /// Of all callers of the day, no two have the same.
    pub(crate) number: u64,
    pub(crate) dice: Dice,
    /// How long its end may take.
    pub(crate) patience: Duration,
}

impl Birth<'_> {
    /// Forks, has the child live its life, and says what is in its books.
    pub(crate) fn live(self) -> Books {
        let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
        let ended = fork(|| {
            let books = self.grow_up();
            let bytes: Vec<u8> = books.numbers().iter().flat_map(|number| number.to_le_bytes()).collect();
            writer.write_all(&bytes).is_ok()
        });
        drop(writer);
        assert_done(ended);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("the child's books");
        let numbers: Vec<u64> = bytes.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
        Books::from_numbers(&numbers)
    }

    fn grow_up(self) -> Books {
        let Some(guard) = self.guard.take() else { return Books::default() };
        let client = guard.client().clone();
        let mut caller = Caller::new(&client, self.handles, self.watched, self.number, self.dice);
        caller.work(OPERATIONS, &AtomicU64::new(0));
        let ended = guard.shutdown(self.patience);
        assert!(ended.is_ok() || self.patience < PATIENCE, "{ended:?}");
        Books::of(&assert_conserved_when_idle(&client), caller.diary)
    }
}
