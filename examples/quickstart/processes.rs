//! Several processes of this example. None of them outlives the process that started it.

use crate::Failure;
use crate::options::Options;
use crate::totals::Totals;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// All of them. Dropping this kills those that still run.
pub(crate) struct Processes(Vec<Process>);

struct Process {
    child: Child,
    // Its end shows a process that this one is gone, however that happened.
    _alive: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The name in messages: `task 2 of 3 (process 4711)`.
    name: String,
    id: String,
    ended: bool,
}

impl Processes {
    /// Starts them, and waits until each has reported its task id.
    pub(crate) fn start(options: &Options, number: u32, passes: u32, agent: &str) -> Result<Self, Failure> {
        let mut all = Self(Vec::new());
        for part in 1..=number {
            let name = format!("task {part} of {number}");
            let process = Process::start(options, &format!("{part}/{number}/{passes}"), agent, &name);
            all.0.push(process.map_err(|why| Failure::Run(format!("{name} did not start: {why}")))?);
        }
        all.0.iter_mut().try_for_each(Process::read_id)?;
        Ok(all)
    }

    /// Their task ids, in the order in which they were started.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|process| process.id.as_str())
    }

    /// Whether all have ended. It is an error if one failed, or still runs when it is `late`.
    pub(crate) fn have_ended(&mut self, late: bool) -> Result<bool, Failure> {
        for process in &mut self.0 {
            process.look()?;
            if late && !process.ended {
                return Err(Failure::Run(format!("{} does not end", process.name)));
            }
        }
        Ok(self.0.iter().all(|process| process.ended))
    }

    /// What each counted, after its end.
    pub(crate) fn books(&mut self) -> Result<Vec<Totals>, Failure> {
        self.0.iter_mut().map(Process::books).collect()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in self.0.iter_mut().filter(|process| !process.ended) {
            // It may have ended by itself meanwhile.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

impl Process {
    fn start(options: &Options, part: &str, agent: &str, name: &str) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(["--agent", agent, "--part", part, "--seconds"]).arg(options.seconds.to_string());
        command.arg("--folder").arg(&options.folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let name = format!("{name} (process {})", child.id());
        let alive = child.stdin.take();
        let (id, ended) = (String::new(), false);
        Ok(Self { child, _alive: alive, output: BufReader::new(output), name, id, ended })
    }

    fn read_id(&mut self) -> Result<(), Failure> {
        // Waits for the line, or for the process's end.
        let read = self.output.read_line(&mut self.id);
        self.id.truncate(self.id.trim_end().len());
        if read.is_err() || self.id.is_empty() {
            let status =
                self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            self.ended = true;
            return Err(Failure::Run(format!("{} ended before it began: {status}", self.name)));
        }
        self.name = format!("{} with task_id:{}", self.name, self.id);
        Ok(())
    }

    fn look(&mut self) -> Result<(), Failure> {
        let status =
            self.child.try_wait().map_err(|error| Failure::Run(format!("{}: {error}", self.name)))?;
        self.ended = status.is_some();
        match status {
            Some(status) if !status.success() => Err(Failure::Run(format!("{} died: {status}", self.name))),
            _ => Ok(()),
        }
    }

    fn books(&mut self) -> Result<Totals, Failure> {
        let mut line = String::new();
        let read = self.output.read_to_string(&mut line);
        let totals = read.ok().and_then(|_| Totals::from_line(line.trim_end_matches(['\r', '\n'])));
        totals.ok_or_else(|| Failure::Run(format!("{} did not say what it counted: {line:?}", self.name)))
    }
}
