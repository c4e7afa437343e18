//! A forked child tells of its own losses, by its copy of what its parent was given.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "a child drops what its parent keeps")]

mod support;

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::mem::ManuallyDrop;
use std::sync::mpsc;
use std::thread;
use support::fork::{assert_done, fork};
use support::{PATIENCE, TempDir, assert_conserved, unix_address};
use tasktag::{ClientBuilder, LossNotice};

/// Runs `act` in a forked child.
#[track_caller]
fn in_a_child(act: impl FnOnce()) {
    assert_done(fork(|| {
        act();
        true
    }));
}

/// Writes who is told what.
fn tell(pipe: &mut PipeWriter, parent: u32, notice: &LossNotice) {
    let who = if std::process::id() == parent { "parent" } else { "child" };
    let told = format!("{who} {} {}\n", notice.phase, notice.dropped_total().values);
    pipe.write_all(told.as_bytes()).unwrap();
}

fn read(mut pipe: PipeReader) -> String {
    let mut told = String::new();
    pipe.read_to_string(&mut told).unwrap();
    told
}

fn builder(directory: &TempDir) -> ClientBuilder {
    support::builder().agent(unix_address(&directory.join("nobody")))
}

#[test]
fn a_child_tells_of_its_own_losses_from_0() {
    let (directory, parent) = (TempDir::new(), std::process::id());
    let (told, mut pipe) = pipe().unwrap();
    let guard = builder(&directory).on_loss(move |notice| tell(&mut pipe, parent, notice)).build().unwrap();
    let client = guard.client();
    client.counter("jobs").tag("who", "parent").increment(1);
    client.counter("others").increment(1);
    client.flush(PATIENCE).unwrap();
    // The child ends its own worker; the parent's guard is the parent's.
    let mut guard = ManuallyDrop::new(guard);
    in_a_child(|| {
        let client = guard.client().clone();
        client.counter("jobs").tag("who", "child").increment(1);
        client.flush(PATIENCE).unwrap();
        // SAFETY: It is not used again in this process.
        unsafe { ManuallyDrop::drop(&mut guard) };
        assert_conserved(&client.stats());
    });
    ManuallyDrop::into_inner(guard).shutdown(PATIENCE).unwrap();
    let expected = "parent started 2\nchild started 1\nchild at_shutdown 1\nparent at_shutdown 2\n";
    assert_eq!(read(told), expected);
}

#[test]
fn a_child_that_is_born_while_its_parent_is_told_tells_nothing_and_waits_for_nobody() {
    let (directory, parent) = (TempDir::new(), std::process::id());
    let (told, mut pipe) = pipe().unwrap();
    let ((entered, is_in), (leave, may_leave)) = (mpsc::channel(), mpsc::channel::<()>());
    let act = move |notice: &LossNotice| {
        entered.send(()).unwrap();
        may_leave.recv().unwrap();
        tell(&mut pipe, parent, notice);
    };
    let guard = builder(&directory).on_loss(act).build().unwrap();
    let client = guard.client().clone();
    client.counter("jobs").tag("who", "parent").increment(1);
    let flushing = thread::spawn(move || client.flush(PATIENCE));
    is_in.recv_timeout(PATIENCE).unwrap();
    in_a_child(|| {
        let client = guard.client();
        for _ in 0..3 {
            client.counter("jobs").tag("who", "child").increment(1);
            client.flush(PATIENCE).unwrap();
        }
        let stats = client.stats();
        assert_eq!((stats.dropped_total().values, stats.notice_panics), (3, 0));
    });
    leave.send(()).unwrap();
    flushing.join().unwrap().unwrap();
    leave.send(()).unwrap();
    guard.shutdown(PATIENCE).unwrap();
    assert_eq!(read(told), "parent started 1\nparent at_shutdown 1\n");
}
