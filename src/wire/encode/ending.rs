//! The text with which most lines end.

/// The text with which most lines end: the global tags and the origin. It is kept once instead of in each line.
#[derive(Debug, Default)]
pub(super) struct Endings {
    pub(super) without_task_id: Vec<u8>,
    pub(super) with_task_id: Vec<u8>,
}

/// Which of these texts follows a line's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// None, because one of the line's own tags has the key of a global one.
    Own,
    WithoutTaskId,
    WithTaskId,
}

impl Endings {
    pub(super) fn get(&self, ending: Ending) -> &[u8] {
        match ending {
            Ending::Own => &[],
            Ending::WithoutTaskId => &self.without_task_id,
            Ending::WithTaskId => &self.with_task_id,
        }
    }

    /// Splits the end of a line into its own text and what follows that.
    pub(super) fn split<'a>(&self, tail: &'a [u8], with_task_id: bool) -> (&'a [u8], Ending) {
        let ending = if with_task_id { Ending::WithTaskId } else { Ending::WithoutTaskId };
        tail.strip_suffix(self.get(ending)).map_or((tail, Ending::Own), |own| (own, ending))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_its_own_text_and_what_follows_that() {
        let [without_task_id, with_task_id] = [",env:a|c:1", ",env:a,task_id:7|c:1"].map(Vec::from);
        let endings = Endings { without_task_id, with_task_id };
        for (tail, with_task_id, ending) in [
            ("|#k:v,env:a,task_id:7|c:1", true, Ending::WithTaskId),
            ("|#k:v,env:a|c:1", false, Ending::WithoutTaskId),
            ("|#env:b,task_id:7|c:1", true, Ending::Own),
            ("|#env:a,task_id:7|c:1", true, Ending::Own),
            ("", false, Ending::Own),
        ] {
            let (own, found) = endings.split(tail.as_bytes(), with_task_id);
            assert_eq!(found, ending, "{tail}");
            assert_eq!([own, endings.get(found)].concat(), tail.as_bytes());
        }
    }
}
