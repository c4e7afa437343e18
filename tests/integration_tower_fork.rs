//! A layer's metrics are there in a forked child, whatever a thread of its parent had begun.
#![cfg(all(feature = "tower", target_os = "linux"))]
#![allow(unsafe_code, reason = "std can't fork")]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use support::{Agent, wait_until};
use tasktag::integrations::tower::HttpLayer;
use tower_layer::Layer;

/// Runs `act` in a forked child, which is ended if it comes to a stop.
#[track_caller]
fn in_a_child(act: impl FnOnce()) {
    // SAFETY: The child uses what its one thread may use in a program of this C library: memory and new threads.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: It touches no memory of ours.
        unsafe { libc::alarm(10) };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).is_ok();
        // SAFETY: It does not return.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    let ended = ExitStatus::from_raw(status);
    assert!(ended.success(), "the child: {ended}");
}

#[test]
fn a_child_never_waits_for_metrics_that_a_thread_of_its_parent_was_making() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).build().unwrap();
    let client = guard.client();
    let routes: Vec<String> = (0..20).map(|route| format!("/{route}")).collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    for round in 0..5 {
        let layer = HttpLayer::new(client).prefix(&format!("round{round}")).critical(&routes);
        let before = client.stats().contexts;
        thread::scope(|scope| {
            scope.spawn(|| layer.layer(()));
            wait_until(|| client.stats().contexts > before);
            in_a_child(|| drop(layer.layer(())));
        });
    }
}
