#!/usr/bin/env bash
# apalis-sqlite 1.0.0 stores a task without the number of attempts that `TaskBuilder::attempt` gave it, where
# apalis-redis 1.0.0 keeps it. A task that is moved from one to the other gets all its tries again. A failed try is due
# again at once, with no time between the tries: a task whose dependency is away for a second has used all of the 25
# that are the default before that is back, and waits for good as `Failed`.
#
#   TaskBuilder::new(…).attempt(24), pushed     attempts 0
#   a task that always fails, a second later    status Failed, attempts 25 of 25
#
# What to do: set `max_attempts` to what is left, and wait in the task before it fails.
#
# Needs bash, a C compiler, and a cargo that reaches crates.io. Ends with 0 while this is so, and with 1 when it has
# changed.
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
name = "attempts"
version = "0.0.0"
edition = "2024"

[dependencies]
apalis = { version = "=1.0.0", default-features = false }
apalis-sqlite = { version = "=1.0.0", default-features = false, features = ["json", "migrate", "tokio"] }
sqlx = { version = "0.9", default-features = false, features = ["runtime-tokio", "sqlite-bundled"] }
tokio = { version = "1", features = ["macros", "rt-multi-thread", "time"] }
END
cat >"$folder/src/main.rs" <<'END'
use apalis::prelude::*;
use apalis_sqlite::{Config, SqlitePool, SqliteStorage};
use std::time::{Duration, Instant};

async fn fails(_: String) -> Result<(), BoxDynError> {
    Err("it fails".into())
}

async fn stored(pool: &SqlitePool) -> (String, i64) {
    sqlx::query_as("select status, attempts from Jobs").fetch_one(pool).await.unwrap()
}

#[tokio::main]
async fn main() {
    let path = std::env::args().nth(1).unwrap();
    let pool = SqlitePool::connect(&format!("sqlite://{path}?mode=rwc")).await.unwrap();
    SqliteStorage::setup(&pool).await.unwrap();
    let mut storage: SqliteStorage<String> = SqliteStorage::new(&pool).with_config(Config::default());
    storage.push_task(TaskBuilder::new("a task".to_owned()).attempt(24).build()).await.unwrap();
    let (_, attempts) = stored(&pool).await;
    println!("stored with {attempts}");

    tokio::spawn(WorkerBuilder::new("worker").backend(storage).build(fails).run());
    let start = Instant::now();
    while stored(&pool).await != ("Failed".to_owned(), 25) && start.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (status, attempts) = stored(&pool).await;
    println!("{status} after {attempts}, in {} s", start.elapsed().as_secs());
}
END
said="$(cargo run --quiet --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target" -- "$folder/jobs.db")"
echo "apalis-sqlite 1.0.0: ${said//$'\n'/, }"
grep -qx 'stored with 0' <<<"$said" || fail "the attempts were forgotten"
grep -Eq '^Failed after 25, in ([0-9]|1[0-9]|2[0-9]) s$' <<<"$said" || fail "all tries were used within seconds"
