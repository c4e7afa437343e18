//! A Redis server of a test's own, and processes that lease from it.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tasktag::testing::Capture;
use tasktag::{Client, Guard, TaskIdClaim, TaskIdPool, TaskIdSource};

use crate::support::{PATIENCE, wait_until};

/// Longer than a test takes that is about something else.
pub(crate) const LONG: Duration = Duration::from_secs(600);
pub(crate) const KEY: &str = "shop:tasks";
pub(crate) const PASSWORD: &str = "s3cr3t-of-the-shop";
/// Where a child leases, for how many milliseconds, and from a pool of which size.
pub(crate) const URL: &str = "LEASES_REDIS_URL";
pub(crate) const LEASE: &str = "LEASES_REDIS_LEASE";
pub(crate) const POOL: &str = "LEASES_REDIS_POOL";

/// The server's program, where there is one.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("TASKTAG_TEST_REDIS").filter(|path| !path.is_empty());
    if path.is_none() {
        // Not `eprintln`, which is shown for tests that fail only.
        let name = thread::current().name().unwrap_or("this test").to_owned();
        let _ = writeln!(io::stderr(), "skipped: set TASKTAG_TEST_REDIS to run {name}");
    }
    path.map(PathBuf::from)
}

/// A server at a socket and at a port, which both want the password. Dropping it kills it.
pub(crate) struct Redis {
    program: PathBuf,
    directory: PathBuf,
    port: u16,
    child: Child,
}

/// What a server over TLS is started with: its authority's certificate, its own, and its key.
type Certificates = [PathBuf; 3];

impl Redis {
    /// A server whose port is TLS' alone, with certificates that are made in its directory.
    pub(crate) fn start_with_tls(certify: impl Fn(&Path) -> Certificates) -> Option<Self> {
        Self::start_in(|directory| Some(certify(directory)))
    }

    /// `None` where nobody says where the program is.
    pub(crate) fn start() -> Option<Self> {
        Self::start_in(|_| None)
    }

    fn start_in(certify: impl Fn(&Path) -> Option<Certificates>) -> Option<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let program = program()?;
        let place = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("tasktag-redis-{}-{place}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let free_port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let certificates = certify(&directory);
        let (port, child) = serve(&program, &directory, certificates.as_ref(), free_port);
        Some(Self { program, directory, port, child })
    }

    /// Kills the server and starts it again, with nothing in it.
    pub(crate) fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = serve(&self.program, &self.directory, None, || self.port).1;
    }

    pub(crate) fn signal(&self, signal: &str) {
        send_signal(self.child.id(), signal);
    }

    pub(crate) fn socket_url(&self) -> String {
        socket_url(&self.directory)
    }

    pub(crate) fn port_url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}/0", self.port)
    }

    pub(crate) fn tls_url(&self) -> String {
        format!("rediss://:{PASSWORD}@localhost:{}/0", self.port)
    }

    /// A file in the server's directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The same server at another port, as long as this process lives.
    pub(crate) fn other_port_url(&self) -> String {
        let (listener, port) = (TcpListener::bind("127.0.0.1:0").unwrap(), self.port);
        let other = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (answers, questions) = (server.try_clone().unwrap(), stream.try_clone().unwrap());
                thread::spawn(move || pass_on(questions, server));
                thread::spawn(move || pass_on(answers, stream));
            }
        });
        format!("redis://:{PASSWORD}@127.0.0.1:{other}/0")
    }

    pub(crate) fn source(&self, lease: Duration) -> TaskIdSource {
        TaskIdSource::leased_in_redis(self.socket_url(), KEY).lease_time(lease)
    }

    pub(crate) fn claim(&self, size: u32, lease: Duration) -> TaskIdClaim {
        self.source(lease).claim(TaskIdPool::new(size).unwrap()).unwrap()
    }

    /// What this process has the server do, past the library.
    pub(crate) fn call<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        ask(&self.socket_url(), words).unwrap()
    }

    /// The numbers that the server has down as held, expired or not.
    pub(crate) fn held(&self) -> Vec<u32> {
        let members: Vec<String> = self.call(&["ZRANGE", KEY, "0", "-1"]);
        let number = |member: &String| member.split(':').next().unwrap().parse().unwrap();
        let mut numbers: Vec<u32> = members.iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Takes a number for a holder that there is not.
    pub(crate) fn take(&self, number: u32) {
        let () = self.call(&["ZADD", KEY, &self.expiry(), &stranger(number)]);
    }

    /// Takes all numbers from all who hold them, and these for holders that there are not: in one step, which no
    /// renewal can come between.
    pub(crate) fn take_all_and_leave(&self, numbers: &[u32]) {
        const SCRIPT: &str = "redis.call('DEL', KEYS[1]) redis.call('ZADD', KEYS[1], unpack(ARGV))";
        let expiry = self.expiry();
        let members = numbers.iter().flat_map(|number| [expiry.clone(), stranger(*number)]);
        let words: Vec<_> =
            ["EVAL", SCRIPT, "1", KEY].map(str::to_owned).into_iter().chain(members).collect();
        let () = self.call(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// An hour from now, by the server's clock.
    fn expiry(&self) -> String {
        let [seconds, _]: [u64; 2] = self.call::<Vec<u64>>(&["TIME"]).try_into().unwrap();
        ((seconds + 3600) * 1000).to_string()
    }
}

/// The member of a holder that there is not.
fn stranger(number: u32) -> String {
    format!("{number}:{:032x}", u128::from(number))
}

fn socket_url(directory: &Path) -> String {
    format!("unix://{}?pass={PASSWORD}", directory.join("socket").display())
}

fn ask<T: redis::FromRedisValue>(url: &str, words: &[&str]) -> redis::RedisResult<T> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query(&mut connection)
}

/// A server that answers, and its port. One whose port somebody else got meanwhile ends at once: another try.
fn serve(
    program: &Path,
    directory: &Path,
    certificates: Option<&Certificates>,
    port: impl Fn() -> u16,
) -> (u16, Child) {
    let mut served = None;
    wait_until(|| {
        let port = port();
        let mut child = spawn(program, directory, certificates, port);
        let mut answers = false;
        wait_until(|| {
            thread::sleep(Duration::from_millis(5));
            answers = ask::<String>(&socket_url(directory), &["PING"]).is_ok();
            answers || child.try_wait().unwrap().is_some()
        });
        served = Some((port, child));
        answers
    });
    served.unwrap()
}

fn spawn(program: &Path, directory: &Path, certificates: Option<&Certificates>, port: u16) -> Child {
    let mut command = Command::new(program);
    let (plain, tls) = if certificates.is_some() { (0, port) } else { (port, 0) };
    command.args(["--bind", "127.0.0.1", "--port", &plain.to_string(), "--requirepass", PASSWORD]);
    if let Some([authority, certificate, key]) = certificates {
        command.args(["--tls-port", &tls.to_string(), "--tls-auth-clients", "no"]);
        command.arg("--tls-ca-cert-file").arg(authority).arg("--tls-cert-file").arg(certificate);
        command.arg("--tls-key-file").arg(key);
    }
    command.args(["--save", "", "--appendonly", "no"]).arg("--dir").arg(directory);
    command.arg("--unixsocket").arg(directory.join("socket"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A client that collects and flushes when it is told to.
pub(crate) fn client(redis: &Redis, capture: &Capture, size: u32, lease: Duration) -> Guard {
    let pool = TaskIdPool::new(size).unwrap();
    let builder = Client::builder().capture(capture).task_id_pool(pool).task_id_from(redis.source(lease));
    builder.flush_interval(LONG).collect_interval(LONG).shutdown_timeout(PATIENCE).build().unwrap()
}

pub(crate) fn send_signal(process: u32, signal: &str) {
    let done = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status();
    assert!(done.unwrap().success());
}

/// Nanoseconds since 1970, which processes of one host agree on.
pub(crate) fn nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// A time at which a process had a bucket. It may have had it for longer. Where it looked only once, nobody knows when
/// between `to` and `from` that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) number: u32,
    pub(crate) from: u128,
    pub(crate) to: u128,
    pub(crate) process: u32,
}

/// What a process said of itself.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    pub(crate) held: Vec<Held>,
    pub(crate) entries: u64,
    /// Entries under a shared bucket.
    pub(crate) shared: u64,
    pub(crate) losses: u64,
    is_leased: bool,
}

impl Diary {
    /// Reads `<nanoseconds> <source> <number> <losses> <nanoseconds>`. The process looked at the time before it looked
    /// at its id, and after.
    fn write(&mut self, line: &str, process: u32) {
        let words: Vec<&str> = line.split(' ').collect();
        let &[before, source, number, losses, after] = words.as_slice() else { return };
        let (Ok(before), Ok(after)) = (before.parse(), after.parse()) else { return };
        let (Ok(number), Ok(losses)) = (number.parse(), losses.parse()) else { return };
        let was_leased = std::mem::replace(&mut self.is_leased, source == "leased");
        self.entries += 1;
        self.losses = losses;
        self.shared += u64::from(!self.is_leased);
        match self.held.last_mut() {
            _ if !self.is_leased => {}
            Some(last) if was_leased && last.number == number => last.to = before,
            _ => self.held.push(Held { number, from: after, to: before, process }),
        }
    }

    pub(crate) fn leased(&self) -> Option<u32> {
        self.held.last().filter(|_| self.is_leased).map(|held| held.number)
    }
}

/// Until one of the two ends, and then ends the other.
fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A process that leases and writes down its id all the time. It is killed when this is dropped.
pub(crate) struct Holder {
    child: Child,
    input: Option<ChildStdin>,
    diary: Arc<Mutex<Diary>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Holder {
    pub(crate) fn start(url: &str, size: u32, lease: Duration) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_holds_a_lease", "--nocapture", "--test-threads=1"]);
        command.env(URL, url).env(POOL, size.to_string()).env(LEASE, lease.as_millis().to_string());
        command.env_remove("TASKTAG_TASK_ID");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let (diary, process) = (Arc::new(Mutex::new(Diary::default())), child.id());
        let reader = thread::spawn({
            let diary = Arc::clone(&diary);
            move || {
                for line in output.lines().map_while(Result::ok) {
                    diary.lock().unwrap().write(&line, process);
                }
            }
        });
        Self { child, input, diary, reader: Some(reader) }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Diary) -> T) -> T {
        read(&self.diary.lock().unwrap())
    }

    pub(crate) fn signal(&self, signal: &str) {
        send_signal(self.child.id(), signal);
    }

    /// Waits until the process has said something of itself.
    #[track_caller]
    pub(crate) fn wait(&self, done: impl Fn(&Diary) -> bool) {
        let start = Instant::now();
        while !self.read(&done) {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.read(|diary| format!("{diary:?}")));
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it has spoken again, of what is after this call.
    pub(crate) fn wait_for_news(&self) {
        let entries = self.read(|diary| diary.entries);
        self.wait(|diary| diary.entries > entries + 1);
    }

    /// Kills it where it stands, and returns what it wrote.
    pub(crate) fn kill(mut self) -> Diary {
        self.child.kill().unwrap();
        self.finish()
    }

    /// Tells it to end.
    pub(crate) fn end(mut self) -> Diary {
        drop(self.input.take());
        self.finish()
    }

    fn finish(&mut self) -> Diary {
        self.child.wait().unwrap();
        // Its output has ended with it.
        self.reader.take().unwrap().join().unwrap();
        std::mem::take(&mut self.diary.lock().unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
