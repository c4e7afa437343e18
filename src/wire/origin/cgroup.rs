//! The lines of `/proc/self/cgroup`: `4:memory:/docker/<id>`, and the single line `0::/…` in version 2.

use super::id;
use std::path::{Path, PathBuf};

/// The controller whose directory identifies the container: memory in version 1, the only one in version 2.
const CONTROLLERS: [&str; 2] = ["memory", ""];

/// The first id at the end of a path.
pub(super) fn container_id(text: &str) -> Option<&str> {
    text.lines().filter_map(entry).find_map(|(_, path)| id::at_end(path))
}

/// Possible directories of the cgroup below `/sys/fs/cgroup`, the likeliest first.
pub(super) fn directories(text: &str) -> impl Iterator<Item = PathBuf> {
    CONTROLLERS.into_iter().filter_map(|controller| {
        let (_, path) = text.lines().filter_map(entry).rfind(|(found, _)| *found == controller)?;
        // A path that climbs up is outside of what the namespace shows.
        let climbs = path.split('/').any(|part| part == "..");
        (!climbs).then(|| Path::new(controller).join(path.trim_start_matches('/')))
    })
}

/// The controllers and the path of a line.
fn entry(line: &str) -> Option<(&str, &str)> {
    let mut parts = line.splitn(3, ':');
    let (hierarchy, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let is_number = !hierarchy.is_empty() && hierarchy.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !path.is_empty()).then_some((controllers, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "7d0b5e34-626f-4c5c-8c51-7e34b10e7651";
    const TASK: &str = "5e1f0c6a9b3d4827a6c1d2e3f4051627-2531612879";

    fn hex() -> String {
        "0123456789abcdef".repeat(4)
    }

    fn found(text: &str) -> Option<&str> {
        container_id(text)
    }

    #[test]
    fn the_end_of_a_path_is_the_id() {
        let hex = hex();
        for id in [hex.as_str(), UUID, TASK] {
            for line in [
                format!("1:name=systemd:/docker/{id}"),
                format!("11:hugetlb:/ecs/{UUID}/{id}"),
                format!("0::/system.slice/docker-{id}.scope"),
                format!("0::/kubelet.slice/pod77.slice:cri-containerd:{id}"),
                format!("3:cpu,cpuacct:/{id}"),
            ] {
                assert_eq!(found(&line), Some(id), "{line}");
            }
        }
    }

    #[test]
    fn what_is_no_path_or_no_id_has_none() {
        let hex = hex();
        for line in [
            "",
            "0::/",
            "10:hugetlb:/kubepods",
            "11:blkio:/user.slice/user-0.slice/session-14.scope",
            &hex,
            &format!("memory:/docker/{hex}"),
            &format!(":memory:/docker/{hex}"),
            &format!(" 4:memory:/docker/{hex}"),
            &format!("x:memory:/docker/{hex}"),
            &format!("4:memory:/docker/{hex}/container"),
            &format!("4:memory:/docker/{hex}.slice"),
            &format!("4:memory:/docker/{hex} (deleted)"),
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }

    #[test]
    fn the_first_line_with_an_id_wins() {
        let (first, second) = ("a".repeat(64), "b".repeat(64));
        let text = format!("another line\n3:pids:/nope\n2:cpu:/docker/{first}\n1:memory:/docker/{second}\n");
        assert_eq!(found(&text), Some(first.as_str()));
    }

    #[test]
    fn the_memory_controllers_directory_comes_before_the_unified_one() {
        let listed = |text| directories(text).collect::<Vec<_>>();
        assert_eq!(listed("0::/"), [Path::new("")]);
        assert_eq!(listed("0::/docker/a\n"), [Path::new("docker/a")]);
        assert_eq!(
            listed("other\n0::/\n12:pids:/b\n1:memory:/docker/a"),
            [Path::new("memory/docker/a"), Path::new("")]
        );
        assert!(listed("9:cpu,memory:/a\n12:pids:/b\n").is_empty());
        assert!(listed("empty").is_empty());
        assert_eq!(listed("0::a\n0::/b"), [Path::new("b")]);
    }

    #[test]
    fn a_directory_is_never_outside_of_the_hierarchy() {
        for path in ["/../../etc", "/a/..", "..", "/../"] {
            assert_eq!(directories(&format!("0::{path}")).next(), None, "{path}");
        }
        assert_eq!(directories("0:://etc").next(), Some(PathBuf::from("etc")));
        assert_eq!(directories("0::/a..b").next(), Some(PathBuf::from("a..b")));
    }
}
