//! What is looked at, and what the keys change of it.

use super::order::Order;
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

/// What was last looked at. It stays as it is during a pause.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) rows: Vec<Row>,
    pub(super) notices: Vec<Notice>,
    pub(super) misread: Vec<Misread>,
    pub(super) totals: Totals,
    pub(super) series: usize,
    /// The keys of the tags of all series, sorted.
    pub(super) tag_keys: Vec<String>,
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
            order: Order::default(),
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
            tag_keys: traffic.tag_keys(),
        };
        self.order.sort(&mut self.picture.rows);
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
            KeyCode::Char('s') => self.sort(Order::turn),
            KeyCode::Char('r') => self.sort(Order::reverse),
            KeyCode::Char('g') => self.group(),
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

    /// Shows a row for each value of the next tag, and after the last one all tags again. A key may be gone, or one may
    /// be new, since the last press.
    fn group(&mut self) {
        let is_next = |key: &&String| self.view.grouped_by.as_ref().is_none_or(|shown| *key > shown);
        self.view.grouped_by = self.picture.tag_keys.iter().find(is_next).cloned();
        self.offset = 0;
    }

    /// Changes the order, which holds for a picture that stays, too.
    fn sort(&mut self, change: fn(&mut Order)) {
        change(&mut self.order);
        self.order.sort(&mut self.picture.rows);
    }
}
