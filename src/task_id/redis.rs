//! Leases in Redis, for tasks on more than one host: the server's data, the renewal thread, and the id that a process
//! has meanwhile.

mod link;
mod renewal;
mod server;
mod shown_url;
mod timed;
#[cfg(feature = "redis-tls")]
mod tls;

pub(crate) use self::link::Link;
pub(crate) use self::shown_url::ShownUrl;

pub(super) use self::renewal::RedisLease;
pub(super) use self::server::Place;
