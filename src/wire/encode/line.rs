//! The text around the number of a line.

use super::ending::Ending;

/// The text around the number of a line, rendered once per context.
///
/// It is one text in one allocation, because there are as many lines as contexts.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    // `shop.jobs.done:|c|#queue:within_1_minute`, or with tags in the name
    // `shop.jobs.done;queue=within_1_minute;task_id=0042:|c`
    text: Box<[u8]>,
    // Where the number belongs, after the head and before the code.
    number: u32,
    code_len: u8,
    pub(super) ending: Ending,
}

impl Line {
    /// Puts a line together from texts such as `jobs.done:`, `|c` and `|#queue:within_1_minute`.
    pub(super) fn new(head: &[u8], code: &[u8], (tail, ending): (&[u8], Ending)) -> Self {
        Self {
            text: [head, code, tail].concat().into(),
            // Of a name of 4 GiB, which has tens of millions of tags, the end would be lost.
            number: u32::try_from(head.len()).unwrap_or(u32::MAX),
            code_len: u8::try_from(code.len()).unwrap_or(u8::MAX),
            ending,
        }
    }

    fn number(&self) -> usize {
        self.number as usize
    }

    fn code_end(&self) -> usize {
        self.number() + usize::from(self.code_len)
    }

    /// The text before the number.
    pub(super) fn head(&self) -> &[u8] {
        self.text.get(..self.number()).unwrap_or_default()
    }

    /// The code of the line's kind, such as `|c`.
    pub(super) fn code(&self) -> &[u8] {
        self.text.get(self.number()..self.code_end()).unwrap_or_default()
    }

    /// The line's own text after the code.
    pub(super) fn tail(&self) -> &[u8] {
        self.text.get(self.code_end()..).unwrap_or_default()
    }

    /// The code and the tail, which follow a number without a weight.
    pub(super) fn code_and_tail(&self) -> &[u8] {
        self.text.get(self.number()..).unwrap_or_default()
    }
}
