//! What a fuzzer found worth keeping holds without one: every input of `fuzz/corpus` is checked again.

#[path = "../fuzz/src/checks.rs"]
mod checks;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// An input's file, or a target's folder.
fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn replay(target: &str) {
    let (_, check) = checks::TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let inputs = children(&fuzz_folder().join("corpus").join(target));
    assert!(inputs.len() >= 10, "the corpus of {target} is where it was");
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        let result = std::panic::catch_unwind(|| check(&bytes));
        assert!(result.is_ok(), "{}", input.display());
    }
}

macro_rules! replays {
    ($($(#[$only:meta])? $target:ident)*) => {
        $(
            $(#[$only])?
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let built: BTreeSet<&str> = [$($(#[$only])? stringify!($target)),*].into();
            assert_eq!(built, checks::TARGETS.iter().map(|(name, _)| *name).collect());
            // Those of this build, and those of features that it has not.
            let replayed: BTreeSet<&str> = [$(stringify!($target)),*].into();
            let stems = |folder: &str| -> BTreeSet<String> {
                let paths = children(&fuzz_folder().join(folder));
                paths.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
            };
            let replayed: BTreeSet<String> = replayed.into_iter().map(str::to_owned).collect();
            assert_eq!(stems("fuzz_targets"), replayed);
            assert_eq!(stems("corpus"), replayed);
        }
    };
}

replays! { #[cfg(feature = "cadence")] cadence dogstatsd environment graphite influx librato packets signalfx statsd tagged_statsd }
