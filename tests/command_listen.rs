//! `tasktag listen` shows all that was sent, of every dialect and over every transport, and passes it on unchanged.

#![cfg(all(feature = "cli", unix))]

#[path = "command/run.rs"]
mod run;
mod support;

use run::{Ended, Listening, kill, run, tasktag};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use support::{Agent, PATIENCE, TempDir, wait_until};
use tasktag::{Client, Dialect, Event, Kind, Status};

const JSON: [&str; 3] = ["--json", "--interval", "3600"];

/// The totals of a metric that has one row.
#[track_caller]
fn total(ended: &Ended, name: &str) -> Value {
    let found: Vec<_> = ended.objects().into_iter().filter(|object| object["name"] == name).collect();
    assert_eq!(found.len(), 1, "{name} in {ended:#?}");
    found[0].clone()
}

#[track_caller]
fn of_type(ended: &Ended, of_type: &str) -> Vec<Value> {
    ended.objects().into_iter().filter(|object| object["type"] == of_type).collect()
}

/// Uses the kinds that a dialect has, each with a known sum.
fn use_kinds(client: &Client, dialect: Dialect) {
    let jobs = client.counter("jobs").tag("queue", "mail").register();
    (0..1234).for_each(|_| jobs.increment(3));
    client.gauge("balance").tag("pool", "primary").set(-7.25);
    for value in 1..=100 {
        client.timing("query").record(f64::from(value));
        client.distribution("size").record(5.0);
    }
    if dialect != Dialect::DatadogServerless {
        for member in ["ada", "grace", "ada"] {
            client.set("users").insert(member);
        }
    }
    if dialect == Dialect::DogStatsd {
        client.send_event(Event::new("deploy", "v42\nis live").tag("env", "eu"));
        client.service_check("db.up", Status::Critical);
    }
}

#[test]
fn every_dialect_is_read_to_the_last_value() {
    for dialect in [
        Dialect::DogStatsd,
        Dialect::TaggedStatsd,
        Dialect::Graphite,
        Dialect::Influx,
        Dialect::Librato,
        Dialect::SignalFx,
        Dialect::Statsd,
        Dialect::DatadogServerless,
    ] {
        let listening = Listening::start(&["udp://127.0.0.1:0"], &JSON);
        let builder = support::builder().agent(listening.address()).dialect(dialect).prefix("shop");
        let guard = builder.build().unwrap();
        use_kinds(guard.client(), dialect);
        guard.client().flush(PATIENCE).unwrap();
        let sent = guard.client().stats().sent;
        let ended = listening.end("TERM");
        assert_eq!(ended.status, Some(0), "{dialect}: {ended:#?}");
        let sums = of_type(&ended, "total");
        assert_eq!(
            (sums[0]["packets"].as_u64(), sums[0]["lines"].as_u64(), sums[0]["bytes"].as_u64()),
            (Some(sent.packets), Some(sent.lines), Some(sent.bytes)),
            "{dialect}: {ended:#?}"
        );
        assert_eq!(sums[0]["not_understood"], 0, "{dialect}: {ended:#?}");
        assert_kinds(&ended, dialect);
    }
}

#[track_caller]
fn assert_kinds(ended: &Ended, dialect: Dialect) {
    let jobs = total(ended, "shop.jobs");
    assert_eq!(jobs["total"]["sum"], 3702.0, "{dialect}");
    assert_eq!(total(ended, "shop.balance")["level"], -7.25, "{dialect}");
    for (name, sum) in [("shop.query", 5050.0), ("shop.size", 500.0)] {
        let values = total(ended, name);
        assert_eq!(
            (&values["total"]["count"], &values["total"]["sum"]),
            (&100.0.into(), &sum.into()),
            "{dialect}"
        );
    }
    if dialect != Dialect::Statsd {
        assert_eq!((&jobs["tags"]["queue"], &jobs["tags"]["task_id"]), (&"mail".into(), &"0042".into()));
    }
    if dialect != Dialect::DatadogServerless {
        assert_eq!(total(ended, "shop.users")["total"]["distinct"], 2, "{dialect}");
    }
    if dialect == Dialect::DogStatsd {
        let (event, check) = (&of_type(ended, "event")[0], &of_type(ended, "check")[0]);
        assert_eq!((&event["title"], &event["text"]), (&"deploy".into(), &"v42\\nis live".into()));
        assert_eq!((&check["title"], &check["level"]), (&"db.up".into(), &"critical".into()));
    }
}

#[test]
fn every_transport_is_read_and_all_at_once() {
    let directory = TempDir::new();
    let unix = format!("unix://{}", directory.join("datagrams").display());
    let stream = format!("unixstream://{}", directory.join("stream").display());
    let listening = Listening::start(&["udp://127.0.0.1:0", "tcp://127.0.0.1:0", &unix, &stream], &JSON);
    assert_eq!(listening.addresses[2..], [unix, stream]);
    for agent in &listening.addresses {
        let guard = support::builder().agent(agent).build().unwrap();
        guard.client().counter("jobs").increment(10);
        guard.client().flush(PATIENCE).unwrap();
    }
    let ended = listening.end("INT");
    assert_eq!(ended.status, Some(0), "{ended:#?}");
    assert_eq!(total(&ended, "jobs")["total"]["sum"], 40.0);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "its sockets' files are gone");
}

/// As much as a process sends in its worst seconds, faster than a second.
#[test]
fn nothing_is_lost_on_a_unix_socket_however_much_comes() {
    const PACKETS: usize = 1000;
    const LINES: usize = 100;
    let directory = TempDir::new();
    let path = directory.join("agent");
    let listening = Listening::start(&[&format!("unix://{}", path.display())], &JSON);
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(&path).unwrap();
    let lines: Vec<_> = (0..LINES).map(|n| format!("jobs.done.{n}:2|c|#queue:mail,task_id:0042")).collect();
    let packet = lines.join("\n");
    for _ in 0..PACKETS {
        socket.send(packet.as_bytes()).unwrap();
    }
    let ended = listening.end("TERM");
    assert_eq!(of_type(&ended, "total")[0]["lines"], PACKETS * LINES);
    let sums = of_type(&ended, "metric");
    assert_eq!(sums.len(), LINES);
    assert!(sums.iter().all(|metric| metric["total"]["sum"] == 2.0 * PACKETS as f64));
}

/// It stands still while everything comes, and the signal to end it comes last.
#[test]
fn nothing_that_came_before_the_signal_is_lost() {
    let directory = TempDir::new();
    let (unix, stream) = (directory.join("datagrams"), directory.join("stream"));
    let unix_addresses = [format!("unix://{}", unix.display()), format!("unixstream://{}", stream.display())];
    let [datagrams, streams] = &unix_addresses;
    let listening = Listening::start(&["udp://127.0.0.1:0", "tcp://127.0.0.1:0", datagrams, streams], &JSON);
    let place = |address: &str| address.split_once("://").unwrap().1.to_owned();
    let (udp_place, tcp_place) = (place(&listening.addresses[0]), place(&listening.addresses[1]));
    // Of one connection each, the reader is there already.
    let mut early = (TcpStream::connect(&tcp_place).unwrap(), UnixStream::connect(&stream).unwrap());
    kill(listening.id(), "STOP");
    let (udp, datagrams) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UnixDatagram::unbound().unwrap());
    for _ in 0..5 {
        udp.send_to(b"udp:1|c", &udp_place).unwrap();
        datagrams.send_to(b"unix:1|c", &unix).unwrap();
        early.0.write_all(b"tcp:1|c\n").unwrap();
        early.1.write_all(b"\x0a\0\0\0stream:1|c").unwrap();
        TcpStream::connect(&tcp_place).unwrap().write_all(b"tcp:1|c\n").unwrap();
        UnixStream::connect(&stream).unwrap().write_all(b"\x0a\0\0\0stream:1|c").unwrap();
    }
    kill(listening.id(), "TERM");
    kill(listening.id(), "CONT");
    // Once more would end it at once.
    let ended = listening.ended();
    assert_eq!(ended.status, Some(0), "{ended:#?}");
    let sum = |name: &str| total(&ended, name)["total"]["sum"].as_f64();
    assert_eq!(["udp", "unix", "tcp", "stream"].map(sum), [5.0, 5.0, 10.0, 10.0].map(Some), "{ended:#?}");
}

/// The bytes that wait at a UDP port.
#[cfg(target_os = "linux")]
fn unread(port: u16) -> u64 {
    let sockets = fs::read_to_string("/proc/net/udp").unwrap();
    let local = format!(":{port:04X} ");
    let socket = sockets.lines().find(|line| line.contains(&local)).unwrap();
    let queues = socket.split_whitespace().nth(4).unwrap();
    u64::from_str_radix(queues.split_once(':').unwrap().1, 16).unwrap()
}

/// A receiver that stands still loses what the kernel has no room for, and says how much that was.
#[cfg(target_os = "linux")]
#[test]
fn what_the_kernel_drops_is_told() {
    const PACKETS: u64 = 20_000;
    let listening = Listening::start(&["udp://127.0.0.1:0"], &JSON);
    let to = listening.address().strip_prefix("udp://").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    kill(listening.id(), "STOP");
    let packet = [b"jobs:1|c|#fill:".as_slice(), &[b'x'; 1000]].concat();
    for _ in 0..PACKETS {
        socket.send_to(&packet, to).unwrap();
    }
    kill(listening.id(), "CONT");
    let port = to.rsplit_once(':').unwrap().1.parse().unwrap();
    wait_until(|| unread(port) == 0);
    let ended = listening.end("TERM");
    let sums = &of_type(&ended, "total")[0];
    let (read, dropped) = (sums["packets"].as_u64().unwrap(), sums["kernel_drops"].as_u64().unwrap());
    assert!(dropped > 0, "{sums}");
    assert_eq!(read + dropped, PACKETS, "{sums}");
}

#[test]
fn lines_are_short_and_what_is_hostile_is_harmless() {
    let listening = Listening::start(&["udp://127.0.0.1:0"], &["--interval", "3600", "--fold", "task_id"]);
    let to = listening.address().strip_prefix("udp://").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for packet in [
        b"fill:2|g|#task_id:0001\nfill:4|g|#task_id:0002".as_slice(),
        b"\x1b]0;title\x07\x9b31m\xff",
        b"bad\x1b[2J\xc2\x9bname:1|c|#k\x1bey:\xe2\x80\xaevalue",
        b"_e{6,4}:a\x1b[31m|b\x07\nc|t:\x1b",
    ] {
        socket.send_to(packet, to).unwrap();
    }
    let ended = listening.end("TERM");
    assert!(ended.out.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", ended.out);
    assert!(!ended.out.contains('\u{202e}'), "{:?}", ended.out);
    assert!(ended.out.contains("fill gauge level=3 min=2 max=4 series=2\n"), "{}", ended.out);
    assert!(
        ended.out.contains("between a name and a value: \\u{1b}]0;title\\u{7}\\x9b31m\\xff\n"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("bad\\u{1b}[2J\\u{9b}name counter"), "{}", ended.out);
}

#[test]
fn what_makes_no_packet_is_told_and_the_rest_is_read() {
    let directory = TempDir::new();
    let path = directory.join("stream");
    let listening =
        Listening::start(&["tcp://127.0.0.1:0", &format!("unixstream://{}", path.display())], &JSON);
    let mut lines = TcpStream::connect(listening.address().strip_prefix("tcp://").unwrap()).unwrap();
    lines.write_all(b"jobs:1|c\njobs:2|c").unwrap();
    let mut unframed = UnixStream::connect(&path).unwrap();
    unframed.write_all(b"jobs:4|c\n").unwrap();
    let mut framed = UnixStream::connect(&path).unwrap();
    framed.write_all(b"\x08\0\0\0jobs:8|c\xff\0\0\0jobs:16|c").unwrap();
    drop((lines, unframed, framed));
    let ended = listening.end("TERM");
    assert_eq!(total(&ended, "jobs")["total"]["sum"], 11.0);
    assert_eq!(of_type(&ended, "not_understood").len(), 2, "{ended:#?}");
}

#[test]
fn memory_has_a_bound_that_is_told_when_it_is_reached() {
    let listening = Listening::start(&["udp://127.0.0.1:0"], &["--interval", "3600", "--max-series", "2"]);
    let to = listening.address().strip_prefix("udp://").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"a:1|c\nb:1|c\nc:1|c\na:1|c", to).unwrap();
    let ended = listening.end("TERM");
    assert!(
        ended.out.contains("# there are 2 series, and no room for more: see --max-series\n"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains(" 1 without room\n"), "{}", ended.out);
    assert!(ended.out.contains("a counter rate="), "{}", ended.out);
}

#[test]
fn what_is_forwarded_and_recorded_is_what_came_and_a_replay_sends_it_again() {
    let (agent, directory) = (Agent::udp(), TempDir::new());
    let file = directory.join("recording");
    let file = file.to_str().unwrap();
    let options = ["--interval", "3600", "--forward", &agent.address(), "--record", file];
    let listening = Listening::start(&["udp://127.0.0.1:0"], &options);
    let to = listening.address().strip_prefix("udp://").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let packets = [b"a:1|c\n\r\n\xff\x00".to_vec(), b"b".to_vec(), vec![b'x'; 9000]];
    for packet in &packets {
        socket.send_to(packet, to).unwrap();
    }
    let ended = listening.end("TERM");
    assert_eq!(agent.drain_packets(), packets);
    assert!(ended.out.contains(&format!("# forwarded to {}: 3 packets\n", agent.address())), "{}", ended.out);
    assert!(ended.out.contains(&format!("# recorded in {file}: 3 packets\n")), "{}", ended.out);

    let replayed = run(&["replay", file, "--to", &agent.address(), "--speed", "1000"], &[]);
    assert_eq!(replayed.status, Some(0), "{replayed:#?}");
    assert_eq!(agent.drain_packets(), packets);
    fs::write(directory.join("other"), "no recording").unwrap();
    let refused = run(&["replay", directory.join("other").to_str().unwrap()], &[]);
    assert_eq!(refused.status, Some(2));
    assert!(refused.err.ends_with("other: this is no recording of tasktag\n"), "{}", refused.err);
}

/// Nobody reads the pipe that the reports go to, and it is soon full.
#[test]
fn packets_are_passed_on_whoever_reads_the_reports() {
    let agent = Agent::udp();
    let mut command = tasktag(&["listen", "udp://127.0.0.1:0", "--interval", "0.1", "--forward"]);
    let mut child =
        command.arg(agent.address()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut told).unwrap();
    let to = told.trim_end().strip_prefix("listening on udp://").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let long = "x".repeat(200);
    for round in 0..20 {
        let lines: Vec<_> = (0..100).map(|n| format!("round{round}.{n}.{long}:1|c")).collect();
        for packet in lines.chunks(10) {
            socket.send_to(packet.join("\n").as_bytes(), to).unwrap();
        }
        agent.packets_until(|lines| lines.iter().any(|line| line.starts_with(&format!("round{round}.99."))));
        // The next interval has the rows of this one.
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_socket_of_somebody_else_is_left_alone_and_a_dead_one_is_taken() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let address = format!("unix://{}", path.display());
    let living = UnixDatagram::bind(&path).unwrap();
    let refused = run(&["listen", &address], &[]);
    assert_eq!(refused.status, Some(2));
    assert!(refused.err.starts_with(&format!("error: {address}: ")), "{}", refused.err);
    drop(living);
    assert_eq!(Listening::start(&[&address], &JSON).end("TERM").status, Some(0));
}

#[test]
fn a_mistake_is_told_with_what_would_be_right() {
    for (arguments, told) in [
        (["listen", "agent:8125"].as_slice(), "udp://host:port"),
        (&["listen", "--interval", "0"], "from 0.1 to 86400"),
        (&["replay", "/nobody/recorded/this"], "/nobody/recorded/this: No such file"),
    ] {
        let ended = run(arguments, &[]);
        assert!(ended.status == Some(2) && ended.err.contains(told), "{ended:#?}");
    }
}

/// Datadog's client for Python, which aggregates nothing here.
#[test]
fn what_datadogs_client_for_python_sends_is_read() {
    const PROGRAM: &str = "
import sys
from datadog.dogstatsd import DogStatsd
statsd = DogStatsd(host='127.0.0.1', port=int(sys.argv[1]), disable_telemetry=True, disable_aggregation=True)
for n in range(100):
    statsd.increment('py.jobs', 2, tags=['queue:mail'])
    statsd.timing('py.query', n + 1)
    statsd.distribution('py.size', 5)
statsd.gauge('py.fill', -0.5)
statsd.set('py.users', 'ada')
statsd.event('deploy', 'v42')
statsd.service_check('py.db', statsd.WARNING)
statsd.flush()
";
    let Some(python) = program("TASKTAG_TEST_DATADOG_PYTHON") else { return };
    let ended = listened(Command::new(python).args(["-c", PROGRAM]));
    assert_others(&ended, "py");
    assert_eq!(of_type(&ended, "event")[0]["title"], "deploy");
    assert_eq!(of_type(&ended, "check")[0]["level"], "warning");
}

/// The client of npm.
#[test]
fn what_hot_shots_sends_is_read() {
    const PROGRAM: &str = "
const StatsD = require(process.env.TASKTAG_TEST_HOT_SHOTS);
const client = new StatsD({ host: '127.0.0.1', port: Number(process.argv[1]), prefix: 'js.', maxBufferSize: 1000 });
for (let n = 0; n < 100; n++) {
    client.increment('jobs', 2, { queue: 'mail' });
    client.timing('query', n + 1);
    client.distribution('size', 5);
}
client.gauge('fill', -0.5);
client.set('users', 'ada');
client.close(() => {});
";
    let Some(_) = program("TASKTAG_TEST_HOT_SHOTS") else { return };
    assert_others(&listened(Command::new("node").args(["-e", PROGRAM])), "js");
}

/// Debian's client for Perl, which knows StatsD's own kinds and no tags.
#[test]
fn what_debians_client_for_perl_sends_is_read() {
    const PROGRAM: &str = "
($Net::Statsd::HOST, $Net::Statsd::PORT) = ('127.0.0.1', $ARGV[0]);
for my $n (1 .. 100) {
    Net::Statsd::increment(['pl.jobs', 'pl.mails']);
    Net::Statsd::update_stats('pl.jobs', 3);
    Net::Statsd::decrement('pl.mails') if $n % 4 == 0;
    Net::Statsd::timing('pl.query', $n);
}
Net::Statsd::gauge('pl.fill' => 7, 'pl.fill' => -0.5, 'pl.level' => 9) or die;
";
    let Some(library) = program("TASKTAG_TEST_STATSD_PERL") else { return };
    let ended = listened(Command::new("perl").args(["-I", &library, "-MNet::Statsd", "-e", PROGRAM]));
    let of = |name: &str| total(&ended, name);
    assert_eq!(
        (&of("pl.jobs")["total"]["sum"], &of("pl.mails")["total"]["sum"]),
        (&400.0.into(), &75.0.into())
    );
    let query = of("pl.query");
    assert_eq!((&query["total"]["sum"], &query["total"]["count"]), (&5050.0.into(), &100.0.into()));
    assert_eq!(
        (query["kind"].as_str(), &query["total"]["max"]),
        (Some(Kind::Timing.as_str()), &100.0.into())
    );
    assert_eq!((&of("pl.fill")["level"], &of("pl.level")["level"]), (&(-0.5).into(), &9.0.into()));
    let sums = &of_type(&ended, "total")[0];
    assert_eq!((&sums["lines"], &sums["not_understood"]), (&428.into(), &0.into()), "{sums}");
}

/// What a client sends to the port that is its last argument.
#[track_caller]
fn listened(client: &mut Command) -> Ended {
    let listening = Listening::start(&["udp://127.0.0.1:0"], &JSON);
    let (_, port) = listening.address().rsplit_once(':').unwrap();
    let sent = client.arg(port).output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    listening.end("TERM")
}

#[track_caller]
fn assert_others(ended: &Ended, prefix: &str) {
    let of = |name: &str| total(ended, &format!("{prefix}.{name}"));
    assert_eq!((&of("jobs")["total"]["sum"], &of("jobs")["tags"]["queue"]), (&200.0.into(), &"mail".into()));
    assert_eq!(
        (&of("query")["total"]["sum"], &of("query")["total"]["count"]),
        (&5050.0.into(), &100.0.into())
    );
    assert_eq!(
        (&of("size")["total"]["sum"], of("size")["kind"].as_str()),
        (&500.0.into(), Some(Kind::Distribution.as_str()))
    );
    assert_eq!(of("fill")["level"], -0.5);
    assert_eq!(of("users")["total"]["distinct"], 1);
    assert_eq!(of_type(ended, "total")[0]["not_understood"], 0);
}

/// What a test needs that is no part of Rust. Where nobody says where it is, the test returns, and this says why.
fn program(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|path| !path.is_empty());
    if found.is_none() {
        let test = thread::current().name().unwrap_or("this test").to_owned();
        let _ = writeln!(std::io::stderr(), "skipped: set {variable} to run {test}");
    }
    found
}
