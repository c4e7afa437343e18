//! A task id that is leased in Redis is no other live process's, whatever happens to processes, server and network.
//!
//! The tests need `redis-server`, and say on standard error that they were skipped where `TASKTAG_TEST_REDIS` does not
//! say where that is. `.ci/run` installs it. The processes are copies of this test. Some seconds of killing and
//! starting are the default; a minute of it is
//!
//! ```sh
//! LEASES_REDIS_SECONDS=60 LEASES_REDIS_PROCESSES=300 cargo test --features redis,testing --test leases_redis -- --nocapture at_random
//! ```

#![cfg(all(unix, feature = "redis"))]

#[path = "leases_redis/server.rs"]
mod server;
mod support;

use server::{Diary, Held, Holder, KEY, LEASE, LONG, PASSWORD, POOL, Redis, URL, client, nanos};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::stream_agent::{Mood, StreamAgent};
use support::{PATIENCE, TempDir, assert_conserved, wait_until};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{
    Client, DropReason, Guard, QueueStatus, TaskIdClaim, TaskIdPool, TaskIdSource, TaskIdSourceKind,
};

/// The long form.
const SECONDS: &str = "LEASES_REDIS_SECONDS";
const PROCESSES: &str = "LEASES_REDIS_PROCESSES";

/// What the other tests start, kill, stop, and read the diary of.
#[test]
fn child_holds_a_lease() {
    let Ok(url) = std::env::var(URL) else { return };
    let number = |variable| std::env::var(variable).unwrap().parse::<u32>().unwrap();
    let source =
        TaskIdSource::leased_in_redis(url, KEY).lease_time(Duration::from_millis(number(LEASE).into()));
    let builder = Client::builder().capture(&Capture::new()).flush_interval(Duration::from_millis(20));
    let builder = builder.task_id_pool(TaskIdPool::new(number(POOL)).unwrap()).task_id_from(source);
    // Redis may be paused when this starts.
    let guard = loop {
        match builder.clone().build() {
            Ok(guard) => break guard,
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    };
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // The end of the input is the end of whoever started this, if nothing else.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            ended.store(true, Ordering::Relaxed);
        });
        let mut output = std::io::stdout().lock();
        // The harness leaves its own line unfinished.
        let _ = writeln!(output);
        while !ended.load(Ordering::Relaxed) {
            let (before, id, after) = (nanos(), guard.client().task_id(), nanos());
            let losses = guard.client().stats().lost_task_ids;
            let _ = writeln!(output, "{before} {} {} {losses} {after}", id.source(), id.number());
            let _ = output.flush();
            thread::sleep(Duration::from_millis(10));
        }
    });
    drop(guard);
}

fn kind(claim: &TaskIdClaim) -> TaskIdSourceKind {
    claim.task_id().source()
}

// One holder and its server.

#[test]
fn all_of_a_pool_have_ids_of_their_own_whichever_way_they_come_and_the_next_shares() {
    const SIZE: u32 = 40;
    let Some(redis) = Redis::start() else { return };
    let pool = TaskIdPool::new(SIZE).unwrap();
    let urls = [redis.socket_url(), redis.port_url()];
    let claim = |place: u32| {
        TaskIdSource::leased_in_redis(&urls[place as usize % 2], KEY).lease_time(LONG).claim(pool).unwrap()
    };
    let mut claims: Vec<_> = (0..SIZE).map(claim).collect();
    let ids: BTreeSet<_> = claims.iter().map(|claim| claim.task_id().number()).collect();
    assert_eq!(ids, (1..=SIZE).collect());
    assert!(claims.iter().all(|claim| kind(claim) == TaskIdSourceKind::Leased));
    assert_eq!(kind(&claim(0)), TaskIdSourceKind::Shared);

    let given_back = claims.swap_remove(7).task_id().number();
    wait_until(|| redis.held() == (1..=SIZE).filter(|number| *number != given_back).collect::<Vec<_>>());
    let next = claim(1);
    assert_eq!((kind(&next), next.task_id().number()), (TaskIdSourceKind::Leased, given_back));
    drop((next, claims));
    // Nothing is left behind.
    wait_until(|| redis.call::<u32>(&["EXISTS", KEY]) == 0);
}

#[test]
fn processes_that_start_together_do_not_begin_at_the_same_number() {
    let Some(redis) = Redis::start() else { return };
    let numbers: Vec<_> = (0..8).map(|_| redis.claim(1000, LONG).task_id().number()).collect();
    assert!(numbers.iter().any(|number| *number != numbers[0]), "{numbers:?}");
}

#[test]
fn a_full_pool_costs_a_start_no_more_than_an_empty_one() {
    const ROUNDS: usize = 41;
    let Some((empty, full)) = Redis::start().zip(Redis::start()) else { return };
    (1..=1000).for_each(|number| full.take(number));
    let start = |redis: &Redis, wanted| {
        let began = Instant::now();
        let claim = redis.claim(1000, LONG);
        let took = began.elapsed();
        assert_eq!(kind(&claim), wanted);
        took
    };
    let mut times: Vec<(Duration, Duration)> = (0..ROUNDS)
        .map(|_| (start(&empty, TaskIdSourceKind::Leased), start(&full, TaskIdSourceKind::Shared)))
        .collect();
    let mut median = |of: fn(&(Duration, Duration)) -> Duration| {
        times.sort_unstable_by_key(of);
        of(&times[ROUNDS / 2])
    };
    let (first, late) = (median(|(first, _)| *first), median(|(_, late)| *late));
    println!("a start takes {first:?} in an empty pool, {late:?} in a full one");
    assert!(late < first * 3, "{first:?} {late:?}");
    // And one that has a single bucket left.
    let () = full.call(&["ZREM", KEY, &format!("500:{:032x}", 500)]);
    let began = Instant::now();
    let claim = full.claim(1000, LONG);
    println!("and {:?} where one is left", began.elapsed());
    assert_eq!(claim.task_id().number(), 500);
}

#[test]
fn a_lease_is_renewed_for_as_long_as_its_client_lives_and_given_back_at_once() {
    let Some(redis) = Redis::start() else { return };
    let (lease, capture) = (Duration::from_secs(9), Capture::new());
    let guard = client(&redis, &capture, 1, lease);
    let start = Instant::now();
    while start.elapsed() < lease + Duration::from_secs(1) {
        assert_eq!(guard.client().task_id().source(), TaskIdSourceKind::Leased);
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((redis.held(), guard.client().stats().lost_task_ids), (vec![1], 0));
    assert_eq!(kind(&redis.claim(1, lease)), TaskIdSourceKind::Shared);
    guard.shutdown(PATIENCE).unwrap();
    wait_until(|| redis.held().is_empty());
    assert_eq!(kind(&redis.claim(1, lease)), TaskIdSourceKind::Leased);
}

#[test]
fn what_is_held_and_by_how_many_is_on_the_wire() {
    let Some(redis) = Redis::start() else { return };
    let held: Vec<_> = (0..3).map(|_| redis.claim(10, LONG)).collect();
    let capture = Capture::new();
    let guard = client(&redis, &capture, 10, LONG);
    let tag = guard.client().task_id().tag().to_owned();
    guard.client().gauge("level").set(1.0);
    drop(guard);
    let lines = capture.take_lines();
    for line in [
        format!("level:1|g|#{tag}"),
        format!("tasktag.task_id.pool_size:10|g|#task_id_source:leased,{tag}"),
        format!("tasktag.task_id.live:4|g|#task_id_source:leased,{tag}"),
        format!("tasktag.task_id.fill:0.4|g|#task_id_source:leased,{tag}"),
    ] {
        assert!(lines.contains(&line), "{line}: {lines:#?}");
    }
    drop(held);
}

// A server that hangs, goes or forgets.

/// Whoever is asked, the id is given up before the lease can expire; and everything that is sent says so.
fn is_given_up(redis: &Redis, pause: impl FnOnce(), resume: impl FnOnce()) {
    let (lease, capture) = (Duration::from_secs(3), Capture::new());
    let guard = client(redis, &capture, 1000, lease);
    let client = guard.client();
    let (before, level) = (client.task_id(), client.gauge("level").tag("pool", "db").tag("", "x").register());
    level.set(1.0);
    client.flush(PATIENCE).unwrap();
    assert!(capture.take_lines().contains(&format!("level:1|g|#pool:db,{}", before.tag())));
    let refused = client.stats().refused_tags;

    pause();
    let paused = Instant::now();
    // Not too late, and not before there was need. What counts is when it was asked for, whenever this goes on.
    let mut asked = Duration::ZERO;
    wait_until(|| {
        thread::sleep(Duration::from_millis(1));
        let now = paused.elapsed();
        let is_given_up = client.task_id().source() == TaskIdSourceKind::Shared;
        asked = if is_given_up { asked } else { now };
        is_given_up
    });
    let gave_up = paused.elapsed();
    assert!(gave_up > lease / 3 && asked < lease * 5 / 6, "{gave_up:?}, and had at {asked:?}");
    let shared = client.task_id();
    assert_ne!(shared.number(), before.number());
    client.flush(PATIENCE).unwrap();
    let lines = capture.take_lines();
    assert!(lines.contains(&format!("level:1|g|#pool:db,{}", shared.tag())), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains(before.tag())), "{lines:#?}");
    let stats = client.stats();
    assert_eq!((stats.lost_task_ids, stats.shared_task_ids, stats.refused_tags), (1, 1, refused));

    thread::sleep(lease.saturating_sub(paused.elapsed()) + Duration::from_millis(500));
    resume();
    wait_until(|| client.task_id().source() == TaskIdSourceKind::Leased);
    let again = client.task_id();
    assert_eq!(redis.held(), [again.number()]);
    level.set(2.0);
    client.flush(PATIENCE).unwrap();
    assert!(capture.take_lines().contains(&format!("level:2|g|#pool:db,{}", again.tag())));
    assert_eq!((client.stats().lost_task_ids, client.stats().dropped_total().values), (1, 0));
    drop(guard);
    let lines = capture.take_lines();
    let counted = |name: &str| {
        lines.iter().any(|line| line.starts_with(&format!("datadog.dogstatsd.client.{name}:1|c")))
    };
    assert!(counted("task_ids_lost") && counted("task_ids_shared"), "{lines:#?}");
}

#[test]
fn while_the_server_stands_still_an_id_is_given_up_before_it_can_be_another_process_s() {
    let Some(redis) = Redis::start() else { return };
    is_given_up(&redis, || redis.signal("STOP"), || redis.signal("CONT"));
}

#[test]
fn while_the_server_answers_nobody_an_id_is_given_up_before_it_can_be_another_process_s() {
    let Some(redis) = Redis::start() else { return };
    // Longer than the lease, and then it goes on by itself: what is sent meanwhile is run afterwards.
    is_given_up(&redis, || redis.call(&["CLIENT", "PAUSE", "4000", "ALL"]), || ());
}

#[test]
fn an_id_is_given_up_in_time_while_the_worker_is_stuck_and_what_it_sends_then_says_so() {
    let Some(redis) = Redis::start() else { return };
    let (lease, capture) = (Duration::from_secs(2), Capture::new());
    let pool = TaskIdPool::new(1000).unwrap();
    let builder = Client::builder().capture(&capture).task_id_pool(pool).task_id_from(redis.source(lease));
    let guard = builder.flush_interval(LONG).shutdown_timeout(PATIENCE).build().unwrap();
    let before = guard.client().task_id();
    let (stuck, go_on) = (AtomicBool::new(false), AtomicBool::new(false));
    let flags: &'static (AtomicBool, AtomicBool) = Box::leak(Box::new((stuck, go_on)));
    let _watch = guard.client().watch_queue("jobs", move || {
        flags.0.store(true, Ordering::Relaxed);
        wait_until(|| flags.1.load(Ordering::Relaxed));
        QueueStatus::default()
    });
    wait_until(|| flags.0.load(Ordering::Relaxed));
    redis.signal("STOP");
    wait_until(|| guard.client().task_id().source() == TaskIdSourceKind::Shared);
    flags.1.store(true, Ordering::Relaxed);
    guard.client().gauge("level").set(1.0);
    guard.client().flush(PATIENCE).unwrap();
    let lines = capture.take_lines();
    assert!(lines.iter().any(|line| line.starts_with("level:1|g|")), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains(before.tag())), "{lines:#?}");
    redis.signal("CONT");
}

#[test]
fn packets_of_a_flush_that_outlasts_its_lease_are_dropped_and_counted() {
    let Some(redis) = Redis::start() else { return };
    let directory = TempDir::new();
    let agent = StreamAgent::unix(&directory.join("agent"));
    agent.set_mood(Mood::Deaf);
    let builder = Client::builder().agent(agent.address()).telemetry(false).channel_capacity(20_000);
    let builder = builder.task_id_from(redis.source(Duration::from_secs(3)));
    let guard = builder.flush_interval(LONG).shutdown_timeout(PATIENCE).build().unwrap();
    let client = guard.client();
    let before = client.task_id().tag().to_owned();
    // Several times of what a socket holds.
    let users = client.set("users").register();
    (0..5000).for_each(|user| users.insert(&format!("{user:0200}")));
    thread::scope(|scope| {
        let flush = scope.spawn(|| client.flush(PATIENCE));
        wait_until(|| client.stats().accepted.packets > 0);
        redis.signal("STOP");
        wait_until(|| client.task_id().source() == TaskIdSourceKind::Shared);
        agent.set_mood(Mood::Eager);
        flush.join().unwrap().unwrap();
    });
    redis.signal("CONT");
    let stats = client.stats();
    assert_conserved(&stats);
    assert_eq!(stats.dropped(DropReason::LeaseLost), stats.dropped_total());
    assert!(stats.sent.values > 0 && stats.dropped_total().values > 0, "{stats}");
    assert_eq!(losses_of(&guard), 1);
    drop(guard);
    // Behind four bytes of its length each.
    let (bytes, packets) =
        (usize::try_from(stats.sent.bytes).unwrap(), usize::try_from(stats.sent.packets).unwrap());
    let received = agent.received_until(bytes + 4 * packets).concat();
    let received = String::from_utf8_lossy(&received);
    assert_eq!(received.matches(&before).count() as u64, stats.sent.lines);
}

#[test]
fn a_process_that_stood_still_for_longer_than_its_lease_does_not_go_by_it_any_more() {
    let Some(redis) = Redis::start() else { return };
    // Until it is over, the holder is to be stopped and another one turned away.
    let lease = Duration::from_secs(3);
    let holder = Holder::start(&redis.socket_url(), 1, lease);
    holder.wait(|diary| diary.leased() == Some(1));
    holder.signal("STOP");
    // Nobody knows that it stands still.
    assert_eq!(kind(&redis.claim(1, LONG)), TaskIdSourceKind::Shared);
    let mut next = None;
    wait_until(|| {
        thread::sleep(lease / 10);
        let claim = redis.claim(1, LONG);
        next = Some(claim).filter(|claim| kind(claim) == TaskIdSourceKind::Leased);
        next.is_some()
    });
    let taken = nanos();
    holder.signal("CONT");
    holder.wait_for_news();
    holder.wait(|diary| diary.losses == 1);
    let diary = holder.kill();
    assert_eq!(diary.leased(), None);
    assert!(diary.shared > 0 && diary.held.iter().all(|held| held.to < taken), "{taken}: {diary:?}");
    assert_eq!(redis.held(), [1], "the next one's");
}

#[test]
fn a_restart_of_the_server_is_outlived_under_the_same_id() {
    let Some(mut redis) = Redis::start() else { return };
    let holders: Vec<_> = (0..4).map(|_| redis.claim(1000, Duration::from_secs(20))).collect();
    let numbers = |holders: &[TaskIdClaim]| holders.iter().map(TaskIdClaim::task_id).collect::<BTreeSet<_>>();
    let before = numbers(&holders);
    // Not what is held: that may be there again by the time that it is asked for.
    let () = redis.call(&["SET", "witness", ""]);
    redis.restart();
    assert_eq!(redis.call::<u32>(&["EXISTS", "witness"]), 0, "it has forgotten them");
    wait_until(|| redis.held().len() == 4);
    assert_eq!(numbers(&holders), before);
    assert!(holders.iter().all(|claim| kind(claim) == TaskIdSourceKind::Leased));
}

/// As a flush told it.
fn losses_of(guard: &Guard) -> u64 {
    guard.client().flush(PATIENCE).unwrap();
    guard.client().stats().lost_task_ids
}

#[test]
fn what_the_server_gave_to_another_is_lost_at_the_next_renewal_and_stays_the_others() {
    let Some(redis) = Redis::start() else { return };
    let (lease, capture) = (Duration::from_secs(6), Capture::new());
    let guard = client(&redis, &capture, 2, lease);
    let before = guard.client().task_id().number();
    redis.take_all_and_leave(&[before]);
    // A change that is seen at all is seen whole.
    wait_until(|| guard.client().task_id().number() != before);
    assert_eq!(guard.client().task_id().source(), TaskIdSourceKind::Leased);
    wait_until(|| losses_of(&guard) > 0);
    assert_eq!((guard.client().stats().lost_task_ids, redis.held()), (1, vec![1, 2]));

    // The other one is gone, too, and there is no third.
    redis.take_all_and_leave(&[1, 2]);
    wait_until(|| guard.client().task_id().source() == TaskIdSourceKind::Shared);
    wait_until(|| losses_of(&guard) > 1);
    let stats = guard.client().stats();
    assert_eq!(
        (stats.lost_task_ids, stats.shared_task_ids, stats.dropped(DropReason::LeaseLost).values),
        (2, 1, 0)
    );
    drop(guard);
    assert_eq!(redis.held(), [1, 2], "what others hold is theirs");
}

#[test]
fn a_lease_that_was_not_renewed_is_free_while_others_hold_theirs() {
    let Some(redis) = Redis::start() else { return };
    let _first = redis.claim(2, LONG);
    let free = if redis.held() == [1] { "2" } else { "1" };
    // Of a holder that was killed long ago.
    let () = redis.call(&["ZADD", KEY, "1000", &format!("{free}:gone")]);
    let next = redis.claim(2, LONG);
    assert_eq!(
        (kind(&next), next.task_id().number().to_string()),
        (TaskIdSourceKind::Leased, free.to_owned())
    );
}

#[test]
fn a_change_of_the_id_repeats_nothing_of_what_the_client_says_of_itself() {
    let Some(redis) = Redis::start() else { return };
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let builder = Client::builder().capture(&capture).clock(&clock);
    let guard = builder.task_id_from(redis.source(Duration::from_secs(2))).build().unwrap();
    let client = guard.client();
    let before = client.task_id().number();
    let report = || {
        client.gauge("level").set(1.0);
        clock.advance(Duration::from_secs(11));
    };
    report();
    redis.take_all_and_leave(&[before]);
    wait_until(|| client.task_id().number() != before);
    report();
    let lines = capture.take_lines();
    let sent = |line: &String| {
        let count = line.strip_prefix("datadog.dogstatsd.client.metrics:")?.split('|').next()?;
        Some(count.parse::<u64>().unwrap())
    };
    assert!(lines.iter().filter_map(sent).count() > 1, "{lines:#?}");
    assert_eq!(lines.iter().filter_map(sent).sum::<u64>(), client.stats().accepted.values);
}

// Setting up.

#[test]
fn a_password_is_in_no_error_and_in_no_debug_output() {
    let Some(redis) = Redis::start() else { return };
    let port = redis.port();
    for (url, reason) in [
        (format!("redis://:{PASSWORD}-not@127.0.0.1:{port}"), "assword"),
        (format!("redis://:{PASSWORD}@127.0.0.1:1"), "refused"),
        (format!("rediss://:{PASSWORD}@127.0.0.1:{port}"), ""),
        (format!("redis://shop:{PASSWORD}@127.0.0.1:notaport"), ""),
        (format!("redis://shop:{PASSWORD}@127.0.0.1/database"), ""),
        (format!("unix:///nobody/here?pass={PASSWORD}"), "No such file"),
        (format!("shop:{PASSWORD}@127.0.0.1"), ""),
    ] {
        let source = TaskIdSource::leased_in_redis(&url, KEY);
        let error = source.claim(TaskIdPool::DEFAULT).unwrap_err();
        let text = format!(
            "{error} {error:?} {source} {source:?} {:?}",
            Client::builder().task_id_from(source.clone())
        );
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(
            text.contains("the setting task_id_from can't be \"leased_in_redis(") && text.contains(KEY),
            "{text}"
        );
        assert!(text.contains(reason), "{text}");
    }
    let claim = redis.claim(10, LONG);
    assert!(!format!("{claim:?}").contains(PASSWORD));
}

#[test]
fn a_server_that_says_nothing_is_an_error_within_seconds_or_the_turn_of_the_next_source() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let start = Instant::now();
    let source = TaskIdSource::leased_in_redis(&url, KEY);
    assert!(source.claim(TaskIdPool::DEFAULT).unwrap_err().to_string().contains(&url));
    // 3 s, and what a busy machine takes to notice: without a limit there would be no end.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let claim = source.or(TaskIdSource::fixed(42)).claim(TaskIdPool::DEFAULT).unwrap();
    assert_eq!((claim.task_id().number(), kind(&claim)), (42, TaskIdSourceKind::Fixed));
}

/// What an answer without an end costs: this server goes on until nobody reads any more.
#[test]
fn an_answer_without_an_end_is_read_no_further_than_any_answer_goes() {
    for (start, rest) in
        [(&b"*2147483647\r\n"[..], &b":1\r\n"[..]), (b"$2147483647\r\n", b"x"), (b"+", b"x"), (b"-", b"x")]
    {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", server.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut connection, _) = server.accept().unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(start);
            let rest = rest.repeat(1024);
            // So much fits into the buffers on the way; whoever reads on makes it more.
            let mut written = 0;
            while written < 64 << 20 && connection.write_all(&rest).is_ok() {
                written += rest.len();
            }
            written
        });
        let refused = TaskIdSource::leased_in_redis(url, "ids").claim(TaskIdPool::DEFAULT).unwrap_err();
        assert!(refused.to_string().contains("leased_in_redis"), "{refused}");
        assert!(serving.join().unwrap() < 64 << 20, "it was read on and on");
    }
}

#[test]
fn what_is_no_redis_is_an_error_that_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        listener.incoming().flatten().for_each(|mut stream: TcpStream| {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        });
    });
    let error = TaskIdSource::leased_in_redis(&url, KEY).claim(TaskIdPool::DEFAULT).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!(
            "the setting task_id_from can't be \"leased_in_redis({url}, key {KEY})\": "
        )),
        "{error}"
    );
}

#[test]
fn a_lease_of_less_than_a_second_is_an_error() {
    let source =
        TaskIdSource::leased_in_redis("redis://127.0.0.1:1", KEY).lease_time(Duration::from_millis(999));
    let error = source.claim(TaskIdPool::DEFAULT).unwrap_err().to_string();
    assert!(error.starts_with("the setting lease_time can't be \"999ms\": "), "{error}");
}

// Many processes, killed at random.

/// A number below `limit` that nobody can guess.
fn random(limit: u64) -> u64 {
    RandomState::new().build_hasher().finish() % limit
}

/// Keeps one process alive, kills it at random and starts it again, until it is late enough and enough was seen: a busy
/// machine takes longer to see as much.
fn keep(url: &str, size: u32, lease: Duration, diaries: &Mutex<Vec<Diary>>, deadline: Instant) {
    let is_enough = || {
        let held: Vec<_> =
            diaries.lock().unwrap().iter().flat_map(|diary| &diary.held).map(|held| held.number).collect();
        held.len() > size as usize && held.len() > held.iter().collect::<BTreeSet<_>>().len()
    };
    let last = deadline + PATIENCE;
    while Instant::now() < deadline || Instant::now() < last && !is_enough() {
        let holder = Holder::start(url, size, lease);
        let rest = deadline.saturating_duration_since(Instant::now()).max(lease);
        thread::sleep(Duration::from_millis(random(3000)).min(rest));
        let diary = if random(10) == 0 { holder.end() } else { holder.kill() };
        diaries.lock().unwrap().push(diary);
    }
}

/// Times at which two processes had one id.
fn overlaps(mut held: Vec<Held>) -> Vec<(Held, Held)> {
    held.retain(|held| held.from <= held.to);
    held.sort_unstable();
    let mut found = Vec::new();
    let mut latest: Option<Held> = None;
    for held in held {
        match latest {
            Some(before) if before.number == held.number => {
                if held.from <= before.to {
                    found.push((before, held));
                }
                latest = Some(if held.to > before.to { held } else { before });
            }
            _ => latest = Some(held),
        }
    }
    found
}

#[test]
fn two_processes_with_one_id_would_be_found() {
    let held = |number, from, to| Held { number, from, to, process: 1 };
    assert_eq!(overlaps(vec![held(1, 5, 9), held(2, 0, 9), held(1, 0, 4)]), []);
    assert_eq!(overlaps(vec![held(1, 5, 9), held(1, 0, 5)]).len(), 1);
    assert_eq!(overlaps(vec![held(1, 0, 90), held(1, 1, 2), held(1, 80, 81), held(1, 91, 92)]).len(), 2);
}

fn setting(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn processes_that_are_killed_at_random_never_have_one_id_at_once_though_the_server_pauses() {
    let Some(redis) = Redis::start() else { return };
    let duration = Duration::from_secs(setting(SECONDS, 8).into());
    let processes = setting(PROCESSES, 24);
    let (size, lease) = (processes * 3 / 2, Duration::from_secs(1));
    let (diaries, deadline) = (Mutex::new(Vec::new()), Instant::now() + duration);
    let urls = [redis.socket_url(), redis.port_url(), redis.other_port_url()];
    thread::scope(|scope| {
        for place in 0..processes {
            let (url, diaries) = (&urls[place as usize % urls.len()], &diaries);
            scope.spawn(move || keep(url, size, lease, diaries, deadline));
        }
        thread::sleep(duration / 3);
        redis.signal("STOP");
        thread::sleep(lease * 3 / 2);
        redis.signal("CONT");
    });
    let diaries = diaries.into_inner().unwrap();
    let count = |of: fn(&Diary) -> u64| diaries.iter().map(of).sum::<u64>();
    let held: Vec<_> = diaries.iter().flat_map(|diary| diary.held.iter().copied()).collect();
    let ids: BTreeSet<_> = held.iter().map(|held| held.number).collect();
    println!(
        "{processes} processes on a pool of {size} for {duration:?}: {} starts, {} leases of {} ids, {} lost, {} of {} \
         looks showed a shared one",
        diaries.len(),
        held.len(),
        ids.len(),
        count(|diary| diary.losses),
        count(|diary| diary.shared),
        count(|diary| diary.entries),
    );
    assert_eq!(overlaps(held.clone()), []);
    assert!(held.len() > processes as usize && held.len() > ids.len(), "ids were had one after the other");
    assert!(count(|diary| diary.losses) > 0, "the pause was noticed");
}

// One task that reports what belongs to all of them.

#[test]
fn the_lease_of_a_sole_reporter_goes_to_another_task_and_never_to_two() {
    let Some(redis) = Redis::start() else { return };
    let lease = Duration::from_secs(6);
    let start = || {
        let capture = Capture::new();
        let builder = Client::builder().capture(&capture).telemetry(false).origin_detection(false);
        let guard = builder.collect_interval(Duration::from_millis(10)).build().unwrap();
        let sole = guard.client().sole_reporter(redis.source(lease)).unwrap();
        (guard, sole)
    };
    let (first, second) = (start(), start());
    assert!(first.1.is_held() && !second.1.is_held());
    first.0.shutdown(PATIENCE).unwrap();
    assert!(!first.1.is_held());
    wait_until(|| second.1.is_held());
    // A holder that is cut off gives the lease up before the server gives it to another.
    let third = start();
    assert!(!third.1.is_held());
    redis.take_all_and_leave(&[1]);
    wait_until(|| !second.1.is_held());
    assert!(!third.1.is_held());
    let () = redis.call(&["DEL", KEY]);
    wait_until(|| second.1.is_held() || third.1.is_held());
    assert!(!(second.1.is_held() && third.1.is_held()));
}
