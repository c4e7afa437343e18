//! What goes on in a measured process beside its calls.

use std::thread;
use std::time::{Duration, Instant};
use tasktag::{Client, PoolStatus};

/// Watches of which half may hang.
const WATCHES: usize = 6;
/// Gauges that are sent at each flush: more than one packet has room for.
const GAUGES: usize = 200;
/// A call of a watch is late after a second, one after the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the calls are beside. All but `Bare` have watches and many gauges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// Nothing but what the contestant has itself.
    Bare,
    /// Nothing goes wrong.
    Calm,
    /// Half of the watches never return, and the client has yet to find out.
    WatchesBeginToHang,
    /// They never return, and the client goes on without them.
    WatchesHang,
    /// A sandbox refuses the system call for several packets.
    SendmmsgForbidden,
    /// A sandbox does not know that call.
    SendmmsgUnknown,
}

impl Background {
    /// Without a fault, and with one.
    pub const COMPARED: [Self; 5] = [
        Self::Calm,
        Self::WatchesBeginToHang,
        Self::WatchesHang,
        Self::SendmmsgForbidden,
        Self::SendmmsgUnknown,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Calm => "calm",
            Self::WatchesBeginToHang => "watches-begin-to-hang",
            Self::WatchesHang => "watches-hang",
            Self::SendmmsgForbidden => "sendmmsg-eperm",
            Self::SendmmsgUnknown => "sendmmsg-enosys",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        let mut all = [Self::Bare].into_iter().chain(Self::COMPARED);
        all.find(|background| background.name() == name)
    }

    /// What has to be so before any other thread starts.
    pub fn prepare(self) {
        match self {
            Self::SendmmsgForbidden => refuse_sendmmsg(libc::EPERM),
            Self::SendmmsgUnknown => refuse_sendmmsg(libc::ENOSYS),
            Self::Bare | Self::Calm | Self::WatchesBeginToHang | Self::WatchesHang => {}
        }
    }

    /// What the client of the process has to do from now on. Returns when all of it happens.
    pub fn begin(self) {
        if self == Self::Bare {
            return;
        }
        let client = &tasktag::client().expect("the contestant installed it");
        keep_gauges(client);
        assert_several_packets(client);
        watch(client, self.hanging());
        if self == Self::WatchesHang {
            wait_until("watches hang", || client.stats().late_probes.len() == self.hanging());
        }
    }

    fn hanging(self) -> usize {
        match self {
            Self::WatchesBeginToHang | Self::WatchesHang => WATCHES / 2,
            _ => 0,
        }
    }
}

/// Gauges that are sent until the process ends.
fn keep_gauges(client: &Client) {
    for n in 0..GAUGES {
        let gauge = client.gauge("pool.size").tag("pool", &format!("background-{n}")).register();
        gauge.set(n as f64);
        std::mem::forget(gauge);
    }
}

/// Watches of which the first ones don't return.
fn watch(client: &Client, hanging: usize) {
    for n in 0..WATCHES {
        let status = move || {
            if n < hanging {
                hang();
            }
            PoolStatus::new().in_use(n as u64)
        };
        client.watch_pool(&format!("watched-{n}"), status).detach();
    }
}

fn hang() -> ! {
    loop {
        thread::park();
    }
}

fn wait_until(what: &str, happens: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !happens() {
        assert!(Instant::now() < end, "{what}: not in time");
        thread::sleep(Duration::from_millis(10));
    }
}

fn assert_several_packets(client: &Client) {
    let before = client.stats().sent.packets;
    client.flush(PATIENCE).expect("the agent is there");
    assert!(client.stats().sent.packets > before + 1, "a flush is several packets");
}

/// Has the kernel answer the system call for several packets with an error, in this thread and those that it starts.
#[cfg(target_os = "linux")]
fn refuse_sendmmsg(error: libc::c_int) {
    let step = |code: u16, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        step(0x20, 0, 0, 0),
        step(0x15, 0, 1, libc::SYS_sendmmsg as u32),
        step(0x06, 0, 0, libc::SECCOMP_RET_ERRNO | error as u32),
        step(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter and its program outlive the calls, which copy them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter), 0);
    }
    // SAFETY: there is no such socket, and no message to read.
    let sent = unsafe { libc::sendmmsg(-1, std::ptr::null_mut(), 0, 0) };
    assert_eq!((sent, std::io::Error::last_os_error().raw_os_error()), (-1, Some(error)));
}

#[cfg(not(target_os = "linux"))]
fn refuse_sendmmsg(_: libc::c_int) {
    panic!("there is no such call to refuse");
}
