//! The live table of `tasktag listen`.

mod columns;
mod screen;
mod state;

use self::state::State;
use crate::listen::Intake;
use crate::stop::Stop;
use crate::traffic::View;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::io;
use std::time::{Duration, Instant};

/// The longest time between two pictures, and between two looks whether the command is to end.
const LOOK: Duration = Duration::from_millis(250);

/// Shows the traffic until a key or a signal ends it. The terminal is as before then, also after a panic.
pub(crate) fn show(intake: &Intake, view: View, interval: Duration, stop: &Stop) -> io::Result<()> {
    // This has a panic restore the terminal, too.
    let mut terminal = ratatui::try_init()?;
    let shown = run(&mut terminal, intake, State::new(view), interval, stop);
    ratatui::restore();
    shown
}

fn run(
    terminal: &mut DefaultTerminal,
    intake: &Intake,
    mut state: State,
    interval: Duration,
    stop: &Stop,
) -> io::Result<()> {
    let mut due = Instant::now() + interval;
    while !stop.is_told() && !state.is_over() {
        if Instant::now() >= due {
            due = Instant::now() + interval;
            intake.traffic().turn();
        }
        state.look(&intake.traffic());
        terminal.draw(|frame| screen::draw(frame, &mut state))?;
        // All keys that are there, and then one picture.
        let mut wait = LOOK.min(due.saturating_duration_since(Instant::now()));
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
