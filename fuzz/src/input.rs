//! Bytes as the settings, numbers and texts of one call.

/// Bytes before the texts.
const HEADER: usize = 16;

/// More bytes make lines that no packet holds, which is another test's matter.
pub(crate) const LONGEST: usize = 8192;

/// Ends a text: no byte of UTF-8, so that a fuzzer can move the borders of texts without changing them.
const END: u8 = 0xFF;

pub(crate) type Pairs = Vec<(String, String)>;

/// What one input says. Whatever bytes there are, it says something.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) header: [u8; HEADER],
    texts: std::vec::IntoIter<String>,
}

impl Input {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut header = [0; HEADER];
        let (numbers, texts) = bytes.split_at(bytes.len().min(HEADER));
        header[..numbers.len()].copy_from_slice(numbers);
        let texts = texts.split(|byte| *byte == END).map(|text| String::from_utf8_lossy(text).into_owned());
        Self { header, texts: texts.collect::<Vec<_>>().into_iter() }
    }

    /// The next text, or an empty one.
    pub(crate) fn text(&mut self) -> String {
        self.texts.next().unwrap_or_default()
    }

    /// The next text if it was asked for.
    pub(crate) fn text_if(&mut self, wanted: bool) -> Option<String> {
        wanted.then(|| self.text())
    }

    /// As many pairs as are left, up to `most`.
    pub(crate) fn pairs(&mut self, most: usize) -> Pairs {
        let mut pairs = Pairs::new();
        while pairs.len() < most
            && let Some(key) = self.texts.next()
        {
            pairs.push((key, self.text()));
        }
        pairs
    }

    pub(crate) fn bit(&self, place: usize, bit: u8) -> bool {
        self.header[place] >> bit & 1 == 1
    }

    pub(crate) fn seconds(&self) -> u64 {
        u64::from(u32::from_le_bytes(self.header[4..8].try_into().expect("four of them")))
    }

    pub(crate) fn integer(&self) -> u64 {
        u64::from_le_bytes(self.header[8..].try_into().expect("eight of them"))
    }
}
