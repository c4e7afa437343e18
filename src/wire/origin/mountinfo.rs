//! The lines of `/proc/self/mountinfo`: a runtime keeps a container's `/etc/hostname` in a directory of its id.

use super::id;

/// containerd keeps the files that a pod's containers share here. The id is that of the pod's sandbox.
const OF_A_POD: &str = "sandboxes";

/// The first line's id.
pub(super) fn container_id(text: &str) -> Option<&str> {
    text.lines().find_map(of_line)
}

/// The rightmost id of a line, the one closest to the file. If that is a sandbox's, an id further left is no
/// container's either, but that of a volume around it.
fn of_line(line: &str) -> Option<&str> {
    let (directory, id) = line.split_ascii_whitespace().rev().find_map(of_field)?;
    (directory != OF_A_POD).then_some(id)
}

/// Reads the directory and the id from `…/containers/<id>/hostname`.
fn of_field(field: &str) -> Option<(&str, &str)> {
    let (above_file, _) = field.rsplit_once("hostname")?;
    // Upwards. The first part is the beginning of the file's name.
    let mut parts = above_file.rsplit('/').skip(1);
    while let Some(part) = parts.next() {
        let mut above = parts.clone();
        if id::is_whole(part)
            && let (Some(directory), Some(_)) = (above.next(), above.next())
            && !directory.is_empty()
        {
            return Some((directory, part));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "5e1f0c6a9b3d4827a6c1d2e3f4051627-2531612879";

    fn line(source: &str, target: &str) -> String {
        format!("627 608 259:1 {source} {target} rw,relatime - ext4 /dev/root rw,discard,errors=remount-ro")
    }

    #[test]
    fn the_directory_of_the_hostname_is_the_id() {
        let hex = "0123456789abcdef".repeat(4);
        for id in [hex.as_str(), TASK, "3c8e51d0-77a2-4b1f-9e06-d41c"] {
            for source in [
                format!("/var/lib/docker/containers/{id}/hostname"),
                format!("/docker/{id}/hostname"),
                format!("/overlay-containers/{id}/userdata/hostname"),
                format!("/containers/{id}/a/b/c.hostname.tmp"),
            ] {
                assert_eq!(container_id(&line(&source, "/etc/hostname")), Some(id), "{source}");
            }
        }
    }

    #[test]
    fn other_mounts_and_other_directories_have_none() {
        let hex = "0123456789abcdef".repeat(4);
        for source in [
            &format!("/var/lib/docker/containers/{hex}/hosts"),
            &format!("/var/lib/docker/containers/{hex}hostname"),
            &format!("/var/lib/docker/containers/{hex}"),
            &format!("/var/lib/docker/containers/x{hex}/hostname"),
            &format!("containers/{hex}/hostname"),
            &format!("/{hex}/hostname"),
            &format!("//{hex}/hostname"),
            &format!("{hex}/hostname"),
            "/kubelet/pods/7d0b5e34-626f-4c5c-8c51-7e34b10e7651/etc/hostname",
            "hostname",
            "/",
            "",
        ] {
            assert_eq!(container_id(&line(source, "/etc/hostname")), None, "{source}");
        }
    }

    #[test]
    fn a_pods_sandbox_is_no_container() {
        let (id, volume) = ("a".repeat(64), "b".repeat(64));
        let sandbox = format!("/containerd/io.containerd.grpc.v1.cri/sandboxes/{id}/hostname");
        assert_eq!(container_id(&line(&sandbox, "/etc/hostname")), None);
        // Docker in a volume of Docker.
        let nested = format!("/docker/volumes/{volume}/_data{sandbox}");
        assert_eq!(container_id(&line(&nested, "/etc/hostname")), None);
    }

    #[test]
    fn the_rightmost_id_of_a_line_and_the_first_line_win() {
        let [sandbox, container, other] = ["a", "b", "c"].map(|digit| digit.repeat(64));
        let inside = format!("/host/run/k8s.io/{container}/rootfs/etc/hostname");
        let with_both = line(&format!("/cri/sandboxes/{sandbox}/hostname"), &inside);
        let later = line(&format!("/docker/containers/{other}/hostname"), "/etc/hostname");
        let first = line(&format!("/cri/sandboxes/{sandbox}/hostname"), "/etc/hostname");
        let text = [first, with_both, later].join("\n");
        assert_eq!(container_id(&text), Some(container.as_str()));
    }
}
