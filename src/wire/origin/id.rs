//! The form of a container's id.

/// The maximum number of digits at the end of a Fargate container's id. Real ones have 10.
const MAX_TASK_DIGITS: usize = 20;

/// The id at the end of a cgroup's path: 64 hexadecimal digits, a uuid, or a task's 32 digits followed by a number.
/// Runtimes put their name before it, and systemd `.scope` after it.
pub(super) fn at_end(path: &str) -> Option<&str> {
    let path = path.strip_suffix(".scope").unwrap_or(path);
    let of_task = || {
        let (_, digits) = path.rsplit_once('-')?;
        last(path, 33 + digits.len()).filter(|end| is_of_task(end))
    };
    last(path, 64)
        .filter(|end| is_hex(end))
        .or_else(|| last(path, 36).filter(|end| is_grouped(end, ['-', '_'], [8, 4, 4, 4, 12])))
        .or_else(of_task)
}

/// Whether a part of a mount's path is an id. A uuid does not count here: in a pod's paths it is the pod's.
pub(super) fn is_whole(part: &str) -> bool {
    // The last is Cloud Foundry's.
    (part.len() == 64 && is_hex(part)) || is_of_task(part) || is_grouped(part, ['-', '-'], [8, 4, 4, 4, 4])
}

fn last(text: &str, len: usize) -> Option<&str> {
    text.get(text.len().checked_sub(len)?..)
}

fn is_of_task(text: &str) -> bool {
    text.split_once('-').is_some_and(|(task, number)| {
        let digits = (1..=MAX_TASK_DIGITS).contains(&number.len());
        task.len() == 32 && is_hex(task) && digits && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn is_grouped(text: &str, separators: [char; 2], lengths: [usize; 5]) -> bool {
    let groups = text.split(separators);
    groups.clone().map(str::len).eq(lengths) && groups.clone().all(is_hex)
}

/// Lower case only, as every runtime writes it.
fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "7d0b5e34-626f-4c5c-8c51-7e34b10e7651";
    const TASK: &str = "5e1f0c6a9b3d4827a6c1d2e3f4051627-2531612879";
    const GARDEN: &str = "3c8e51d0-77a2-4b1f-9e06-d41c";

    #[test]
    fn an_id_is_found_behind_whatever_a_runtime_puts_in_front() {
        let hex = "0123456789abcdef".repeat(4);
        let underscored = UUID.replace('-', "_");
        for id in [hex.as_str(), UUID, &underscored, TASK] {
            for front in ["", "/", "/docker/", "/docker-", "crio-", "/pod", "/a:cri-containerd:", "/é/"] {
                assert_eq!(at_end(&format!("{front}{id}")), Some(id), "{front}");
                assert_eq!(at_end(&format!("{front}{id}.scope")), Some(id), "{front}");
            }
        }
    }

    #[test]
    fn what_is_almost_an_id_is_none() {
        let hex = "0123456789abcdef".repeat(4);
        let task = &TASK[..32];
        for text in [
            "",
            ".scope",
            "-",
            "-1",
            &hex[1..],
            &hex.to_uppercase(),
            &format!("{hex}g"),
            &format!("{hex}.slice"),
            &format!("{hex}xscope"),
            &format!("{hex}.scope.scope"),
            &format!("{}g{}", &hex[..31], &hex[..32]),
            &UUID[1..],
            &UUID.to_uppercase(),
            &UUID.replace('-', "."),
            &UUID.replace("626f", "626g"),
            task,
            &format!("{task}-"),
            &format!("{}-123", &task[1..]),
            &format!("{task}_123"),
            &format!("{task}-12a"),
            &format!("{task}-{}", "1".repeat(MAX_TASK_DIGITS + 1)),
            &"é".repeat(32),
            &"é".repeat(64),
            &format!("é{}", &hex[1..]),
        ] {
            assert_eq!(at_end(text), None, "{text}");
        }
    }

    #[test]
    fn a_part_of_a_mounts_path_is_an_id_as_a_whole_or_not_at_all() {
        let hex = "0123456789abcdef".repeat(4);
        for id in [hex.as_str(), TASK, GARDEN] {
            assert!(is_whole(id), "{id}");
            for almost in
                [format!("x{id}"), format!("0{id}"), format!("{id}x"), id.to_uppercase(), id[1..].to_owned()]
            {
                assert!(!is_whole(&almost), "{almost}");
            }
        }
        for other in ["", UUID, &UUID.replace('-', "_"), &GARDEN.replace('-', "_"), "hostname"] {
            assert!(!is_whole(other), "{other}");
        }
    }
}
