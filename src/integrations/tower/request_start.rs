//! When a request reached the edge, read from the timestamps that proxies write into its headers.

use super::start_header::StartHeader;
use http::HeaderMap;
use std::time::Duration;

/// The longest wait that is reported; a longer one counts as this.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(5 * 60);
/// The age above which a timestamp is refused.
pub(super) const MAX_AGE: Duration = Duration::from_secs(60 * 60);
/// How far another host's clock may be ahead of ours.
pub(super) const MAX_SKEW: Duration = Duration::from_secs(1);
/// The maximum number of timestamps read from a request, and bytes from a header.
const MAX_STAMPS: usize = 8;
const MAX_LEN: usize = 1024;

const SECOND: u64 = 1_000_000_000;
/// The first of January 2000, in seconds. No timestamp is older, which tells the units apart.
const YEAR_2000: u64 = 946_684_800;
/// The numbers of 14 and 15 digits, which are no moment of this century after 2001 in any unit. `HAProxy` writes them
/// where seconds and microseconds are joined without zeros between them.
const JOINED: std::ops::Range<u64> = 10_000_000_000_000..1_000_000_000_000_000;

crate::tags! {
    /// Why a timestamp was refused.
    pub(super) enum Refusal: "reason" {
        /// It is later than now, by more than clocks may differ.
        Future,
        /// It is older than any proxy lets a request wait.
        TooOld,
        /// It is not a timestamp.
        Malformed,
    }
}

/// The result of reading a request's timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// How long the request waited, by the earliest plausible timestamp.
    pub(super) waited: Option<Duration>,
    /// Why the first refused timestamp was refused.
    pub(super) refused: Option<Refusal>,
}

impl Reading {
    fn add(&mut self, stamp: Result<Stamp, Refusal>, now: u64) {
        match stamp.and_then(|stamp| stamp.age(now)) {
            Ok(age) => self.waited = self.waited.max(Some(age)),
            Err(refusal) => {
                self.refused.get_or_insert(refusal);
            }
        }
    }
}

/// Reads the timestamps of a request that arrived at `now`, in nanoseconds since 1970. `now` is only called if there
/// are any.
pub(super) fn read(headers: &HeaderMap, ignored: &[StartHeader], now: impl FnOnce() -> u64) -> Reading {
    let mut reading = Reading::default();
    let mut now = Now::Unasked(now);
    let values = |header: StartHeader| {
        let is_read = !ignored.contains(&header);
        is_read.then(|| headers.get_all(header.name())).into_iter().flatten()
    };
    let starts = [StartHeader::RequestStart, StartHeader::QueueStart].into_iter().flat_map(values);
    let starts = starts.flat_map(|value| parts(value.as_bytes()));
    for part in starts.take(MAX_STAMPS) {
        reading.add(stamp(part), now.get());
    }
    // Precise to the second, and perhaps of another request that this one is part of: a last resort.
    if reading.waited.is_none() {
        for value in values(StartHeader::AmznTraceId).take(MAX_STAMPS) {
            reading.add(trace_stamp(value.as_bytes()), now.get());
        }
    }
    reading.waited = reading.waited.map(|waited| waited.min(MAX_WAIT));
    reading
}

/// The time, read at most once.
enum Now<F> {
    Unasked(F),
    At(u64),
    Asking,
}

impl<F: FnOnce() -> u64> Now<F> {
    fn get(&mut self) -> u64 {
        let now = match std::mem::replace(self, Self::Asking) {
            Self::Unasked(ask) => ask(),
            Self::At(now) => now,
            Self::Asking => 0,
        };
        *self = Self::At(now);
        now
    }
}

/// A moment, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    at: u64,
    /// The timestamp's precision: it stands for any moment up to this much later.
    width: u64,
}

impl Stamp {
    /// The minimum age.
    fn age(self, now: u64) -> Result<Duration, Refusal> {
        if self.at < YEAR_2000 * SECOND {
            return Err(Refusal::TooOld);
        }
        let ahead = Duration::from_nanos(self.at.saturating_sub(now));
        if ahead > MAX_SKEW {
            return Err(Refusal::Future);
        }
        let age = now.saturating_sub(self.at);
        if Duration::from_nanos(age) > MAX_AGE {
            return Err(Refusal::TooOld);
        }
        Ok(Duration::from_nanos(age.saturating_sub(self.width)))
    }
}

/// The comma-separated parts of a header.
fn parts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    // A header that is too long to be read is one malformed part.
    let commas = value.len() <= MAX_LEN;
    value.split(move |&byte| commas && byte == b',').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

/// `t=1767225600.123`, with or without `t=`, in any unit.
fn stamp(part: &[u8]) -> Result<Stamp, Refusal> {
    if part.len() > MAX_LEN {
        return Err(Refusal::Malformed);
    }
    let number = part.strip_prefix(b"t=").or_else(|| part.strip_prefix(b"T=")).unwrap_or(part).trim_ascii();
    let mut halves = number.splitn(2, |&byte| byte == b'.');
    let whole = digits(halves.next().unwrap_or_default())?;
    if JOINED.contains(&whole) {
        return Err(Refusal::Malformed);
    }
    let unit = unit_of(whole);
    let (fraction, width) = match halves.next() {
        Some(fraction) => (fraction_of(fraction, unit)?, 0),
        None => (0, if unit == SECOND { SECOND } else { 0 }),
    };
    // A number too large for the type is in the year 2554 or later.
    Ok(Stamp { at: whole.saturating_mul(unit).saturating_add(fraction), width })
}

/// Nanoseconds of the unit that makes a number a moment of this century. Each unit is a thousand of the next, and so
/// are the numbers.
fn unit_of(number: u64) -> u64 {
    match number {
        n if n >= YEAR_2000 * SECOND => 1,
        n if n >= YEAR_2000 * 1_000_000 => 1_000,
        n if n >= YEAR_2000 * 1_000 => 1_000_000,
        _ => SECOND,
    }
}

/// Reads a number, saturating at the largest one.
fn digits(text: &[u8]) -> Result<u64, Refusal> {
    if text.is_empty() {
        return Err(Refusal::Malformed);
    }
    text.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'9' => Ok(number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))),
        _ => Err(Refusal::Malformed),
    })
}

/// Reads the digits after the decimal point, in nanoseconds.
fn fraction_of(text: &[u8], unit: u64) -> Result<u64, Refusal> {
    digits(text)?;
    let (mut nanos, mut place) = (0, unit);
    for digit in text {
        place /= 10;
        nanos += place * u64::from(digit - b'0');
    }
    Ok(nanos)
}

/// Reads `Root=1-<8 hexadecimal digits>-…`, or `Self` in the same form, which the nearest load balancer added.
fn trace_stamp(value: &[u8]) -> Result<Stamp, Refusal> {
    if value.len() > MAX_LEN {
        return Err(Refusal::Malformed);
    }
    let field = |name: &[u8]| {
        value.split(|&byte| byte == b';').find_map(|field| field.trim_ascii().strip_prefix(name))
    };
    let id = field(b"Self=").or_else(|| field(b"Root=")).ok_or(Refusal::Malformed)?;
    let seconds = id.strip_prefix(b"1-").and_then(|id| id.split_first_chunk::<8>());
    match seconds {
        Some((seconds, [b'-', ..])) => Ok(Stamp { at: hexadecimal(*seconds)? * SECOND, width: SECOND }),
        _ => Err(Refusal::Malformed),
    }
}

fn hexadecimal(digits: [u8; 8]) -> Result<u64, Refusal> {
    digits.iter().try_fold(0, |number, &digit| {
        let digit = char::from(digit).to_digit(16).ok_or(Refusal::Malformed)?;
        Ok(number * 16 + u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbtest::arbtest;
    use http::HeaderValue;

    /// 2017-12-04 09:19:27.574, as routers write it in their manuals.
    const NOW: u64 = 1_512_379_167_574_000_000;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn read_at(now: u64, pairs: &[(&'static str, &[u8])]) -> Reading {
        read(&headers(pairs), &[], || now)
    }

    fn start(value: &str) -> Reading {
        read_at(NOW, &[("x-request-start", value.as_bytes())])
    }

    fn waited(nanos: u64) -> Reading {
        Reading { waited: Some(Duration::from_nanos(nanos)), refused: None }
    }

    fn refused(refusal: Refusal) -> Reading {
        Reading { waited: None, refused: Some(refusal) }
    }

    #[test]
    fn every_unit_and_form_is_read() {
        let ms = 1_000_000;
        for (value, expected) in [
            ("1512379167474", 100 * ms),
            ("t=1512379167474", 100 * ms),
            ("T=1512379167474", 100 * ms),
            ("t= 1512379167474", 100 * ms),
            ("  t=1512379167474 \t", 100 * ms),
            ("t=1512379167.474", 100 * ms),
            ("1512379167.474", 100 * ms),
            ("1512379167.4", 174 * ms),
            ("1512379167.474000000000001", 100 * ms),
            ("1512379167474.250", 99_750_000),
            ("t=1512379167474000", 100 * ms),
            ("1512379167474001.5", 99_998_500),
            ("1512379167473999999", 100_000_001),
            ("1512379167473999999.9", 100_000_001),
            ("001512379167474", 100 * ms),
            // Any moment of the second: less than the whole of it is certain.
            ("t=1512379160", 6_574 * ms),
            ("t=1512379167", 0),
            ("t=1512379166", 574 * ms),
        ] {
            assert_eq!(start(value), waited(expected), "{value}");
        }
    }

    #[test]
    fn a_trace_id_tells_the_second() {
        let trace = |value: &[u8]| read_at(NOW, &[("x-amzn-trace-id", value)]);
        // 0x5a251290 is 1512379024, 143 s earlier.
        let root = b"Root=1-5a251290-abcdef012345678912345678";
        assert_eq!(trace(root), waited(142_574_000_000));
        assert_eq!(trace(b"Root=1-5A251290-abcdef012345678912345678;Sampled=1"), trace(root));
        // Root is what the client sent, Self what the balancer added.
        let both = b"Self=1-5a25131f-12456789abcdef012345678;Root=1-5a251290-abcdef012345678912345678";
        assert_eq!(trace(both), waited(0));
        let both = b"Root=1-5a251290-abcdef012345678912345678; Self=1-5a25131a-12456789abcdef012345678";
        assert_eq!(trace(both), waited(4_574_000_000));
        for value in [
            &b""[..],
            b"1-5a251290-abcdef",
            b"Root=",
            b"Root=2-5a251290-abcdef",
            b"Root=1-5a25129-abcdef",
            b"Root=1-5a2512900-abcdef",
            b"Root=1-5a25129g-abcdef",
            b"Root=1-+5a25129-abcdef",
            b"Root=1-5a251290",
            b"Self=x;Root=1-5a251290-abcdef012345678912345678",
        ] {
            assert_eq!(trace(value), refused(Refusal::Malformed), "{}", value.escape_ascii());
        }
        assert_eq!(trace(b"Root=1-00000001-abcdef"), refused(Refusal::TooOld));
        assert_eq!(trace(b"Root=1-ffffffff-abcdef"), refused(Refusal::Future));
    }

    #[test]
    fn what_is_no_stamp_is_refused() {
        for value in [
            "t=",
            "t",
            "now",
            "-1512379167474",
            "t=-1",
            "+1512379167474",
            "1512379167,",
            "1.5e9",
            "1512379167474ms",
            "0x5a",
            ".5",
            "1512379167.",
            "1512379167.4.7",
            "1512379167.-4",
            "t=t=1512379167474",
            "NaN",
            "inf",
            "(null)",
            "%t",
            "15123 79167",
        ] {
            let expected = if value == "1512379167," { waited(0) } else { refused(Refusal::Malformed) };
            assert_eq!(start(value), expected, "{value}");
        }
        let bytes = read_at(NOW, &[("x-request-start", b"t=\xff\xfe1512379167474")]);
        assert_eq!(bytes, refused(Refusal::Malformed));
        for empty in ["", " ", ",", ",,,, ,"] {
            assert_eq!(start(empty), Reading::default(), "{empty:?}");
        }
    }

    #[test]
    fn a_stamp_of_the_future_is_refused_beyond_what_clocks_differ() {
        assert_eq!(start("1512379167575"), waited(0));
        assert_eq!(start("1512379168574"), waited(0));
        assert_eq!(start("1512379168575"), refused(Refusal::Future));
        assert_eq!(start("1512379168574.000001"), refused(Refusal::Future));
        assert_eq!(start("99999999999"), refused(Refusal::Future));
        assert_eq!(start("18446744073709551615"), refused(Refusal::Future));
        assert_eq!(start(&"9".repeat(MAX_LEN)), refused(Refusal::Future));
        assert_eq!(start(&"9".repeat(MAX_LEN + 1)), refused(Refusal::Malformed));
    }

    #[test]
    fn a_long_wait_is_cut_and_a_longer_one_is_refused() {
        let ago = |ago: Duration| {
            let at = (NOW - u64::try_from(ago.as_nanos()).unwrap()).to_string();
            start(&at)
        };
        let nano = Duration::from_nanos(1);
        assert_eq!(ago(Duration::from_nanos(299_999_999_999)), waited(299_999_999_999));
        assert_eq!(ago(MAX_WAIT + nano), waited(300_000_000_000));
        assert_eq!(ago(MAX_AGE), waited(300_000_000_000));
        assert_eq!(ago(MAX_AGE + nano), refused(Refusal::TooOld));
        for value in ["0", "1", "t=12345", "946684799", "946684800", "946684800000", "946684800000000000"] {
            assert_eq!(start(value), refused(Refusal::TooOld), "{value}");
        }
    }

    #[test]
    fn the_earliest_stamp_that_is_to_be_believed_counts() {
        let both = |first: &[u8], second: &[u8]| {
            read_at(NOW, &[("x-request-start", first), ("x-queue-start", second)])
        };
        assert_eq!(both(b"t=1512379167574", b"t=1512379167474"), waited(100_000_000));
        assert_eq!(both(b"t=1512379167374", b"t=1512379167474"), waited(200_000_000));
        assert_eq!(start("1512379167474, 1512379167374"), waited(200_000_000));
        let lines: &[(&str, &[u8])] =
            &[("x-request-start", b"1512379167474"), ("x-request-start", b"1512379167374")];
        assert_eq!(read_at(NOW, lines), waited(200_000_000));
        assert_eq!(
            both(b"t=0", b"junk"),
            refused(Refusal::TooOld),
            "the first that is wrong is what is said"
        );
        // One that is not to be believed is counted, and does not take the others with it.
        let mixed = both(b"t=0", b"t=1512379167474");
        assert_eq!(mixed, Reading { refused: Some(Refusal::TooOld), ..waited(100_000_000) });
    }

    #[test]
    fn a_trace_id_is_read_only_where_nothing_finer_is() {
        let trace: (&str, &[u8]) = ("x-amzn-trace-id", b"Root=1-5a251290-abcdef012345678912345678");
        assert_eq!(read_at(NOW, &[trace, ("x-request-start", b"1512379167474")]), waited(100_000_000));
        let instead = read_at(NOW, &[trace, ("x-request-start", b"junk")]);
        assert_eq!(instead, Reading { refused: Some(Refusal::Malformed), ..waited(142_574_000_000) });
    }

    #[test]
    fn of_many_stamps_the_first_few_are_read() {
        let stamps = ["junk"; MAX_STAMPS - 1].join(",");
        assert_eq!(start(&format!("{stamps},1512379167474")).waited, waited(100_000_000).waited);
        assert_eq!(start(&format!("{stamps},junk,1512379167474")), refused(Refusal::Malformed));
        assert_eq!(start(&",".repeat(MAX_LEN * 8)), refused(Refusal::Malformed));
    }

    /// Values as these proxies wrote them, at a moment of their own: nginx 1.22.1, Apache 2.4.71, `HAProxy` 2.6.12,
    /// Caddy 2.6.2, and Envoy by its documentation.
    #[test]
    fn what_each_proxy_writes_is_read() {
        for (proxy, value, arrived) in [
            ("nginx, ${msec}", "t=1795866744.318", 1_795_866_744_318_000_000),
            ("Apache, %t", "t=1795866805477062", 1_795_866_805_477_062_000),
            ("HAProxy, %[date(0,ms)]", "t=1795866817006", 1_795_866_817_006_000_000),
            ("HAProxy, %[date(0,us)]", "1795866817143550", 1_795_866_817_143_550_000),
            ("HAProxy, %Ts%ms", "t=1795866817006", 1_795_866_817_006_000_000),
            ("Caddy, {time.now.unix_ms}", "t=1795866869691", 1_795_866_869_691_000_000),
            ("Envoy, %START_TIME(%s.%3f)%", "t=1795866869.691", 1_795_866_869_691_000_000),
        ] {
            let late = 250_000_000;
            let reading = read_at(arrived + late, &[("x-request-start", value.as_bytes())]);
            assert_eq!(reading, waited(late), "{proxy}");
        }
    }

    #[test]
    fn seconds_and_microseconds_that_are_joined_without_zeros_are_no_time() {
        let now = 1_795_866_817_143_550_000;
        for value in ["179586681714355", "17958668171435", "t=179586681714355"] {
            let reading = read_at(now, &[("x-request-start", value.as_bytes())]);
            assert_eq!(reading, refused(Refusal::Malformed), "{value}");
        }
    }

    #[test]
    fn a_text_for_people_is_no_time() {
        let reading = read_at(NOW, &[("x-request-start", b"t=2017-12-04T09:19:27.474Z")]);
        assert_eq!(reading, refused(Refusal::Malformed));
    }

    #[test]
    fn of_a_proxy_that_adds_to_what_the_client_sent_the_earlier_counts() {
        let lines: &[(&str, &[u8])] =
            &[("x-request-start", b"t=1512379107.574"), ("x-request-start", b"t=1512379167.474")];
        assert_eq!(read_at(NOW, lines), waited(60 * SECOND));
    }

    #[test]
    fn a_header_that_is_ignored_is_neither_read_nor_refused() {
        let pairs: &[(&str, &[u8])] = &[
            ("x-request-start", b"t=1512379167474"),
            ("x-queue-start", b"t=1512379166074"),
            ("x-amzn-trace-id", b"junk"),
        ];
        let ignoring = |ignored: &[StartHeader]| read(&headers(pairs), ignored, || NOW);
        assert_eq!(ignoring(&[]), waited(1_500_000_000));
        assert_eq!(ignoring(&[StartHeader::QueueStart]), waited(100_000_000));
        let both = [StartHeader::QueueStart, StartHeader::RequestStart];
        assert_eq!(ignoring(&both), refused(Refusal::Malformed));
        assert_eq!(ignoring(&[both[0], both[1], StartHeader::AmznTraceId]), Reading::default());
    }

    #[test]
    fn the_time_is_not_asked_for_where_there_is_no_stamp() {
        let reading = read(&headers(&[("host", b"shop")]), &[], || panic!("asked"));
        assert_eq!(reading, Reading::default());
    }

    #[test]
    fn any_bytes_give_a_wait_within_bounds_or_a_refusal() {
        arbtest(|u| {
            let (now, value): (u64, Vec<u8>) = (u.arbitrary()?, u.arbitrary()?);
            for part in parts(&value) {
                if let Ok(age) = stamp(part).and_then(|stamp| stamp.age(now)) {
                    assert!(age <= MAX_AGE);
                }
            }
            let _ = trace_stamp(&value).and_then(|stamp| stamp.age(now));
            let alphabet = b"0123456789.=t, -;Selfroot";
            let likely: Vec<u8> =
                value.iter().map(|&byte| alphabet[usize::from(byte) % alphabet.len()]).collect();
            let name = ["x-request-start", "x-queue-start", "x-amzn-trace-id"]
                [usize::from(u.arbitrary::<u8>()? % 3)];
            let reading = read_at(now, &[(name, &likely)]);
            assert!(reading.waited <= Some(MAX_WAIT));
            Ok(())
        });
    }

    #[test]
    fn a_moment_reads_the_same_in_every_unit() {
        arbtest(|u| {
            let micros = u.int_in_range(JOINED.end..=4_102_444_800_000_000)?;
            let now = micros * 1_000 + u.int_in_range(0..=300 * SECOND)?;
            let (secs, millis) = (micros / 1_000_000, micros / 1_000);
            let forms = [
                format!("t={secs}.{:06}", micros % 1_000_000),
                format!("{millis}.{:03}", micros % 1_000),
                format!("t={micros}"),
                format!("{}", micros * 1_000),
            ];
            for form in &forms {
                let reading = read_at(now, &[("x-queue-start", form.as_bytes())]);
                assert_eq!(reading, waited(now - micros * 1_000), "{form}");
            }
            Ok(())
        });
    }
}
