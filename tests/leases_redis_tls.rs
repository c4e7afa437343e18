//! A lease from a Redis server that speaks TLS alone, if the system trusts its certificate.
//!
//! The test needs `redis-server`, and says on standard error that it was skipped if `TASKTAG_TEST_REDIS` does not name
//! it.

#![cfg(all(feature = "redis-tls", feature = "testing", unix))]

#[path = "leases_redis/certificates.rs"]
mod certificates;
#[path = "leases_redis/server.rs"]
mod server;
mod support;

use certificates::certify;
use server::{KEY, Redis, URL};
use std::fs;
use std::path::Path;
use std::process::Command;
use support::wait_until;
use tasktag::{TaskIdPool, TaskIdSource, TaskIdSourceKind};

#[test]
fn a_lease_is_had_over_tls_from_a_server_that_the_system_trusts_and_from_no_other() {
    if let Ok(url) = std::env::var(URL) {
        match TaskIdSource::leased_in_redis(url, KEY).claim(TaskIdPool::DEFAULT) {
            Ok(claim) => {
                assert_eq!(claim.task_id().source(), TaskIdSourceKind::Leased);
                println!("leased {}", claim.task_id().number());
            }
            Err(error) => println!("refused: {error}"),
        }
        return;
    }
    let Some(redis) = Redis::start_with_tls(certify) else { return };
    let claim = |trusted: &Path| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--nocapture", "a_lease_is_had_over_tls"]);
        child.env(URL, redis.tls_url()).env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR");
        let output = child.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = claim(&redis.file("authority.pem"));
    assert!(said.contains("leased "), "{said}");
    // The claim was dropped, and its lease given back.
    wait_until(|| redis.held().is_empty());
    let directory = redis.file("other");
    fs::create_dir(&directory).unwrap();
    let [other, ..] = certify(&directory);
    let said = claim(&other);
    assert!(said.contains("refused: ") && said.contains("certificate"), "{said}");
}
