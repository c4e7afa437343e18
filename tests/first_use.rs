//! The first use of a handle on a thread allocates nothing, and a thread that uses no metric pays nothing for those who
//! do.

#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(unsafe_code, reason = "the C library is asked, and stood in for")]

mod support;

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::{mem, thread};
use support::{PATIENCE, builder};
use tasktag::testing::Capture;
use tasktag::{Counter, Distribution, Gauge, Occupancy};

thread_local! {
    /// How many destructors of this thread's variables were noted, each of which the C library allocates for.
    static NOTED: Cell<usize> = const { Cell::new(0) };
}

type Destructor = unsafe extern "C" fn(*mut c_void);

/// Stands in for the C library's, which is behind it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_thread_atexit_impl(
    destructor: Destructor,
    value: *mut c_void,
    library: *mut c_void,
) -> c_int {
    type Original = unsafe extern "C" fn(Destructor, *mut c_void, *mut c_void) -> c_int;
    NOTED.set(NOTED.get() + 1);
    // SAFETY: The next function of this name is the C library's, of this type.
    unsafe {
        let next = libc::dlsym(libc::RTLD_NEXT, c"__cxa_thread_atexit_impl".as_ptr());
        mem::transmute::<*mut c_void, Original>(next)(destructor, value, library)
    }
}

static HANDLES: OnceLock<(Counter, Gauge, Distribution, Occupancy)> = OnceLock::new();

extern "C" fn use_handles(_: *mut c_void) -> *mut c_void {
    let (counter, gauge, distribution, occupancy) = HANDLES.get().unwrap();
    for _ in 0..10 {
        counter.increment(1);
        gauge.add(1.0);
        distribution.record(1.0);
        drop(occupancy.acquire());
    }
    (NOTED.get() as *const c_void).cast_mut()
}

extern "C" fn rest(_: *mut c_void) -> *mut c_void {
    null_mut()
}

/// What a thread of the C library with this stack, in KiB, answers.
fn run(body: extern "C" fn(*mut c_void) -> *mut c_void, stack: Option<usize>) -> usize {
    // SAFETY: All that is asked for outlives the calls.
    unsafe {
        let (mut attributes, mut thread, mut answer) = (mem::zeroed(), mem::zeroed(), null_mut());
        assert_eq!(libc::pthread_attr_init(&raw mut attributes), 0);
        if let Some(stack) = stack {
            assert_eq!(libc::pthread_attr_setstacksize(&raw mut attributes, stack * 1024), 0);
        }
        assert_eq!(libc::pthread_create(&raw mut thread, &raw const attributes, body, null_mut()), 0);
        assert_eq!(libc::pthread_join(thread, &raw mut answer), 0);
        answer as usize
    }
}

// One test: destructors are noted by whatever runs.
#[test]
fn a_thread_notes_no_destructor_for_its_handles_and_gives_its_lane_back() {
    let capture = Capture::new();
    let guard = builder().capture(&capture).build().unwrap();
    let client = guard.client();
    let handles = (
        client.counter("jobs").register(),
        client.gauge("level").register(),
        client.distribution("size").register(),
        client.occupancy("busy", 0).register(),
    );
    assert!(HANDLES.set(handles).is_ok());
    // More threads than there are lanes, one after the other: what one held the next one has.
    for _ in 0..200 {
        assert_eq!(run(use_handles, None), 0);
    }
    client.flush(PATIENCE).unwrap();
    assert!(capture.take_lines().contains(&"jobs:2000|c|#task_id:0042".to_owned()));
    // The smallest stack that there is, while others call by name.
    thread::scope(|scope| {
        scope.spawn(|| (0..3).for_each(|_| client.counter("by.name").increment(1)));
    });
    assert_eq!(run(rest, Some(16)), 0);
    assert_eq!(run(use_handles, Some(32)), 0);
}
