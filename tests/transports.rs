//! Every transport over real sockets: the exact bytes, all of a lot of lines, and what an unwilling agent costs.

#![cfg(unix)]

mod support;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use support::held::{Worker, unless_the_machine_stands_still};
use support::stream_agent::{Mood, StreamAgent, unframed};
use support::{
    Agent, PATIENCE, TempDir, assert_conserved, flush_unasked, in_time, lines_of, unix_address, wait_until,
};
use tasktag::{Client, ClientBuilder, ConfigError, DropReason, Gauge, Guard, Tally};

/// What the worker may be held for in a flush.
const WRITE_TIMEOUT: Duration = Duration::from_millis(200);
/// What a machine that does not go on for a moment may add to that. Work, and waits for a processor, are not counted.
const BUSY: Duration = Duration::from_millis(400);

fn client_of(address: String) -> Guard {
    support::builder().agent(address).context_limit(100_000).build().unwrap()
}

/// The same, of an agent that may not take what is left at the end.
fn client_of_unwilling(address: String) -> Guard {
    let builder = support::builder().agent(address).context_limit(100_000);
    builder.shutdown_timeout(Duration::ZERO).build().unwrap()
}

fn send_two(guard: &Guard) {
    guard.client().counter("jobs").increment(1);
    guard.client().gauge("fill").register().set(0.5);
    guard.client().flush(PATIENCE).unwrap();
    assert_conserved(&guard.client().stats());
}

const TWO: &[u8] = b"jobs:1|c|#task_id:0042\nfill:0.5|g|#task_id:0042\n";

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn over_tcp_lines_come_one_behind_the_other() {
    in_time(|| {
        let agent = StreamAgent::tcp();
        let guard = client_of(agent.address());
        send_two(&guard);
        guard.client().counter("jobs").increment(7);
        guard.client().flush(PATIENCE).unwrap();
        (dropped(&guard) == 0).then(|| {
            let expected = [TWO, b"jobs:7|c|#task_id:0042\n"].concat();
            assert_eq!(agent.received_until(expected.len()), [expected]);
        })
    });
}

#[test]
fn over_a_unix_stream_each_packet_comes_behind_its_length() {
    let directory = TempDir::new();
    let agent = StreamAgent::unix(&directory.join("agent"));
    let guard = client_of(agent.address());
    send_two(&guard);
    let expected = [&[48, 0, 0, 0], TWO].concat();
    assert_eq!(agent.received_until(expected.len()), [expected]);
}

#[test]
fn a_frame_holds_8192_bytes_at_most_and_a_setting_beyond_is_an_error() {
    let directory = TempDir::new();
    let agent = StreamAgent::unix(&directory.join("agent"));
    let builder = || support::builder().agent(agent.address());
    let error = builder().max_packet_size(8193).build().unwrap_err();
    let expected = "the setting max_packet_size can't be \"8193\": it must be from 64 to 8192";
    assert_eq!(error.to_string(), expected);
    let guard = builder().max_packet_size(8192).build().unwrap();
    for number in 0..1000 {
        guard.client().counter(&format!("a.name.of.some.length.{number}")).increment(1);
    }
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    let len = usize::try_from(stats.sent.bytes + 4 * stats.sent.packets).unwrap();
    let (packets, rest) = unframed(&agent.received_until(len)[0]);
    assert_eq!((packets.len() as u64, rest.len()), (stats.sent.packets, 0));
    assert!(packets.iter().any(|packet| packet.len() > 8100));
}

#[test]
fn what_is_no_address_is_an_error_that_names_it() {
    for bad in ["http://agent:8125", "agent:8125", "unixpacket:///run/agent", "tcp://", "stdout:x"] {
        let error = Client::builder().agent(bad).build().unwrap_err();
        assert!(
            matches!(&error, ConfigError::Setting { setting: "agent", value, .. } if value == bad),
            "{error}"
        );
        assert!(error.to_string().contains(bad), "{error}");
    }
}

const CHILD: &str = "TRANSPORTS_CHILD";

/// The part of the next test that runs in a process of its own.
#[test]
fn child_writes_to_standard_output() {
    if std::env::var_os(CHILD).is_some() {
        // Where tests run one at a time, the harness leaves its own line unfinished.
        println!();
        let guard = client_of("stdout:".to_owned());
        send_two(&guard);
        let stats = guard.client().stats();
        assert_eq!((stats.sent.values, stats.sent.packets, stats.dropped_total().values), (2, 1, 0));
        drop(guard);
    }
}

const CLOSED: &str = "TRANSPORTS_CLOSED";

/// The part of the next test that runs in a process of its own.
#[cfg(target_os = "linux")]
#[test]
#[allow(unsafe_code, reason = "std closes no descriptor that it does not own")]
fn child_closes_its_standard_output() {
    if std::env::var_os(CLOSED).is_some() {
        let guard = client_of("stdout:".to_owned());
        // SAFETY: what is printed after that is lost, and nothing is opened meanwhile.
        unsafe { libc::close(1) };
        guard.client().counter("jobs").increment(1);
        guard.client().flush(PATIENCE).unwrap();
        let stats = guard.client().stats();
        assert_eq!((stats.sent.values, stats.dropped(DropReason::Transport).values), (0, 1));
        assert_eq!(stats.last_error.as_deref(), Some("stdout:: Bad file descriptor (os error 9)"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn standard_output_that_is_closed_takes_nothing() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child_closes_its_standard_output", "--nocapture"]).env(CLOSED, "1");
    let output = child.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn standard_output_gets_the_lines_where_it_is_the_agent_and_nothing_where_it_is_not() {
    let run = |set: bool| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child_writes_to_standard_output", "--nocapture"]);
        child.env_remove(CHILD);
        if set {
            child.env(CHILD, "1");
        }
        let output = child.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let written = run(true);
    let lines: Vec<&str> = written.split_inclusive('\n').filter(|line| line.contains("task_id")).collect();
    assert_eq!(lines.concat(), text(TWO), "{written}");
    assert!(!run(false).contains("task_id"));
}

/// Sends 50,000 lines, no two of them alike, in 25 flushes, and says which.
///
/// After each flush the agent reads all of it: then no flush waits for it, however late the agent comes to that.
fn send_50_000(guard: &Guard, after_flush: impl FnMut()) -> Vec<String> {
    let (gauges, mut after_flush): (Vec<Gauge>, _) = (
        (0..2000).map(|number| guard.client().gauge(&format!("g{number}")).register()).collect(),
        after_flush,
    );
    let (before, mut lines) = (guard.client().stats(), Vec::new());
    for flush in 0..25 {
        for (number, gauge) in gauges.iter().enumerate() {
            let value = flush * 2000 + number;
            gauge.set(value as f64);
            lines.push(format!("g{number}:{value}|g|#task_id:0042"));
        }
        guard.client().flush(PATIENCE).unwrap();
        after_flush();
    }
    let stats = guard.client().stats();
    assert_conserved(&stats);
    let sent = stats.sent.lines - before.sent.lines;
    assert_eq!((sent, stats.dropped_total().lines), (50_000, 0), "{stats:?}");
    lines
}

#[track_caller]
fn assert_all_came(lines: &[String], received: &[String]) {
    assert_eq!(received.len(), lines.len());
    for (received, line) in received.iter().zip(lines) {
        assert_eq!(received, line);
    }
}

#[test]
fn all_of_50_000_lines_come_over_tcp() {
    let (agent, guard) = in_time(|| {
        let agent = StreamAgent::tcp();
        let guard = client_of(agent.address());
        // The connection is made by another thread.
        send_one(&guard);
        (dropped(&guard) == 0).then_some((agent, guard))
    });
    let before = guard.client().stats().sent;
    let sent = || usize::try_from(guard.client().stats().sent.bytes).unwrap();
    let lines = send_50_000(&guard, || drop(agent.received_until(sent())));
    let received = agent.received_until(sent());
    assert_eq!(received.len(), 1, "one connection");
    assert_all_came(&lines, &lines_of(&received)[usize::try_from(before.lines).unwrap()..]);
}

#[test]
fn all_of_50_000_lines_come_over_a_unix_stream() {
    let directory = TempDir::new();
    let agent = StreamAgent::unix(&directory.join("agent"));
    let guard = client_of(agent.address());
    let bytes = |sent: Tally| usize::try_from(sent.bytes + 4 * sent.packets).unwrap();
    let lines = send_50_000(&guard, || drop(agent.received_until(bytes(guard.client().stats().sent))));
    let sent = guard.client().stats().sent;
    let received = agent.received_until(bytes(sent));
    let (packets, rest) = unframed(&received[0]);
    assert_eq!((received.len(), packets.len() as u64, rest.len()), (1, sent.packets, 0));
    assert_all_came(&lines, &lines_of(&packets));
}

#[test]
fn all_of_50_000_lines_come_over_unix_datagrams() {
    let directory = TempDir::new();
    let agent = Agent::unix(&directory.join("agent"));
    let guard = client_of(agent.address());
    let mut packets = Vec::new();
    let lines = send_50_000(&guard, || packets.append(&mut agent.drain_packets()));
    assert_all_came(&lines, &lines_of(&packets));
}

/// Many packets, as a flush of many contexts makes them.
fn gauges(guard: &Guard, count: usize) -> Vec<Gauge> {
    let gauge = |number| guard.client().gauge(&format!("a.name.of.some.length.{number}")).register();
    let gauges: Vec<Gauge> = (0..count).map(gauge).collect();
    for gauge in &gauges {
        gauge.set(1.5);
    }
    gauges
}

/// Megabytes in few contexts: what a flush takes is the agent's doing.
fn long_gauges(guard: &Guard) -> Vec<Gauge> {
    let filling = "x".repeat(1300);
    let gauge = |number| guard.client().gauge(&format!("n{number}.{filling}")).register();
    let gauges: Vec<Gauge> = (0..5000).map(gauge).collect();
    for gauge in &gauges {
        gauge.set(1.5);
    }
    gauges
}

/// Flushes a new client often, holds the longest against the limit, and returns the client.
#[track_caller]
fn not_held(address: &str) -> Guard {
    unless_the_machine_stands_still(|| {
        let guard = client_of_unwilling(address.to_owned());
        let _gauges = long_gauges(&guard);
        // Its own flush renders every line, which is no wait.
        let worker = Worker::of(&guard);
        let flush = |_| {
            let held = worker.held_in(|| flush_unasked(guard.client()));
            assert_conserved(&guard.client().stats());
            // A connection that broke may be made again.
            std::thread::sleep(Duration::from_millis(60));
            held
        };
        let longest = (1..=6).map(flush).max().unwrap_or_default();
        println!("{address}: the longest of 6 flushes was held for {longest:?}");
        if longest < WRITE_TIMEOUT + BUSY { Ok(guard) } else { Err(format!("{address}: {longest:?}")) }
    })
}

#[test]
fn an_agent_that_accepts_and_never_reads_holds_no_flush_for_longer_than_the_write_timeout() {
    let directory = TempDir::new();
    let (tcp, stream) = (StreamAgent::tcp(), StreamAgent::unix(&directory.join("stream")));
    let datagram = UnixDatagram::bind(directory.join("datagram")).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    tcp.set_mood(Mood::Deaf);
    stream.set_mood(Mood::Deaf);
    for (address, may_take_all) in [
        (tcp.address(), false),
        (stream.address(), false),
        (unix_address(&directory.join("datagram")), false),
        (format!("udp://{}", udp.local_addr().unwrap()), true),
    ] {
        let guard = not_held(&address);
        let lost = guard.client().stats().dropped(DropReason::Transport).packets;
        assert!(may_take_all || lost > 0, "{address}: its buffers never end");
    }
    drop(datagram);
}

#[test]
fn an_agent_that_never_accepts_holds_no_flush_for_longer_than_the_write_timeout() {
    let directory = TempDir::new();
    let (tcp, stream) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), UnixListener::bind(directory.join("agent")).unwrap());
    let path = directory.join("agent");
    for address in
        [format!("tcp://{}", tcp.local_addr().unwrap()), format!("unixstream://{}", path.display())]
    {
        drop(not_held(&address));
    }
    drop(stream);
}

#[test]
fn an_agent_that_is_slow_holds_no_flush_for_longer_than_the_write_timeout() {
    let directory = TempDir::new();
    let (tcp, stream) = (StreamAgent::tcp(), StreamAgent::unix(&directory.join("stream")));
    let datagram = UnixDatagram::bind(directory.join("datagram")).unwrap();
    tcp.set_mood(Mood::Slow);
    stream.set_mood(Mood::Slow);
    // A packet every 30 ms: none of them is waited for in vain.
    datagram.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Until the other end is dropped, by a test that failed too.
            while stopped.recv_timeout(Duration::from_millis(30)) == Err(RecvTimeoutError::Timeout) {
                let _ = datagram.recv(&mut [0; 16]);
            }
        });
        let _stop = stop;
        for address in [tcp.address(), stream.address(), unix_address(&directory.join("datagram"))] {
            drop(not_held(&address));
        }
    });
}

#[test]
fn a_packet_that_was_cut_is_dropped_and_the_next_connection_begins_with_a_whole_one() {
    let directory = TempDir::new();
    for agent in [StreamAgent::tcp(), StreamAgent::unix(&directory.join("agent"))] {
        let is_tcp = agent.address().starts_with("tcp");
        agent.set_mood(Mood::Deaf);
        let guard = client_of(agent.address());
        let gauges = long_gauges(&guard);
        // Until a connection is full within a packet.
        wait_until(|| {
            flush_unasked(guard.client());
            agent.connections() > 1
        });
        agent.set_mood(Mood::Eager);
        drop(gauges);
        guard.client().counter("jobs").increment(1);
        guard.client().flush(PATIENCE).unwrap();
        wait_until(|| {
            guard.client().counter("last").increment(1);
            guard.client().flush(PATIENCE).unwrap();
            agent.received().last().is_some_and(|bytes| bytes.ends_with(b"last:1|c|#task_id:0042\n"))
        });
        let stats = guard.client().stats();
        assert_conserved(&stats);
        assert!(stats.dropped(DropReason::Transport).packets > 0);
        drop(guard);
        // What it took of the first connections it may read after the last one's.
        agent.hear_out();
        let received = agent.received();
        let (mut whole, mut cut) = (0_u64, 0);
        for bytes in &received {
            let packets = if is_tcp { vec![bytes.clone()] } else { unframed(bytes).0 };
            for packet in &packets {
                let end = packet.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
                let (lines, rest) = packet.split_at(end);
                for line in text(lines).lines() {
                    let mut name = line.split(['.', ':']).next().unwrap_or_default().chars();
                    let is_known = ["jobs", "last"].contains(&name.as_str())
                        || name.next() == Some('n') && name.as_str().parse::<u32>().is_ok();
                    let is_whole =
                        is_known && line.ends_with("|#task_id:0042") && line.matches('#').count() == 1;
                    assert!(is_whole, "{line:?}");
                    whole += 1;
                }
                cut += usize::from(!rest.is_empty());
            }
        }
        assert!(whole >= stats.sent.lines, "{whole} of {}: what is booked as sent came", stats.sent.lines);
        assert!(cut < received.len(), "the last connection ends with a whole line");
    }
}

/// A client that is given one value a flush.
fn send_one(guard: &Guard) {
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_conserved(&guard.client().stats());
}

fn dropped(guard: &Guard) -> u64 {
    guard.client().stats().dropped(DropReason::Transport).values
}

#[test]
fn an_agent_that_hung_up_is_noticed_before_a_line_is_lost() {
    let start: [fn(&TempDir) -> StreamAgent; 2] =
        [|_| StreamAgent::tcp(), |directory| StreamAgent::unix(&directory.join("agent"))];
    for start in start {
        in_time(|| {
            let directory = TempDir::new();
            let agent = start(&directory);
            let guard = client_of(agent.address());
            for round in 1..=10 {
                send_one(&guard);
                // A connection that lasted for so long may be followed at once by the next.
                std::thread::sleep(Duration::from_millis(30));
                send_one(&guard);
                let sent = usize::try_from(guard.client().stats().sent.lines).unwrap();
                wait_until(|| agent.received().iter().map(|bytes| text_lines(bytes)).sum::<usize>() == sent);
                agent.hang_up();
                if dropped(&guard) > 0 {
                    return None;
                }
                assert_eq!((sent, agent.connections()), (2 * round, round), "{}", agent.address());
            }
            Some(())
        });
    }
}

fn text_lines(bytes: &[u8]) -> usize {
    text(bytes).lines().count()
}

#[test]
fn a_new_file_at_the_path_is_another_agent_though_the_old_one_still_listens_to_its_streams() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let mut old = StreamAgent::unix(&path);
    let guard = client_of(old.address());
    send_one(&guard);
    for _ in 0..4 {
        let new = StreamAgent::unix(&directory.join("beside"));
        std::fs::rename(directory.join("beside"), &path).unwrap();
        wait_until(|| old.received().iter().map(|bytes| text_lines(bytes)).sum::<usize>() == 1);
        let before = old.received();
        send_one(&guard);
        wait_until(|| new.received().iter().map(|bytes| text_lines(bytes)).sum::<usize>() == 1);
        assert_eq!(old.received(), before, "the old one gets no more");
        old = new;
    }
    assert_eq!(dropped(&guard), 0);
}

/// Sends values until one arrives.
#[track_caller]
fn assert_comes_back(guard: &Guard, arrived: impl Fn() -> bool) {
    let start = Instant::now();
    while !arrived() {
        assert!(start.elapsed() < PATIENCE, "it never came: {}", guard.client().stats());
        send_one(guard);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_agent_that_comes_late_or_again_is_found_and_the_values_between_are_counted() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let free = StreamAgent::tcp().socket_address();
    let start: [&dyn Fn() -> StreamAgent; 2] = [
        &|| {
            let mut agent = None;
            wait_until(|| {
                agent = StreamAgent::tcp_at(free).ok();
                agent.is_some()
            });
            agent.unwrap()
        },
        &|| {
            let _ = std::fs::remove_file(&path);
            StreamAgent::unix(&path)
        },
    ];
    for (start, address) in
        start.into_iter().zip([format!("tcp://{free}"), format!("unixstream://{}", path.display())])
    {
        let guard = client_of(address);
        for round in 1..=3 {
            let before = dropped(&guard);
            wait_until(|| {
                send_one(&guard);
                dropped(&guard) > before
            });
            let agent = start();
            assert_comes_back(&guard, || agent.received().iter().any(|bytes| !bytes.is_empty()));
            assert!(dropped(&guard) >= round);
        }
    }
}

#[test]
fn an_address_where_no_agent_can_be_costs_what_is_sent_there_and_nothing_else() {
    let directory = TempDir::new();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let folder = directory.join("");
    std::fs::write(directory.join("file"), "no socket").unwrap();
    let datagram = UnixDatagram::bind(directory.join("datagram")).unwrap();
    let under = |scheme: &str, path: &Path| format!("{scheme}://{}", path.display());
    for address in [
        "tcp://no-such-host.invalid:8125".to_owned(),
        "udp://no-such-host.invalid:8125".to_owned(),
        format!("tcp://{closed}"),
        under("unix", &folder),
        under("unixstream", &folder),
        under("unixstream", &directory.join("file")),
        under("unixstream", &directory.join("nothing")),
        // Of another sort than what listens there.
        under("unixstream", &directory.join("datagram")),
    ] {
        unless_the_machine_stands_still(|| {
            let guard = client_of(address.clone());
            let worker = Worker::of(&guard);
            let send = |round| {
                let held = worker.held_in(|| send_one(&guard));
                assert_eq!((dropped(&guard), guard.client().stats().sent.values), (round, 0), "{address}");
                held
            };
            let longest = (1..=3).map(send).max().unwrap_or_default();
            if longest < WRITE_TIMEOUT + BUSY { Ok(()) } else { Err(format!("{address}: {longest:?}")) }
        });
    }
    drop(datagram);
}

#[test]
fn an_agent_that_speaks_does_not_lose_what_is_sent_to_it() {
    use std::io::{Read, Write};
    let (listener, guard) = in_time(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let guard = client_of(format!("tcp://{}", listener.local_addr().unwrap()));
        send_one(&guard);
        (dropped(&guard) == 0).then_some((listener, guard))
    });
    let mut stream = listener.accept().unwrap().0;
    stream.write_all(&[b'x'; 5000]).unwrap();
    send_one(&guard);
    stream.write_all(&[b'x'; 5000]).unwrap();
    drop(guard);
    let mut received = String::new();
    // Had its words been left unread, the connection would end with a reset.
    stream.read_to_string(&mut received).unwrap();
    assert_eq!(received, "jobs:1|c|#task_id:0042\n".repeat(2));
}

/// A port that nobody gets, and where the kernel refuses what is sent.
fn closed_udp_port() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.connect(address).unwrap();
    (socket, address)
}

#[test]
fn all_packets_of_a_long_flush_are_refused_where_nobody_listens() {
    let (_held, address) = closed_udp_port();
    let guard = client_of(format!("udp://{address}"));
    let _gauges = gauges(&guard, 2000);
    let mut flush = 0;
    wait_until(|| {
        guard.client().flush(PATIENCE).unwrap();
        flush += 1;
        let stats = guard.client().stats();
        assert_conserved(&stats);
        assert_eq!(stats.accepted.lines, 2000 * flush);
        // The kernel may be interrupted before it has refused a packet; then it refuses it too late to be told of. That
        // may go for all of a flush, but not for a tenth of many.
        let looks_sent = stats.sent.packets as f64 / stats.accepted.packets as f64;
        flush >= 20 && (!cfg!(target_os = "linux") || looks_sent < 0.1)
    });
}

#[test]
fn all_packets_of_a_long_flush_are_sent_where_somebody_listens() {
    let agent = Agent::udp();
    let guard = client_of(agent.address());
    let _gauges = gauges(&guard, 1000);
    for flush in 1..=20 {
        guard.client().flush(PATIENCE).unwrap();
        let stats = guard.client().stats();
        assert_eq!((stats.sent.lines, stats.dropped_total().lines), (1000 * flush, 0));
        // What was booked came, as it was, and in its order.
        let lines = agent.lines(1000);
        assert_eq!(lines.len(), 1000);
        assert!(lines.iter().enumerate().all(|(number, line)| {
            *line == format!("a.name.of.some.length.{number}:1.5|g|#task_id:0042")
        }));
    }
}

#[test]
fn packets_hold_as_much_as_the_doc_of_their_transport_says() {
    let directory = TempDir::new();
    let (tcp, stream) = (StreamAgent::tcp(), StreamAgent::unix(&directory.join("stream")));
    let largest = |builder: ClientBuilder| {
        in_time(|| {
            let guard = builder.clone().build().unwrap();
            let gauges = gauges(&guard, 1000);
            guard.client().flush(PATIENCE).unwrap();
            let sent = guard.client().stats().sent;
            drop(gauges);
            (dropped(&guard) == 0).then(|| sent.bytes.div_ceil(sent.packets))
        })
    };
    let builder = || support::builder().telemetry(false);
    let tcp = largest(builder().agent(tcp.address()));
    let stream = largest(builder().agent(stream.address()));
    let writer = largest(builder().writer(std::io::sink()));
    // The last one is not full.
    assert!((6000..=8192).contains(&tcp) && (6000..=8192).contains(&stream), "{tcp} {stream}");
    assert!((3000..=4096).contains(&writer), "{writer}");
}
