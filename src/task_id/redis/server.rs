//! Leases on a Redis server: one sorted set, whose members are the holders and whose scores are the expiry times.

use super::link::Link;
use super::shown_url::ShownUrl;
use crate::task_id::TaskIdPool;
use rand::TryRng;
use rand::rngs::SysRng;
use std::fmt;
use std::time::Duration;

/// The default time after which a lease that is not renewed expires.
pub(super) const DEFAULT_LEASE: Duration = Duration::from_secs(30);
const MIN_LEASE: Duration = Duration::from_secs(1);
const MAX_LEASE: Duration = Duration::from_secs(3600);
/// The longest that one call waits for the server. A short lease waits for less.
const MAX_TIMEOUT: Duration = Duration::from_secs(1);

/// Renews a member, or takes a free number: the previous one, else the first from `start` on. Returns the number (0 if
/// none is free or none is wanted) and how many are held. A number that this holder took before without receiving the
/// answer is taken for it again.
const HOLD: &str = r"
local key, token = KEYS[1], ARGV[1]
local number, lease, start, size = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
local function hold(n)
  redis.call('ZADD', key, now + lease, n .. ':' .. token)
  if redis.call('PTTL', key) < lease then redis.call('PEXPIRE', key, lease) end
  return {n, redis.call('ZCARD', key)}
end
local live = redis.call('ZCARD', key)
if number < 0 then return {0, live} end
if number > 0 and redis.call('ZSCORE', key, number .. ':' .. token) then return hold(number) end
if live >= size then return {0, live} end
local held = {}
for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
  local n = tonumber(string.match(member, '^%d+'))
  if number == 0 and string.sub(member, -#token) == token then return hold(n) end
  held[n] = true
end
if number > 0 and not held[number] then return hold(number) end
for i = 0, size - 1 do
  local n = (start - 1 + i) % size + 1
  if not held[n] then return hold(n) end
end
return {0, live}
";

/// Where to lease: the server, the key, and the time of a lease.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::task_id) struct Place {
    url: String,
    key: String,
    pub(in crate::task_id) lease: Duration,
}

impl Place {
    pub(in crate::task_id) fn new(url: String, key: String) -> Self {
        Self { url, key, lease: DEFAULT_LEASE }
    }

    /// Describes what is wrong with the time of a lease.
    pub(in crate::task_id) fn check_lease(&self) -> Result<(), String> {
        if (MIN_LEASE..=MAX_LEASE).contains(&self.lease) {
            Ok(())
        } else {
            Err(format!("it must be from {MIN_LEASE:?} to {MAX_LEASE:?}"))
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, key {}", ShownUrl(&self.url), self.key)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Asks for a number: this one if possible, else any.
    Number(Option<u32>),
    /// Asks only how many are held.
    Count,
}

/// The server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// `None` if the pool is full.
    pub(super) number: Option<u32>,
    pub(super) live: u32,
}

/// A server, and the connection to it if there is one.
pub(super) struct Server {
    client: redis::Client,
    connection: Option<Link>,
    place: Place,
    pool: TaskIdPool,
    // Nobody else knows it. A forked child draws its own.
    token: String,
}

impl Server {
    /// Checks the URL and sends nothing yet. `Err` holds what is wrong with the URL.
    pub(super) fn new(place: &Place, pool: TaskIdPool) -> Result<Self, String> {
        let client = redis::Client::open(place.url.as_str()).map_err(|error| error.to_string())?;
        let mut token = [0; 16];
        SysRng.try_fill_bytes(&mut token).map_err(|error| error.to_string())?;
        let token = format!("{:032x}", u128::from_le_bytes(token));
        Ok(Self { client, connection: None, place: place.clone(), pool, token })
    }

    /// Renews or takes a lease, in one round trip.
    pub(super) fn ask(&mut self, wish: Wish) -> Result<Answer, String> {
        let number = match wish {
            Wish::Number(number) => number.map_or(0, i64::from),
            Wish::Count => -1,
        };
        let start = self.pool.draw().map_err(|error| error.to_string())?.number();
        let lease = u64::try_from(self.place.lease.as_millis()).unwrap_or(u64::MAX);
        let mut script = redis::cmd("EVAL");
        script.arg(HOLD).arg(1).arg(&self.place.key).arg(&self.token);
        script.arg(number).arg(lease).arg(start).arg(self.pool.size());
        let (number, live): (u32, u32) = self.query(&script)?;
        if number > self.pool.size() {
            return Err(format!("the key holds something else: it answers {number}"));
        }
        Ok(Answer { number: Some(number).filter(|number| *number != 0), live })
    }

    /// Gives a lease back. If another process holds it by now, that process keeps it.
    pub(super) fn give_back(&mut self, number: u32) -> Result<(), String> {
        let member = format!("{number}:{}", self.token);
        self.query(redis::cmd("ZREM").arg(&self.place.key).arg(member))
    }

    fn query<T: redis::FromRedisValue>(&mut self, command: &redis::Cmd) -> Result<T, String> {
        // The connection is closed after an error: a late answer would be taken for the next one's.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let answer = connection.query(command)?;
        self.connection = Some(connection);
        Ok(answer)
    }

    fn connect(&self) -> Result<Link, String> {
        Link::open(self.client.get_connection_info(), (self.place.lease / 6).min(MAX_TIMEOUT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_its_password() {
        let place = Place::new("redis://:secret@cache".to_owned(), "tasks".to_owned());
        assert_eq!(place.to_string(), "redis://***@cache, key tasks");
        assert_eq!(format!("{place:?}"), place.to_string());
    }

    #[test]
    fn a_lease_lasts_a_second_to_an_hour() {
        let check = |lease| Place { lease, ..Place::new(String::new(), String::new()) }.check_lease();
        for lease in [MIN_LEASE, DEFAULT_LEASE, MAX_LEASE] {
            assert_eq!(check(lease), Ok(()));
        }
        let nano = Duration::from_nanos(1);
        for lease in [Duration::ZERO, MIN_LEASE.saturating_sub(nano), MAX_LEASE + nano] {
            assert_eq!(check(lease), Err("it must be from 1s to 3600s".to_owned()));
        }
    }
}
