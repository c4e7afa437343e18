//! The work: files are really read and hashed.

use crate::units::whole;
use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LEFT_OUT: [&str; 2] = ["target", ".git"];
/// The number of files searched for, and the number hashed: few enough that each is hashed repeatedly.
const MAX_FOUND: usize = 5_000;
const MAX_FILES: usize = 200;
/// A longer file would occupy a worker for long, and delay the end of the run.
const MAX_FILE_BYTES: u64 = 16_000_000;
const CHUNK: usize = 64 * 1024;
/// The average time to hash a file. Small files are hashed in as many passes as that takes.
const JOB: Duration = Duration::from_millis(8);
const MAX_PASSES: u32 = 100_000;
/// The minimum time of a round over all files, so that it predicts the length of a job.
const ROUND: Duration = Duration::from_millis(60);

/// The files of a folder.
pub(crate) struct Files {
    paths: Vec<PathBuf>,
    pub(crate) bytes: u64,
    /// How often a job hashes its file.
    pub(crate) passes: u32,
    /// The average time of a job if nothing else runs.
    pub(crate) job: Duration,
}

impl Files {
    /// Finds the files, or returns why there are none to hash.
    pub(crate) fn find(folder: &Path) -> Result<Self, String> {
        let mut found = Vec::new();
        look_into(folder, &mut found).map_err(|error| error.to_string())?;
        if found.is_empty() {
            return Err(format!("there is no file of 1 to {MAX_FILE_BYTES} bytes in it"));
        }
        // Sorted neither by name nor by size, but always in the same order.
        found.sort_by_cached_key(|(path, _)| {
            let mut hasher = DefaultHasher::new();
            path.hash(&mut hasher);
            hasher.finish()
        });
        found.truncate(MAX_FILES);
        let bytes = found.iter().map(|(_, bytes)| bytes).sum();
        let paths = found.into_iter().map(|(path, _)| path).collect();
        Ok(Self { paths, bytes, passes: 1, job: JOB })
    }

    /// Determines how many passes make a job long enough to be visible in a graph.
    pub(crate) fn calibrate(&mut self) {
        while self.round() < ROUND && self.passes < MAX_PASSES {
            self.passes *= 2;
        }
        // Other programs make a round longer, and nothing makes it shorter.
        let round = self.round().min(self.round());
        let pass = round.as_secs_f64() / self.paths.len() as f64 / f64::from(self.passes);
        let passes = whole(JOB.as_secs_f64() / pass.max(1e-9));
        self.passes = u32::try_from(passes).map_or(MAX_PASSES, |passes| passes.clamp(1, MAX_PASSES));
        self.job = Duration::from_secs_f64(f64::from(self.passes) * pass);
    }

    /// The time to hash all files, extrapolated from the time of some rounds if necessary.
    fn round(&self) -> Duration {
        let begun = Instant::now();
        let mut hashed = 0;
        while hashed < self.paths.len() && begun.elapsed() < ROUND * 3 {
            let _ = self.hash(hashed);
            hashed += 1;
        }
        begun.elapsed().mul_f64(self.paths.len() as f64 / hashed as f64)
    }

    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    /// The path of a file. Numbers start again after the last file.
    fn path(&self, number: usize) -> &Path {
        &self.paths[number % self.paths.len()]
    }

    pub(crate) fn extension(&self, number: usize) -> &str {
        self.path(number).extension().and_then(OsStr::to_str).unwrap_or("none")
    }

    /// Hashes a file in all its passes, and returns the number of bytes.
    pub(crate) fn hash(&self, number: usize) -> io::Result<u64> {
        let mut file = File::open(self.path(number))?;
        let mut chunk = vec![0; CHUNK];
        let mut bytes = 0;
        for _ in 0..self.passes {
            file.rewind()?;
            let mut hasher = DefaultHasher::new();
            loop {
                let n = file.read(&mut chunk)?;
                if n == 0 {
                    break;
                }
                hasher.write(&chunk[..n]);
                bytes += n as u64;
            }
            black_box(hasher.finish());
        }
        Ok(bytes)
    }
}

fn look_into(folder: &Path, found: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        // Skips anything that disappears or is unreadable, and anything behind a link.
        let Ok(entry) = entry else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() && !LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            let _ = look_into(&entry.path(), found);
        } else if metadata.is_file() && (1..=MAX_FILE_BYTES).contains(&metadata.len()) {
            found.push((entry.path(), metadata.len()));
        }
        if found.len() >= MAX_FOUND {
            break;
        }
    }
    Ok(())
}
