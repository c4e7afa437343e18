//! A writer in place of an agent: it gets the lines as they are, and whatever it does harms nobody.

#![cfg(unix)]

mod support;

use std::io::{self, BufWriter, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use support::held::Worker;
use support::{PATIENCE, assert_conserved, flush_unasked, wait_until};
use tasktag::{Client, DropReason, FlushError, Guard};

/// What was written and how often that was flushed, and what is to go wrong.
#[derive(Clone, Default)]
struct Page {
    text: Arc<Mutex<Vec<u8>>>,
    writes: Arc<AtomicUsize>,
    flushes: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.text.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
    }
}

/// A writer that does what it is told at each write.
struct Told<F>(F, Page);

impl<F: FnMut(&mut Page, &[u8]) -> io::Result<usize>> Write for Told<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(&mut self.1, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

fn client_of(writer: impl Write + Send + 'static) -> Guard {
    // An agent that is named beside it is none.
    support::builder().agent("udp://127.0.0.1:1").writer(writer).build().unwrap()
}

fn send(guard: &Guard, name: &str) {
    guard.client().counter(name).increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_conserved(&guard.client().stats());
}

fn line(name: &str) -> String {
    format!("{name}:1|c|#task_id:0042\n")
}

fn sent_and_lost(guard: &Guard) -> (u64, u64) {
    let stats = guard.client().stats();
    assert_eq!(stats.dropped_total(), stats.dropped(DropReason::Transport));
    (stats.sent.values, stats.dropped_total().values)
}

#[test]
fn a_writer_gets_the_lines_as_they_are_and_is_flushed_once_a_flush() {
    let page = Page::default();
    let guard = client_of(page.clone());
    for (flush, name) in ["a", "b", "c"].into_iter().enumerate() {
        send(&guard, name);
        assert_eq!(page.flushes.load(Ordering::SeqCst), flush + 1);
    }
    assert_eq!(page.text(), line("a") + &line("b") + &line("c"));
    assert_eq!((sent_and_lost(&guard), page.writes.load(Ordering::SeqCst)), ((3, 0), 3));
    // A flush of nothing does not touch it.
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(page.flushes.load(Ordering::SeqCst), 3);
}

#[test]
fn a_packet_is_one_write_and_ends_with_a_line() {
    let page = Page::default();
    let ends = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ends);
    let guard = client_of(Told(
        move |page: &mut Page, bytes: &[u8]| {
            assert!(bytes.len() <= 4096);
            counted.fetch_add(usize::from(bytes.ends_with(b"\n")), Ordering::SeqCst);
            page.write(bytes)
        },
        page.clone(),
    ));
    for number in 0..1500 {
        guard.client().counter(&format!("a.name.of.some.length.{number}")).increment(1);
    }
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    assert!(stats.sent.packets > 10);
    let packets = usize::try_from(stats.sent.packets).unwrap();
    assert_eq!((page.writes.load(Ordering::SeqCst), ends.load(Ordering::SeqCst)), (packets, packets));
    assert_eq!(page.text().lines().count(), 1500);
}

#[test]
fn a_writer_is_gone_when_the_guard_is() {
    let page = Page::default();
    let gone = Arc::clone(&page.gone);
    let guard = client_of(page);
    send(&guard, "a");
    assert!(!gone.load(Ordering::SeqCst));
    drop(guard);
    wait_until(|| gone.load(Ordering::SeqCst));
}

#[test]
fn a_writer_that_holds_its_client_is_gone_when_the_guard_is_and_a_client_keeps_no_writer() {
    let (page, later) = (Page::default(), Arc::<OnceLock<Client>>::default());
    let (gone, held) = (Arc::clone(&page.gone), Arc::clone(&later));
    let guard = client_of(Told(
        move |page: &mut Page, bytes: &[u8]| {
            assert!(held.get().is_some());
            page.write(bytes)
        },
        page,
    ));
    later.set(guard.client().clone()).unwrap();
    send(&guard, "a");
    drop(guard);
    wait_until(|| gone.load(Ordering::SeqCst));
    assert_conserved(&later.get().unwrap().stats());
}

/// Panics where it is dropped.
struct Bomb(Page);

impl Write for Bomb {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_quietly()
    }
}

#[test]
fn a_writer_that_panics_when_it_is_dropped_does_not_hold_the_shutdown() {
    let page = Page::default();
    let guard = client_of(Bomb(page.clone()));
    let client = guard.client().clone();
    send(&guard, "a");
    assert_eq!(guard.shutdown(PATIENCE), Ok(()));
    assert_eq!((page.text(), client.stats().worker_restarts), (line("a"), 0));
}

#[test]
fn what_a_writer_refuses_is_lost_and_counted_and_the_next_packet_is_written() {
    let page = Page::default();
    let failures = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&failures);
    let guard = client_of(Told(
        move |page: &mut Page, bytes: &[u8]| {
            if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err(ErrorKind::StorageFull.into());
            }
            page.write(bytes)
        },
        page.clone(),
    ));
    for round in 1..=5 {
        failures.store(1, Ordering::SeqCst);
        send(&guard, "lost");
        send(&guard, "written");
        assert_eq!(sent_and_lost(&guard), (round, round));
    }
    assert_eq!(page.text(), line("written").repeat(5));
}

#[test]
fn a_writer_that_panics_is_a_writer_that_failed() {
    let page = Page::default();
    let panics = Arc::new(AtomicBool::new(false));
    let due = Arc::clone(&panics);
    let guard = client_of(Told(
        move |page: &mut Page, bytes: &[u8]| {
            if due.swap(false, Ordering::SeqCst) {
                panic_quietly();
            }
            page.write(bytes)
        },
        page.clone(),
    ));
    for round in 1..=3 {
        panics.store(true, Ordering::SeqCst);
        send(&guard, "lost");
        send(&guard, "written");
        assert_eq!(sent_and_lost(&guard), (round, round));
    }
    let stats = guard.client().stats();
    assert_eq!((stats.worker_restarts, stats.dropped(DropReason::WorkerPanic).values), (0, 0));
    assert_eq!(page.text(), line("written").repeat(3));
}

/// Panics without the hook, which may print a backtrace, which takes longer than a writer may.
fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("as it was told"))
}

/// Takes everything, and panics when it is to flush.
struct Full;

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        panic_quietly()
    }
}

#[test]
fn what_a_writer_took_and_panicked_over_at_the_end_of_the_flush_is_lost() {
    let guard = client_of(Full);
    for round in 1..=3 {
        send(&guard, "lost");
        assert_eq!(sent_and_lost(&guard), (0, round));
    }
    assert_eq!(guard.client().stats().worker_restarts, 0);
}

#[test]
fn behind_a_packet_that_was_written_in_part_the_next_begins_on_a_new_line() {
    let page = Page::default();
    let mut writes = 0;
    let guard = client_of(Told(
        move |page: &mut Page, bytes: &[u8]| {
            writes += 1;
            match writes {
                1 => page.write(&bytes[..3]),
                2 => Err(ErrorKind::StorageFull.into()),
                _ => page.write(bytes),
            }
        },
        page.clone(),
    ));
    send(&guard, "cut");
    send(&guard, "whole");
    assert_eq!(page.text(), "cut\n".to_owned() + &line("whole"));
    assert_eq!(sent_and_lost(&guard), (1, 1));
}

#[test]
fn a_writer_that_takes_a_byte_at_a_time_gets_all_of_them() {
    let page = Page::default();
    let mut interrupted = false;
    let guard = client_of(Told(
        move |page: &mut Page, bytes: &[u8]| {
            interrupted = !interrupted;
            if interrupted { Err(ErrorKind::Interrupted.into()) } else { page.write(&bytes[..1]) }
        },
        page.clone(),
    ));
    send(&guard, "a");
    send(&guard, "b");
    assert_eq!(page.text(), line("a") + &line("b"));
    assert_eq!(sent_and_lost(&guard), (2, 0));
}

#[test]
fn what_is_left_in_a_buffer_that_can_not_be_flushed_is_lost() {
    let page = Page::default();
    let fails = Arc::new(AtomicBool::new(true));
    let failing = Arc::clone(&fails);
    let guard = client_of(BufWriter::with_capacity(
        1 << 20,
        Told(
            move |page: &mut Page, bytes: &[u8]| {
                if failing.load(Ordering::SeqCst) {
                    return Err(ErrorKind::StorageFull.into());
                }
                page.write(bytes)
            },
            page.clone(),
        ),
    ));
    // Some packets, all of which the buffer takes.
    for number in 0..500 {
        guard.client().counter(&format!("a.name.of.some.length.{number}")).increment(1);
    }
    guard.client().flush(PATIENCE).unwrap();
    assert_conserved(&guard.client().stats());
    assert_eq!(sent_and_lost(&guard), (0, 500));
    fails.store(false, Ordering::SeqCst);
    send(&guard, "written");
    assert_eq!(sent_and_lost(&guard), (1, 500));
    assert!(page.text().ends_with(&line("written")));
}

#[test]
fn a_writer_that_never_returns_holds_no_flush_and_no_end() {
    let (page, stuck) = (Page::default(), Arc::new(AtomicBool::new(true)));
    let sticking = Arc::clone(&stuck);
    let guard = client_of(Told(
        move |page: &mut Page, bytes: &[u8]| {
            while sticking.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            page.write(bytes)
        },
        page.clone(),
    ));
    let (worker, mut held) = (Worker::of(&guard), Vec::new());
    for round in 1..=5 {
        guard.client().counter("lost").increment(1);
        held.push(worker.held_in(|| flush_unasked(guard.client())));
        assert_eq!(sent_and_lost(&guard), (0, round));
    }
    println!("a stuck writer: flushes were held for {held:?}");
    // Longer than the write timeout only where the machine does not go on for a moment.
    let too_long = held.iter().filter(|held| **held >= Duration::from_millis(600)).count();
    assert!(too_long <= 1, "{held:?}");
    stuck.store(false, Ordering::SeqCst);
    wait_until(|| {
        send(&guard, "written");
        page.text().contains("written")
    });
    stuck.store(true, Ordering::SeqCst);
    guard.client().counter("lost").increment(1);
    let timeout = Duration::from_millis(300);
    assert_eq!(guard.shutdown(timeout), Err(FlushError::TimedOut(timeout)));
    stuck.store(false, Ordering::SeqCst);
}

#[test]
fn clients_of_one_builder_share_its_writer() {
    let page = Page::default();
    let builder = support::builder().writer(page.clone());
    let (one, two) = (builder.clone().build().unwrap(), builder.build().unwrap());
    send(&one, "a");
    send(&two, "b");
    drop((one, two));
    assert_eq!(page.text(), line("a") + &line("b"));
}
