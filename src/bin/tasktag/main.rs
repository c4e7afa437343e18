//! The command `tasktag`: see what metrics arrive, and why none do.

#[cfg(unix)]
mod arguments;
#[cfg(unix)]
mod capacity;
#[cfg(unix)]
mod doctor;
#[cfg(unix)]
mod endpoint;
#[cfg(unix)]
mod fleet;
#[cfg(unix)]
mod line;
#[cfg(unix)]
mod listen;
#[cfg(unix)]
mod nearest;
#[cfg(unix)]
mod outcome;
#[cfg(unix)]
mod readable;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod send;
#[cfg(unix)]
mod shown_url;
#[cfg(unix)]
mod stop;
#[cfg(unix)]
mod table;
#[cfg(unix)]
mod time;
#[cfg(unix)]
mod traffic;
#[cfg(unix)]
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    use self::arguments::{Arguments, Command};
    use clap::Parser;

    let done = match Arguments::parse().command {
        Command::Listen(arguments) => listen::listen(&arguments),
        Command::Replay(arguments) => listen::replay(&arguments),
        Command::Send(arguments) => send::send(&arguments),
        Command::Time(arguments) => time::time(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Watch(arguments) => watch::watch(&arguments),
        Command::Fleet(arguments) => fleet::fleet(&arguments),
        Command::Capacity(arguments) => capacity::capacity(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(text) = failure.text() {
                let _ = writeln!(io::stderr(), "error: {}", readable::readable(text.as_bytes()));
            }
            failure.exit_code()
        }
    }
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    let _ = writeln!(io::stderr(), "error: the command tasktag runs on Unix systems");
    ExitCode::FAILURE
}
