//! A process that decides its task id and forks before it has a client does not share the id with its children.
#![cfg(target_os = "linux")]

mod support;

use support::PATIENCE;
use support::fork::holds_in_child;
use tasktag::testing::Capture;
use tasktag::{Client, TaskId, TaskIdPool, TaskIdSource, TaskIdSourceKind};

// One test: what a process decides it decides once.
#[test]
fn each_child_of_a_process_without_a_client_has_a_lease_of_its_own() {
    let directory = std::env::temp_dir().join(format!("tasktag-fork-before-client-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let source = TaskIdSource::leased(&directory);
    let id = TaskId::decide(&source, TaskIdPool::new(10).unwrap()).unwrap();
    assert_eq!(id.source(), TaskIdSourceKind::Leased);
    for _ in 0..3 {
        let own = holds_in_child(|| {
            let own = TaskId::current();
            let guard = Client::builder().capture(&Capture::new()).build().unwrap();
            own != id && own.source() == TaskIdSourceKind::Leased && guard.client().task_id() == own
        });
        assert!(own, "a child has its parent's id");
    }
    assert!(holds_in_child(|| {
        tasktag::after_fork();
        let guard = Client::builder().capture(&Capture::new()).build().unwrap();
        let stopped = guard.client().task_id() != id;
        guard.shutdown(PATIENCE).is_ok() && stopped
    }));
    assert_eq!(TaskId::current(), id);
    std::fs::remove_dir_all(&directory).unwrap();
}
