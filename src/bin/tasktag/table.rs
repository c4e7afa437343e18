//! The live table of `tasktag listen`.

mod columns;
mod order;
mod screen;
mod state;

use self::state::State;
use crate::stop::Stop;
use crate::traffic::{Traffic, View};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::io;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

/// The longest time between two pictures, and between two looks whether the command is to end.
const PICTURE: Duration = Duration::from_millis(250);

/// Lets the traffic be looked at, while nothing more arrives.
pub(crate) type Look<'a> = &'a dyn Fn() -> MutexGuard<'a, Traffic>;

/// Shows the traffic until a key or a signal ends it. The terminal is as before then, also after a panic.
pub(crate) fn show(look: Look<'_>, view: View, interval: Duration, stop: &Stop) -> io::Result<()> {
    // This has a panic restore the terminal, too.
    let mut terminal = ratatui::try_init()?;
    let shown = run(&mut terminal, look, State::new(view), interval, stop);
    ratatui::restore();
    shown
}

fn run(
    terminal: &mut DefaultTerminal,
    look: Look<'_>,
    mut state: State,
    interval: Duration,
    stop: &Stop,
) -> io::Result<()> {
    let mut due = Instant::now() + interval;
    while !stop.is_told() && !state.is_over() {
        if Instant::now() >= due {
            due = Instant::now() + interval;
            look().turn();
        }
        state.look(&look());
        terminal.draw(|frame| screen::draw(frame, &mut state))?;
        // All keys that are there, and then one picture.
        let mut wait = PICTURE.min(due.saturating_duration_since(Instant::now()));
        while event::poll(wait)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => state.press(key),
                _ => {}
            }
            wait = Duration::ZERO;
        }
    }
    Ok(())
}
