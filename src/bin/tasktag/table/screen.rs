//! How the table looks.

use super::columns::columns;
use super::state::{Page, State};
use crate::readable::readable_start;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table};

const KEYS: &str =
    " q quit  Tab page  s sort  r reverse  g group  f fold tasks  / filter  p pause  arrows scroll";
/// The characters of a text that are shown.
const MAX_TEXT: usize = 1000;
/// The characters of a tag's key that are shown.
const MAX_KEY: usize = 40;

pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let areas = Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)]);
    let [head, body, foot] = areas.areas(frame.area());
    draw_head(frame, state, head);
    match state.page {
        Page::Metrics => draw_metrics(frame, state, body),
        Page::Notices => draw_lines(frame, state, body, notices),
        Page::Misread => draw_lines(frame, state, body, misread),
    }
    frame.render_widget(Line::from(foot_text(state)).dim(), foot);
}

fn draw_head(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let totals = state.picture.totals;
    let pages = [
        (Page::Metrics, format!(" 1 metrics {} ", state.picture.series)),
        (Page::Notices, format!(" 2 events and checks {} ", totals.notices)),
        (Page::Misread, format!(" 3 not understood {} ", totals.misread)),
    ];
    let titles: Vec<_> = pages
        .into_iter()
        .map(|(page, title)| if page == state.page { title.reversed() } else { title.into() })
        .collect();
    let room = match totals.beyond_room {
        0 => String::new(),
        lines => format!(", {lines} of series without room: see --max-series"),
    };
    let drops = match totals.kernel_drops {
        0 => String::new(),
        datagrams => format!(", {datagrams} datagrams dropped by the kernel"),
    };
    let shown = arrangement(state);
    let sums = format!(" {} lines in {} packets{room}{drops}  {shown}", totals.lines, totals.packets);
    frame.render_widget(Paragraph::new(vec![Line::from(titles), Line::from(sums)]), area);
}

/// Which rows are shown, and in what order.
fn arrangement(state: &State) -> String {
    let view = &state.view;
    let group = match &view.grouped_by {
        Some(key) => format!("  grouped by {}", readable_start(key, MAX_KEY)),
        None => String::new(),
    };
    let only = match view.filter.as_str() {
        "" => String::new(),
        filter => format!("  only {}", readable_start(filter, MAX_TEXT)),
    };
    format!("{}{group}{only}", state.order)
}

fn foot_text(state: &State) -> String {
    if state.is_typing {
        let filter = readable_start(&state.view.filter, MAX_TEXT);
        return format!(" filter: {filter}_  Enter done  Esc none");
    }
    let paused = if state.is_paused { " PAUSED" } else { "" };
    format!("{paused}{KEYS}")
}

fn draw_metrics(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let room = usize::from(area.height.saturating_sub(1));
    let first = first_shown(state, state.picture.rows.len(), room);
    let columns = columns(area.width);
    let rows = state.picture.rows.iter().skip(first).take(room);
    let rows = rows.map(|row| Row::new(columns.clone().map(|column| (column.cell)(row))));
    let widths = columns.clone().map(|column| column.width);
    let head = Row::new(columns.clone().map(|column| column.head)).style(Style::new().bold());
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

fn draw_lines(frame: &mut Frame<'_>, state: &mut State, area: Rect, lines: fn(&State) -> Vec<String>) {
    let texts = lines(state);
    let room = usize::from(area.height);
    let first = first_shown(state, texts.len(), room);
    let shown: Vec<_> = texts.into_iter().skip(first).take(room).map(Line::from).collect();
    frame.render_widget(Paragraph::new(shown), area);
}

/// The first line that is on the screen. Nobody scrolls beyond the end.
fn first_shown(state: &mut State, lines: usize, room: usize) -> usize {
    state.offset = state.offset.min(lines.saturating_sub(room));
    state.offset
}

fn notices(state: &State) -> Vec<String> {
    let line = |notice: &crate::line::Notice| {
        let tags: Vec<_> = notice.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        let text = format!("{}: {}  {}", notice.title, notice.text, tags.join(","));
        format!(
            " {:<5} {:<8} {}",
            notice.kind.as_str(),
            readable_start(&notice.level, 8),
            readable_start(&text, MAX_TEXT)
        )
    };
    state.picture.notices.iter().map(line).collect()
}

fn misread(state: &State) -> Vec<String> {
    state.picture.misread.iter().map(|misread| format!(" {}: {}", misread.reason, misread.bytes)).collect()
}
