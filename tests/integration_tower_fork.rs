//! A layer's metrics are there in a forked child, whatever a thread of its parent had begun.
#![cfg(all(feature = "tower", target_os = "linux"))]

mod support;

use std::thread;
use support::fork::{assert_done, fork};
use support::{Agent, wait_until};
use tasktag::integrations::tower::HttpLayer;
use tower_layer::Layer;

#[test]
fn a_child_never_waits_for_metrics_that_a_thread_of_its_parent_was_making() {
    let agent = Agent::udp();
    let guard = support::builder().agent(agent.address()).context_limit(10_000).build().unwrap();
    let client = guard.client();
    let routes: Vec<String> = (0..20).map(|route| format!("/{route}")).collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    for round in 0..5 {
        let layer = HttpLayer::new(client).prefix(&format!("round{round}")).critical(&routes);
        let before = client.stats().contexts;
        thread::scope(|scope| {
            scope.spawn(|| layer.layer(()));
            wait_until(|| client.stats().contexts > before);
            assert_done(fork(|| {
                drop(layer.layer(()));
                true
            }));
        });
    }
}
