//! A row of any database as texts.

use crate::integrations::text_rows::TextRow;
use sqlx::{ColumnIndex, Decode, Row, Type};

/// A row of the simple protocol, whose values are texts, or of SQLite, which makes texts of its values.
pub(super) struct SqlxRow<R>(pub(super) R);

impl<R> TextRow for SqlxRow<R>
where
    R: Row,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
    for<'i> &'i str: ColumnIndex<R>,
{
    fn text(&self, column: &str) -> Option<String> {
        self.0.try_get_unchecked::<Option<String>, _>(column).ok().flatten()
    }
}
