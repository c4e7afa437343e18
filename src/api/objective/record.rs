//! A history as a text, which outlives the process.

use super::counts::Counts;
use super::history::{History, Span};

/// The first word, and the version of what follows.
const HEADER: &str = "tasktag-objective 1";
/// The names of the rings, in their order.
const RINGS: [&str; 3] = ["slice", "five_minutes", "hour"];

/// Returns the text: a header with the lengths, a line for each step that is not empty, and the end, without which a text
/// is not whole.
pub(super) fn write(history: &History, unit: &str) -> String {
    let mut lines = vec![header(history.span(), unit)];
    for (name, ring) in RINGS.iter().zip(history.rings()) {
        lines.extend(ring.steps().map(|(step, Counts { good, bad })| format!("{name} {step} {good} {bad}")));
    }
    lines.push("end\n".to_owned());
    lines.join("\n")
}

/// Reads a history, as of a slice. Returns `None` if the text is not that of a history of this span and unit, or if it is
/// of the future.
pub(super) fn read(text: &str, span: Span, unit: &str, slice: u64) -> Option<History> {
    let mut lines = text.strip_suffix("\nend\n")?.split('\n');
    if lines.next()? != header(span, unit) {
        return None;
    }
    let mut history = History::new(span);
    history.turn_to(slice);
    let seconds_per_step = [span.slice, 300, 3600];
    for line in lines {
        let mut words = line.split(' ');
        let name = words.next()?;
        let [step, good, bad] = [words.next()?, words.next()?, words.next()?].map(|word| word.parse().ok());
        let (step, counts): (u64, _) = (step?, Counts { good: good?, bad: bad? });
        let place = RINGS.iter().position(|ring| *ring == name).filter(|_| words.next().is_none())?;
        let newest = slice / (seconds_per_step.get(place)? / span.slice);
        if step > newest {
            return None;
        }
        history.rings_mut().into_iter().nth(place)?.set(step, counts);
    }
    Some(history)
}

fn header(span: Span, unit: &str) -> String {
    format!("{HEADER} {unit} slice {} s period {} d", span.slice, span.period_days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::objective::burn_window::BurnWindow;
    use arbtest::arbitrary::{Result as Arbitrary, Unstructured};

    const SPAN: Span = Span { slice: 10, period_days: 7 };
    const NOW: u64 = 176_722_560;

    fn history() -> History {
        let mut history = History::new(SPAN);
        for n in 0..5000 {
            history.add(NOW - 5000 + n, Counts { good: n, bad: n % 7 });
        }
        history.turn_to(NOW);
        history
    }

    fn sums(history: &History) -> Vec<Counts> {
        let windows = BurnWindow::ALL.iter().map(|window| history.within(*window));
        windows.chain([history.within_period()]).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let text = write(&history(), "events");
        assert!(text.len() < 64 * 1024, "{}", text.len());
        assert_eq!(sums(&read(&text, SPAN, "events", NOW).unwrap()), sums(&history()));
    }

    #[test]
    fn what_is_too_old_by_now_is_left_out() {
        let mut later = history();
        let text = write(&later, "events");
        for slices in [1, 29, 400, 2000, 30_000, 70_000] {
            later.turn_to(NOW + slices);
            let read = read(&text, SPAN, "events", NOW + slices).unwrap();
            assert_eq!(sums(&read), sums(&later), "{slices}");
        }
        assert_eq!(later.within_period(), Counts::default());
    }

    #[test]
    fn anything_else_is_refused() {
        let text = write(&history(), "events");
        let refused = |text: &str| read(text, SPAN, "events", NOW).is_none();
        assert!(!refused(&text));
        assert!(refused("") && refused("end\n") && refused("\nend\n"));
        assert!(refused(&text[..text.len() - 1]) && refused(&text[..text.len() / 2]), "cut off");
        assert!(refused(&text.replace("objective 1", "objective 2")));
        for line in ["hour 1 2", "hour 1 2 3 4", "day 1 2 3", "hour -1 2 3", "hour 1 2 x", "", "hour  1 2 3"]
        {
            assert!(refused(&text.replace("\nend", &format!("\n{line}\nend"))), "{line:?}");
        }
        let huge = u64::MAX;
        assert!(refused(&text.replace("\nend", &format!("\nslice {huge} 1 1\nend"))), "of the future");
        assert!(
            !refused(&text.replace("\nend", &format!("\nslice {NOW} {huge} {huge}\nend"))),
            "sums end there"
        );
        assert!(read(&text, Span { slice: 60, ..SPAN }, "events", NOW).is_none());
        assert!(read(&text, Span { period_days: 30, ..SPAN }, "events", NOW).is_none());
        assert!(read(&text, SPAN, "slices", NOW).is_none());
        assert!(read(&text, SPAN, "events", NOW - 1000).is_none(), "the clock was set back");
    }

    /// A text with parts of it changed.
    fn any_text(u: &mut Unstructured<'_>) -> Arbitrary<()> {
        let mut text = write(&history(), "events").into_bytes();
        for _ in 0..u.int_in_range(0..=5)? {
            let place = u.choose_index(text.len())?;
            text[place] = u.arbitrary()?;
        }
        if let Some(history) = read(&String::from_utf8_lossy(&text), SPAN, "events", NOW) {
            sums(&history);
        }
        Ok(())
    }

    #[test]
    fn no_text_panics() {
        arbtest::arbtest(any_text).budget_ms(500);
    }
}
