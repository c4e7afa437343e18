//! The starts of holds are all known, or counted.

use super::*;

#[test]
fn a_hold_that_never_ends_stays_the_oldest_whatever_comes_after_it() {
    let holds = Holds::new();
    let _leaked = holds.begin(Start::at(0));
    for now in 1..10 * ENTRIES as u64 {
        let start = Start::at(now);
        let entry = holds.begin(start);
        assert_ne!(entry, Entry(None));
        holds.end(entry, start.generation());
        assert_eq!(holds.oldest(now), Some(now));
    }
    assert_eq!(holds.untracked(), 0);
}

#[test]
fn as_many_holds_as_there_are_entries_are_all_known_and_further_ones_are_counted() {
    let holds = Holds::new();
    let starts: Vec<_> = (0..ENTRIES as u64).map(|now| Start::at(now * 10)).collect();
    let mut entries: Vec<_> = starts.iter().map(|start| (holds.begin(*start), *start)).collect();
    assert_eq!(holds.untracked(), 0);
    let further: Vec<_> = (0..3).map(|_| (holds.begin(Start::at(5_000)), Start::at(5_000))).collect();
    assert_eq!((holds.untracked(), holds.oldest(10_000)), (3, Some(10_000)));
    for (entry, start) in further {
        holds.end(entry, start.generation());
    }
    assert_eq!(holds.untracked(), 0);
    // The oldest come first, so each end makes the next one the oldest.
    entries.reverse();
    while let Some((entry, start)) = entries.pop() {
        holds.end(entry, start.generation());
        let next = entries.last().map(|(_, start)| start.until(10_000));
        assert_eq!(holds.oldest(10_000), next);
    }
}

#[test]
fn threads_that_hold_at_once_never_share_an_entry() {
    let holds = Holds::new();
    std::thread::scope(|scope| {
        for thread in 1..=4 {
            let holds = &holds;
            scope.spawn(move || {
                for turn in 0..20_000 {
                    let starts = [thread, thread + 10, thread + 20].map(|n| Start::at(n * 1_000_000 + turn));
                    let entries = starts.map(|start| (holds.begin(start), start));
                    let is_own = |(entry, start): &(Entry, Start)| {
                        let at = usize::from(entry.0.expect("there are more entries than holds"));
                        holds.entries[at].load(Ordering::Relaxed) == start.to_word()
                    };
                    assert!(entries.iter().all(is_own));
                    for (entry, start) in entries {
                        holds.end(entry, start.generation());
                    }
                }
            });
        }
    });
    assert_eq!((holds.oldest(u64::MAX >> 8), holds.untracked()), (None, 0));
}

#[test]
fn a_hold_of_another_process_has_no_entry_here_and_ends_nothing() {
    let holds = Holds::new();
    let there = Start::of(fork::generation().wrapping_add(1), 0);
    let inherited: Vec<_> = (0..ENTRIES).map(|_| holds.begin(there)).collect();
    assert_eq!((holds.oldest(1_000), holds.untracked()), (None, 0));
    let own: Vec<_> = (0..ENTRIES).map(|_| holds.begin(Start::at(100))).collect();
    assert!(own.iter().all(|entry| *entry != Entry(None)));
    for entry in inherited {
        holds.end(entry, there.generation());
    }
    assert_eq!(holds.oldest(1_000), Some(900));
    for entry in own {
        holds.end(entry, fork::generation());
    }
    assert_eq!(holds.oldest(1_000), None);
}

#[test]
fn an_entry_is_the_same_after_it_was_a_code() {
    for entry in (0..=u8::MAX).map(Some).chain([None]).map(Entry) {
        assert_ne!(entry.to_code(), 0);
        assert_eq!(Entry::from_code(entry.to_code()), entry);
    }
}
