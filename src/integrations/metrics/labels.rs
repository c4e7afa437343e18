//! The facade's labels, which become tags.

use crate::wire::encode::clean::becomes_task_id;
use metrics::{Key, Label};
use std::collections::HashSet;

/// How many labels are converted without an allocation.
const FEW: usize = 16;
/// How many labels are compared pairwise. More of them are hashed.
const MOST_COMPARED: usize = 64;

/// Passes the labels of a key to `then` as tags.
pub(super) fn with_tags<T>(key: &Key, then: impl FnOnce(&[(&str, &str)]) -> T) -> T {
    let labels = key.labels().as_slice();
    let mut few = [("", ""); FEW];
    if let Some(tags) = few.get_mut(..labels.len()) {
        tags.iter_mut().zip(labels).for_each(|(tag, label)| *tag = (label.key(), label.value()));
        return then(tags);
    }
    let many: Vec<_> = labels.iter().map(|label| (label.key(), label.value())).collect();
    then(&many)
}

/// Whether two keys mean one metric: the same name and labels, in any order. `Key`'s own comparison allocates to sort
/// eight labels or more.
#[inline]
pub(super) fn same(a: &Key, b: &Key) -> bool {
    if a.get_hash() != b.get_hash() || a.name() != b.name() {
        return false;
    }
    let (a, b) = (a.labels().as_slice(), b.labels().as_slice());
    a.len() == b.len() && (a == b || same_in_any_order(a, b))
}

#[cold]
fn same_in_any_order(a: &[Label], b: &[Label]) -> bool {
    if a.len() > MOST_COMPARED {
        let (a, b): (HashSet<&Label>, HashSet<&Label>) = (a.iter().collect(), b.iter().collect());
        return a == b;
    }
    a.iter().all(|label| b.contains(label)) && b.iter().all(|label| a.contains(label))
}

fn has_repetitions(labels: &[Label]) -> bool {
    if labels.len() > MOST_COMPARED {
        let mut seen = HashSet::new();
        return !labels.iter().all(|label| seen.insert(label));
    }
    labels.iter().enumerate().any(|(place, label)| labels.iter().take(place).any(|earlier| earlier == label))
}

/// Removes redundant labels from a key: duplicates, and the client's own task id. Also returns how many labels were the
/// task id. Returns `None` if no label is redundant.
pub(super) fn plain(key: &Key, is_own: impl Fn(&str) -> bool) -> Option<(Key, u64)> {
    let labels = key.labels().as_slice();
    let is_task_id = |label: &Label| becomes_task_id(label.key()) && is_own(label.value());
    if !labels.iter().any(is_task_id) && !has_repetitions(labels) {
        return None;
    }
    let (mut kept, mut task_ids): (Vec<&Label>, u64) = (Vec::new(), 0);
    let mut seen = HashSet::new();
    for label in labels {
        if is_task_id(label) {
            task_ids += 1;
        } else if seen.insert(label) {
            kept.push(label);
        }
    }
    let kept: Vec<Label> = kept.into_iter().cloned().collect();
    Some((Key::from_parts(key.name_shared(), kept), task_ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(labels: &[(&'static str, &'static str)]) -> Key {
        Key::from_parts("jobs", labels)
    }

    #[test]
    fn the_order_of_labels_makes_no_other_key() {
        let labels = [
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
            ("d", "4"),
            ("e", "5"),
            ("f", "6"),
            ("g", "7"),
            ("h", "8"),
            ("i", "9"),
        ];
        for len in 0..=labels.len() {
            let forward = key(&labels[..len]);
            let mut turned = labels[..len].to_vec();
            turned.reverse();
            assert!(same(&forward, &key(&turned)), "{len}");
            assert_eq!(same(&forward, &key(&labels[..len.saturating_sub(1)])), len == 0, "{len}");
        }
        assert!(!same(&key(&[("a", "1")]), &key(&[("a", "2")])));
        assert!(!same(&key(&[]), &Key::from_name("jobz")));
    }

    #[test]
    fn tags_are_the_labels_however_many() {
        let texts: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        for len in [0, 1, FEW, FEW + 1, 40] {
            let labels: Vec<Label> =
                texts.iter().take(len).map(|text| Label::new(text.clone(), text.clone())).collect();
            with_tags(&Key::from_parts("jobs", labels), |tags| {
                assert_eq!(
                    tags,
                    texts.iter().take(len).map(|text| (text.as_str(), text.as_str())).collect::<Vec<_>>()
                );
            });
        }
    }

    #[test]
    fn many_labels_are_the_same_in_any_order_and_told_apart_by_one() {
        let label = |n: usize| Label::new(format!("k{n}"), "v");
        let forward: Vec<Label> = (0..1_000).map(label).collect();
        let mut turned = forward.clone();
        turned.reverse();
        assert!(same_in_any_order(&forward, &turned));
        turned[7] = label(1_000);
        assert!(!same_in_any_order(&forward, &turned));
        let twice: Vec<Label> = forward.iter().chain(&forward).cloned().collect();
        let (kept, task_ids) = plain(&Key::from_parts("jobs", twice), |_| true).unwrap();
        assert_eq!((kept.labels().count(), task_ids), (1_000, 0));
        assert!(plain(&Key::from_parts("jobs", forward), |_| true).is_none());
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        assert!(plain(&key(&[("a", "1"), ("task_id", "8"), ("a", "2")]), |id| id == "7").is_none());
        let (kept, task_ids) =
            plain(&key(&[("Task_ID", "7"), ("a", "1"), ("task_id", "7"), ("a", "1")]), |id| id == "7")
                .unwrap();
        assert_eq!(task_ids, 2);
        assert!(same(&kept, &key(&[("a", "1")])));
    }
}
