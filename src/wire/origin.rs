//! The origin of metrics, from which an agent finds the tags of the container or pod that sent them.

mod cardinality;
#[cfg(target_os = "linux")]
mod cgroup;
mod container;
#[cfg(target_os = "linux")]
mod id;
#[cfg(target_os = "linux")]
mod mountinfo;

pub use self::cardinality::TagCardinality;

use self::container::Container;
use crate::vocabulary::protocol::Protocol;
use std::path::Path;

/// The maximum length of external data in bytes. The admission controller injects a container's name (63) and a pod's
/// uid (36).
const MAX_EXTERNAL_DATA: usize = 512;

/// The three fields that name the sender of a line. Each is clean, so it can't forge a field or a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    container: Option<Container>,
    // Empty if there is none.
    external_data: String,
    cardinality: Option<TagCardinality>,
}

impl Origin {
    /// An origin without any field.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Finds the container of this process in the files under `root`, which is `/` except in tests. It finds less if a
    /// file is missing, and never fails.
    pub(crate) fn detect(root: &Path) -> Self {
        Self { container: Container::find(root), ..Self::default() }
    }

    /// Sets the container id, which need not be found then.
    pub(crate) fn of_container(id: String) -> Self {
        Self { container: Some(Container::Given(id)), ..Self::default() }
    }

    pub(crate) fn with_external_data(mut self, raw: &str) -> Self {
        // All of it is DNS names and numbers, which are lower case.
        let cleaned = clean(&raw.to_ascii_lowercase(), |c| c.is_ascii_lowercase());
        // A cut value would name another pod.
        if cleaned.len() <= MAX_EXTERNAL_DATA {
            self.external_data = cleaned;
        }
        self
    }

    pub(crate) fn with_cardinality(mut self, cardinality: Option<TagCardinality>) -> Self {
        self.cardinality = cardinality;
        self
    }

    /// Appends the fields that an agent of this protocol understands: `|c:ci-4f1d…|e:it-false,…|card:low`.
    pub(crate) fn write_fields(&self, protocol: Protocol, out: &mut Vec<u8>) {
        if protocol >= Protocol::V1_2
            && let Some(container) = &self.container
        {
            container.write_field(protocol, out);
        }
        if protocol >= Protocol::V1_5 && !self.external_data.is_empty() {
            out.extend_from_slice(b"|e:");
            out.extend_from_slice(self.external_data.as_bytes());
        }
        if protocol >= Protocol::V1_6
            && let Some(cardinality) = self.cardinality
        {
            out.extend_from_slice(b"|card:");
            out.extend_from_slice(cardinality.as_str().as_bytes());
        }
    }
}

/// A container's id without the runtime in front, in Kubernetes' notation: `containerd://4f1d`.
pub(crate) fn container_id(raw: &str) -> String {
    let id = raw.split_once("://").map_or(raw, |(_, id)| id);
    clean(&id.replace('_', "-"), |c| c.is_ascii_alphabetic())
}

/// Removes characters that some Agent does not accept in the field: it would refuse the whole line. Digits, `-` and `,`
/// are accepted in every field. Source: `codec/dogstatsd` of Datadog's Agent Data Plane.
fn clean(raw: &str, is_letter: impl Fn(char) -> bool) -> String {
    raw.chars().filter(|c| is_letter(*c) || c.is_ascii_digit() || matches!(c, '-' | ',')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Protocol; 7] = [
        Protocol::V1_0,
        Protocol::V1_1,
        Protocol::V1_2,
        Protocol::V1_3,
        Protocol::V1_4,
        Protocol::V1_5,
        Protocol::V1_6,
    ];

    /// The fields of each protocol version, the oldest first.
    fn fields(origin: &Origin) -> [String; 7] {
        ALL.map(|protocol| {
            let mut out = b"before".to_vec();
            origin.write_fields(protocol, &mut out);
            String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
        })
    }

    fn of(container: Container) -> Origin {
        Origin { container: Some(container), ..Origin::none() }
    }

    fn given(id: &str) -> Origin {
        Origin::of_container(id.to_owned())
    }

    #[test]
    fn an_agent_gets_no_field_that_came_after_it() {
        let origin = of(Container::Id("4f1d".to_owned()))
            .with_external_data("it-false,cn-web,pu-77")
            .with_cardinality(Some(TagCardinality::Low));
        let expected = [
            "",
            "",
            "|c:4f1d",
            "|c:4f1d",
            "|c:ci-4f1d",
            "|c:ci-4f1d|e:it-false,cn-web,pu-77",
            "|c:ci-4f1d|e:it-false,cn-web,pu-77|card:low",
        ];
        assert_eq!(fields(&origin), expected);
    }

    #[test]
    fn an_inode_is_nothing_to_an_agent_that_knows_ids_alone() {
        let origin = of(Container::Inode(4_026_532_190));
        let inode = "|c:in-4026532190";
        assert_eq!(fields(&origin), ["", "", "", "", inode, inode, inode]);
    }

    #[test]
    fn an_id_that_was_given_is_written_as_it_is() {
        for id in ["container-id", "ci-4f1d", "in-23", "cid-4f1d", "ci-4f1d,in-23"] {
            let [.., last] = fields(&given(id));
            assert_eq!(last, format!("|c:{id}"));
        }
    }

    #[test]
    fn an_older_agent_gets_the_bare_id_out_of_the_one_that_was_given() {
        for (id, bare) in [
            ("container-id", "|c:container-id"),
            ("ci-4f1d", "|c:4f1d"),
            ("in-23", ""),
            ("in-23,ci-4f1d", "|c:4f1d"),
            ("ci-4f1d,in-23", "|c:4f1d"),
        ] {
            let [_, older, with_ids, with_timestamps, marked, ..] = fields(&given(id));
            assert_eq!([older.as_str(), &with_ids, &with_timestamps], ["", bare, bare]);
            assert_eq!(marked, format!("|c:{id}"));
        }
    }

    #[test]
    fn no_origin_has_no_field() {
        assert_eq!(fields(&Origin::none()), [""; 7]);
        assert_eq!(fields(&Origin::none().with_external_data("|||")), [""; 7]);
    }

    #[test]
    fn external_data_that_is_too_long_to_be_true_is_left_out() {
        let longest = "x".repeat(MAX_EXTERNAL_DATA);
        let [.., last] = fields(&Origin::none().with_external_data(&format!("|{longest}\n")));
        assert_eq!(last, format!("|e:{longest}"));
        assert_eq!(fields(&Origin::none().with_external_data(&format!("{longest}x"))), [""; 7]);
    }

    #[test]
    fn a_field_keeps_what_every_agent_takes() {
        for (raw, cleaned) in [
            ("", ""),
            ("it-false,cn-web,pu-77", "it-false,cn-web,pu-77"),
            ("prod|staging", "prodstaging"),
            ("prod\nstaging\tdev\r", "prodstagingdev"),
            ("|||", ""),
            ("cn-Web_1", "cn-eb1"),
            ("cn-环境 é", "cn-"),
            ("a b'c\"d\\e:@#$%^&*()_+-=[]{};./<>?", "abcde-"),
        ] {
            assert_eq!(clean(raw, |c| c.is_ascii_lowercase()), cleaned, "{raw:?}");
        }
        assert_eq!(clean("ci-AbC_1", |c| c.is_ascii_alphabetic()), "ci-AbC1");
    }

    #[test]
    fn nothing_in_a_field_ends_it() {
        arbtest::arbtest(|u| {
            let text: String = u.arbitrary()?;
            let origin = given(&container_id(&text)).with_external_data(&text);
            let [.., last] = fields(&origin);
            let marks = 1 + usize::from(!origin.external_data.is_empty());
            assert_eq!(last.matches('|').count(), marks, "{last:?}");
            assert!(last.chars().all(|c| c.is_ascii_alphanumeric() || "|:,-".contains(c)), "{last:?}");
            Ok(())
        });
    }
}
