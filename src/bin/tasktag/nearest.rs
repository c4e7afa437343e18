//! What somebody meant who wrote something else.

/// Returns the known name with the most letters in the same places, from either end.
pub(crate) fn nearest<'a>(known: impl IntoIterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let same = |known: &str| {
        let from_start = known.bytes().zip(name.bytes()).take_while(|(one, two)| one == two).count();
        let from_end =
            known.bytes().rev().zip(name.bytes().rev()).take_while(|(one, two)| one == two).count();
        from_start + from_end
    };
    known.into_iter().max_by_key(|known| same(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_nearest_to_what_was_meant() {
        let known = ["name", "promise", "queue", "system", "url"];
        for (slip, meant) in
            [("qeue", "queue"), ("urls", "url"), ("promises", "promise"), ("sytem", "system")]
        {
            assert_eq!(nearest(known, slip), Some(meant));
        }
        assert_eq!(nearest([], "name"), None);
    }
}
