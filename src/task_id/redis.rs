//! Leases in Redis, for tasks of more than one host: the server's side of one, who renews it, and which id a process has
//! meanwhile.

mod link;
mod renewal;
mod server;
mod timed;
#[cfg(feature = "redis-tls")]
mod tls;

pub(super) use self::renewal::RedisLease;
pub(super) use self::server::Place;
