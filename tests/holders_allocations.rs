//! To wait, to acquire and to give back allocates nothing on the caller's thread once the holder is known.

#[path = "support/allocations.rs"]
mod allocations;

use allocations::allocations;
use std::future::ready;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Holders};

tasktag::tags! {
    enum Job: "job" { Checkout, Reports }
}

/// Polls a future that is ready.
fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it is not ready"),
    }
}

fn assert_free(actions: &[(&str, &dyn Fn())]) {
    for (name, act) in actions {
        for turn in 0..3 {
            assert_eq!(allocations(act), 0, "{name}, turn {turn}");
        }
    }
}

#[test]
fn a_known_holder_allocates_nothing() {
    let builder = Client::builder().capture(&Capture::new()).clock(&ManualClock::new());
    let guard = builder.build().unwrap();
    for client in [guard.client(), &Client::disabled()] {
        let holders = client.holders("primary", 1);
        let family = Holders::builder(client, "replica").register_family::<Job>();
        for holder in [holders.of("checkout"), holders.of("folded"), family.at(Job::Reports).clone()] {
            let crowd: Vec<_> = (0..100).map(|_| holder.hold(())).collect();
            assert_free(&[
                ("wait, acquire and give back", &|| drop(holder.wait().acquired(()))),
                ("hold", &|| drop(holder.hold(()))),
                ("hold several", &|| drop([(); 40].map(|()| holder.hold(())))),
                ("take out", &|| holder.hold(()).into_inner()),
                ("cancel", &|| drop(holder.wait())),
                ("time out", &|| holder.wait().timed_out()),
                ("fail", &|| holder.wait().failed()),
                ("wait for a future", &|| drop(done(holder.wait_for(ready(Ok::<_, ()>(())), |()| false)))),
                ("wait for one that fails", &|| {
                    drop(done(holder.wait_for(ready(Err::<(), _>(())), |()| true)));
                }),
                ("clone", &|| drop(holder.clone())),
            ]);
            drop(crowd);
        }
        assert_free(&[
            ("look up", &|| drop(holders.of("checkout"))),
            ("look up what has no place", &|| drop(holders.of("folded"))),
            ("look up in a family", &|| drop(family.at(Job::Checkout).hold(()))),
        ]);
    }
}
