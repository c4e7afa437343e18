//! The command line.

use crate::Failure;
use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
A pool of workers hashes the files of a folder, under a load that rises and falls.
The example watches the pool and its queue, and shows what an agent receives.

cargo run --example quickstart --features testing -- [options]

  --seconds N      duration of the load in seconds, 1 to 3600; 10 by default
  --folder PATH    folder whose files are hashed; this crate's own by default
  --agent ADDRESS  send to a real agent: udp://host:port or unix:///path/to/socket
  --tasks N        run as N processes, 2 to 8, that send to one agent and differ
                   only in their task id
  --help           show this text
";

const MAX_SECONDS: u32 = 3600;
const MAX_TASKS: u32 = 8;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) help: bool,
    pub(crate) seconds: u64,
    pub(crate) folder: PathBuf,
    pub(crate) agent: Option<String>,
    pub(crate) tasks: Option<u32>,
    pub(crate) part: Option<Part>,
}

/// The option `--part 2/3/5000`, which `--tasks 3` passes to each process that it starts: the number of the process,
/// and how many passes make a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) of: u32,
    pub(crate) passes: u32,
}

impl Options {
    pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Result<Self, Failure> {
        let mut options = Self {
            help: false,
            seconds: 10,
            folder: env!("CARGO_MANIFEST_DIR").into(),
            agent: None,
            tasks: None,
            part: None,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            options.set(&argument, || arguments.next())?;
        }
        if options.tasks.is_some() && options.agent.is_some() {
            return Err(Failure::Argument(
                "--tasks shows what an agent of its own receives: leave out --agent".into(),
            ));
        }
        if options.part.is_some() && options.agent.is_none() {
            return Err(Failure::Argument("--part needs --agent".into()));
        }
        Ok(options)
    }

    fn set(&mut self, argument: &OsStr, next: impl FnOnce() -> Option<OsString>) -> Result<(), Failure> {
        let name = argument.to_string_lossy();
        let value = || {
            let missing = || Failure::Argument(format!("{name}: a value is missing"));
            next().filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        let text = |value: OsString| value.to_string_lossy().into_owned();
        match &*name {
            "--help" | "-h" => self.help = true,
            "--seconds" => self.seconds = number(&name, &text(value()?), 1..=MAX_SECONDS)?.into(),
            "--folder" => self.folder = value()?.into(),
            "--agent" => self.agent = Some(text(value()?)),
            "--tasks" => self.tasks = Some(number(&name, &text(value()?), 2..=MAX_TASKS)?),
            "--part" => self.part = Some(Part::read(&text(value()?))?),
            unknown => return Err(Failure::Argument(format!("{unknown}: no such argument"))),
        }
        Ok(())
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl Part {
    /// The only process there is.
    pub(crate) const WHOLE: Self = Self { number: 1, of: 1, passes: 1 };

    fn read(text: &str) -> Result<Self, Failure> {
        let read = || {
            let mut numbers = text.splitn(3, '/').map(|number| number.parse().ok());
            Some(Self { number: numbers.next()??, of: numbers.next()??, passes: numbers.next()?? })
        };
        read()
            .filter(|part| (1..=part.of).contains(&part.number))
            .ok_or_else(|| Failure::Argument(format!("--part {text}: a part is written 2/3/5000")))
    }
}

fn number(name: &str, text: &str, range: RangeInclusive<u32>) -> Result<u32, Failure> {
    let found = text.parse().ok().filter(|number| range.contains(number));
    found.ok_or_else(|| {
        let (min, max) = range.into_inner();
        Failure::Argument(format!("{name} {text}: it must be a number from {min} to {max}"))
    })
}
