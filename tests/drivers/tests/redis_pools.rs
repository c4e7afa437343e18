//! Pools of connections that multiplex: what they say is in use is not what is in use, and an occupancy around each
//! command is.

#[path = "../../leases_redis/server.rs"]
mod server;
#[path = "../../support/mod.rs"]
mod support;

use bb8_redis::RedisConnectionManager;
use bb8_redis::bb8::Pool;
use deadpool_redis::Config;
use redis::aio::MultiplexedConnection;
use redis::cmd;
use server::Redis;
use support::{PATIENCE, in_time, wait_until};
use tasktag::testing::Capture;
use tasktag::{Guard, Occupancy};
use tokio::runtime::Runtime;
use tokio::time::timeout;

const CALLERS: u32 = 20;
const LIST: &str = "jobs";

/// A client with an occupancy of commands under way.
struct Counted {
    guard: Guard,
    capture: Capture,
    commands: Occupancy,
}

impl Counted {
    fn new() -> Self {
        let capture = Capture::new();
        let guard = support::builder().capture(&capture).build().unwrap();
        let commands = guard.client().occupancy("redis.commands", 0).register();
        Self { guard, capture, commands }
    }

    fn in_use(&self) -> f64 {
        self.guard.client().flush(PATIENCE).unwrap();
        let metrics = self.capture.take_metrics().unwrap();
        let in_use = metrics.iter().find(|metric| metric.name == "redis.commands.in_use").unwrap();
        in_use.value.number().unwrap()
    }
}

/// A command that waits at the server until something is pushed.
async fn pop(commands: Occupancy, mut connection: MultiplexedConnection) -> String {
    let _command = commands.acquire();
    let popped: (String, String) = cmd("BLPOP").arg(LIST).arg(0).query_async(&mut connection).await.unwrap();
    popped.1
}

/// How many clients wait at the server.
fn blocked(redis: &Redis) -> u32 {
    let clients: String = redis.call(&["INFO", "clients"]);
    let line = clients.lines().find_map(|line| line.strip_prefix("blocked_clients:")).unwrap();
    line.trim().parse().unwrap()
}

/// Many callers wait on one connection, which was given back. Each of them is a command under way.
fn assert_commands_are_counted(
    redis: &Redis,
    runtime: &Runtime,
    connection: &MultiplexedConnection,
    naive_in_use: impl Fn() -> u32,
) {
    let counted = Counted::new();
    let pop = || runtime.spawn(pop(counted.commands.clone(), connection.clone()));
    let pops: Vec<_> = (0..CALLERS).map(|_| pop()).collect();
    // The others wait in the connection, behind the first.
    wait_until(|| blocked(redis) == 1);
    wait_until(|| counted.in_use() == f64::from(CALLERS));
    assert_eq!(naive_in_use(), 0);
    for n in 0..CALLERS {
        let _: u32 = redis.call(&["RPUSH", LIST, &n.to_string()]);
    }
    let popped = runtime.block_on(async {
        let mut popped = Vec::new();
        for pop in pops {
            popped.push(timeout(PATIENCE, pop).await.unwrap().unwrap());
        }
        popped
    });
    assert_eq!(popped.len(), CALLERS as usize);
    assert_eq!(counted.in_use(), 0.0);
}

#[test]
fn connections_of_deadpool_redis_are_used_after_they_were_given_back() {
    let Some(redis) = Redis::start() else { return };
    let runtime = Runtime::new().unwrap();
    let pool = Config::from_url(redis.port_url())
        .builder()
        .unwrap()
        .max_size(2)
        .runtime(deadpool_redis::Runtime::Tokio1)
        .build()
        .unwrap();
    // A busy machine may be too late for the half second that an answer has.
    let guard = in_time(|| runtime.block_on(pool.get()).ok());
    let in_use = || u32::try_from(pool.status().size - pool.status().available).unwrap();
    let connection = patient(&guard);
    assert_eq!(in_use(), 1);
    drop(guard);
    assert_commands_are_counted(&redis, &runtime, &connection, in_use);
}

#[test]
fn connections_of_bb8_redis_are_used_after_they_were_given_back() {
    let Some(redis) = Redis::start() else { return };
    let runtime = Runtime::new().unwrap();
    let manager = RedisConnectionManager::new(redis.port_url()).unwrap();
    let pool = runtime.block_on(Pool::builder().max_size(2).build(manager)).unwrap();
    // A busy machine may be too late for the half second that an answer has.
    let guard = in_time(|| runtime.block_on(pool.get()).ok());
    let in_use = || pool.state().connections - pool.state().idle_connections;
    let connection = patient(&guard);
    assert_eq!(in_use(), 1);
    drop(guard);
    assert_commands_are_counted(&redis, &runtime, &connection, in_use);
}

/// A clone of the connection in a guard, which outlives it. It waits for longer than half a second, the default.
fn patient(guard: &MultiplexedConnection) -> MultiplexedConnection {
    let mut connection = guard.clone();
    connection.set_response_timeout(PATIENCE);
    connection
}
