//! What is looked at, and what the keys change of it.

use crate::line::Notice;
use crate::traffic::{Misread, Row, Totals, Traffic, View};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The pages of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Metrics,
    Notices,
    Misread,
}

/// What the rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Name,
    Rate,
    Max,
    Series,
    Tasks,
}

impl Order {
    const ALL: [Self; 5] = [Self::Name, Self::Rate, Self::Max, Self::Series, Self::Tasks];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Rate => "rate",
            Self::Max => "max",
            Self::Series => "series",
            Self::Tasks => "tasks",
        }
    }

    fn next(self) -> Self {
        let place = Self::ALL.iter().position(|order| *order == self).unwrap_or(0);
        Self::ALL.get(place + 1).copied().unwrap_or(Self::Name)
    }
}

/// What was last looked at. It stays as it is during a pause.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) rows: Vec<Row>,
    pub(super) notices: Vec<Notice>,
    pub(super) misread: Vec<Misread>,
    pub(super) totals: Totals,
    pub(super) series: usize,
}

/// The state of the table.
#[derive(Debug)]
pub(super) struct State {
    pub(super) page: Page,
    pub(super) order: Order,
    pub(super) is_paused: bool,
    /// The lines that are above the screen.
    pub(super) offset: usize,
    /// Whether the keys are the text of the filter.
    pub(super) is_typing: bool,
    pub(super) view: View,
    pub(super) picture: Picture,
    is_over: bool,
}

impl State {
    pub(super) fn new(view: View) -> Self {
        Self {
            page: Page::Metrics,
            order: Order::Name,
            is_paused: false,
            offset: 0,
            is_typing: false,
            view,
            picture: Picture::default(),
            is_over: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes a new picture, unless the table is paused.
    pub(super) fn look(&mut self, traffic: &Traffic) {
        if self.is_paused {
            return;
        }
        self.picture = Picture {
            rows: traffic.rows(&self.view),
            notices: traffic.notices().rev().cloned().collect(),
            misread: traffic.misread().rev().cloned().collect(),
            totals: traffic.totals(),
            series: traffic.series(),
        };
        self.sort();
    }

    pub(super) fn press(&mut self, key: KeyEvent) {
        let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if is_interrupt => self.is_over = true,
            code if self.is_typing => self.type_filter(code),
            KeyCode::Char('q') => self.is_over = true,
            KeyCode::Char('1') => self.turn_to(Page::Metrics),
            KeyCode::Char('2') => self.turn_to(Page::Notices),
            KeyCode::Char('3') => self.turn_to(Page::Misread),
            KeyCode::Tab => self.turn_to(match self.page {
                Page::Metrics => Page::Notices,
                Page::Notices => Page::Misread,
                Page::Misread => Page::Metrics,
            }),
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.sort();
            }
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('f') => self.fold(),
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Esc => self.view.filter.clear(),
            code => self.scroll(code),
        }
    }

    fn turn_to(&mut self, page: Page) {
        self.page = page;
        self.offset = 0;
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(character) => self.view.filter.push(character),
            KeyCode::Backspace => {
                self.view.filter.pop();
            }
            KeyCode::Esc => {
                self.view.filter.clear();
                self.is_typing = false;
            }
            KeyCode::Enter => self.is_typing = false,
            _ => {}
        }
        self.offset = 0;
    }

    fn scroll(&mut self, code: KeyCode) {
        const PAGE: usize = 20;
        self.offset = match code {
            KeyCode::Down | KeyCode::Char('j') => self.offset.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.offset.saturating_sub(1),
            KeyCode::PageDown => self.offset.saturating_add(PAGE),
            KeyCode::PageUp => self.offset.saturating_sub(PAGE),
            KeyCode::Home => 0,
            KeyCode::End => usize::MAX,
            _ => self.offset,
        };
    }

    /// Leaves out the task id, then nothing again.
    fn fold(&mut self) {
        let key = &self.view.task_id_key;
        if self.view.folded.contains(key) {
            self.view.folded.retain(|folded| folded != key);
        } else {
            self.view.folded.push(key.clone());
        }
    }

    /// The rows come by name. Of equal ones that order stays.
    fn sort(&mut self) {
        let rows = &mut self.picture.rows;
        match self.order {
            Order::Name => rows.sort_by(|one, two| one.name.cmp(&two.name)),
            Order::Rate => rows.sort_by(|one, two| two.rate.total_cmp(&one.rate)),
            Order::Max => rows.sort_by(|one, two| {
                let max = |row: &Row| row.whole.max.unwrap_or(f64::NEG_INFINITY);
                max(two).total_cmp(&max(one))
            }),
            Order::Series => rows.sort_by_key(|row| std::cmp::Reverse(row.series)),
            Order::Tasks => rows.sort_by_key(|row| std::cmp::Reverse(row.tasks)),
        }
    }
}
