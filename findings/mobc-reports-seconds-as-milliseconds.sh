#!/usr/bin/env bash
# mobc 0.9.0 records how long callers waited as `mobc_client_queries_wait_histogram_ms`, in seconds. Its metrics have no
# labels, so that two pools share them, and a pool that is made sets the gauge of idle connections to 0.
#
#   a wait of 250 ms                        mobc_client_queries_wait_histogram_ms: 0.25, where the name says 250
#   one idle connection, then a new pool    mobc_pool_connections_idle: 1, then 0, though the first pool's is still idle
#   then that connection is taken           mobc_pool_connections_idle: -1
#
# What to do: multiply by 1000, have one pool in a process, or read a pool's own state.
#
# Needs bash, and a cargo that reaches crates.io. Ends with 0 while this is so, and with 1 when it has changed.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "failed: $*" >&2
    exit 1
}

mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'END'
[package]
name = "waits"
version = "0.0.0"
edition = "2021"

[dependencies]
metrics = "=0.24.6"
mobc = "=0.9.0"
tokio = { version = "1", features = ["macros", "rt-multi-thread", "sync", "time"] }
END
cat >"$folder/src/main.rs" <<'END'
use metrics::{
    Counter, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use mobc::{Manager, Pool};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WAITS: &str = "mobc_client_queries_wait_histogram_ms";
const IDLE: &str = "mobc_pool_connections_idle";

/// The last value of a metric.
#[derive(Clone, Default)]
struct Last(Arc<Mutex<f64>>);

impl Last {
    fn get(&self) -> f64 {
        *self.0.lock().unwrap()
    }
}

impl GaugeFn for Last {
    fn increment(&self, value: f64) {
        *self.0.lock().unwrap() += value;
    }

    fn decrement(&self, value: f64) {
        *self.0.lock().unwrap() -= value;
    }

    fn set(&self, value: f64) {
        *self.0.lock().unwrap() = value;
    }
}

impl HistogramFn for Last {
    fn record(&self, value: f64) {
        *self.0.lock().unwrap() = value;
    }
}

struct Recorded {
    wait: Last,
    idle: Last,
}

impl Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        assert_eq!(key.labels().len(), 0);
        if key.name() == IDLE { Gauge::from_arc(Arc::new(self.idle.clone())) } else { Gauge::noop() }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        if key.name() == WAITS { Histogram::from_arc(Arc::new(self.wait.clone())) } else { Histogram::noop() }
    }
}

struct Units;

#[mobc::async_trait]
impl Manager for Units {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn check(&self, unit: ()) -> Result<(), Self::Error> {
        Ok(unit)
    }
}

/// A returned connection is put back by a task.
async fn until(done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never happened");
}

#[tokio::main]
async fn main() {
    let (wait, idle) = (Last::default(), Last::default());
    metrics::set_global_recorder(Recorded { wait: wait.clone(), idle: idle.clone() }).ok().unwrap();
    let pool = Pool::builder().max_open(1).build(Units);
    let held = pool.get().await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { drop(pool.get().await.unwrap()) }
    });
    tokio::time::sleep(Duration::from_millis(250)).await;
    drop(held);
    waiting.await.unwrap();
    println!("wait {:.2}", wait.get());
    until(|| idle.get() == 1.0).await;
    let before = idle.get();
    let _second = Pool::builder().max_open(1).build(Units);
    let made = idle.get();
    let _held = pool.get().await.unwrap();
    println!("idle {before} {made} {}", idle.get());
}
END
said="$(cargo run --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target")"
echo "mobc 0.9.0: ${said//$'\n'/, }"
grep -Eq '^wait 0\.(2[4-9]|[3-9])' <<<"$said" || fail "the wait was some 0.25, in seconds"
grep -qx 'idle 1 0 -1' <<<"$said" || fail "the gauge was 1, then 0, then -1"
