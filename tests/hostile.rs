//! A million names, tags, values and texts that try to get out of their place, in every dialect: each line is read as
//! what was meant by a parser that is stricter than any server.

mod support;

use std::collections::BTreeMap;
use support::PATIENCE;
use tasktag::testing::{Capture, Parsed, ParsedEvent, ParsedOrigin, ParsedServiceCheck, Value, parse};
use tasktag::{Client, Dialect, Event, Guard, ServiceCheck, Status};

/// Names, keys, values of tags, members and texts that are generated, over all dialects.
const PIECES: u64 = 1_000_000;
/// Dialects that there are: each gets as many.
const DIALECTS: u64 = 7;
/// Things that are reported to a client before its only flush: each leaves a context that a later one would visit.
const BULK: usize = 1000;

/// Numbers in no order that anyone sees, the same at every run: `SplitMix64`.
struct Dice {
    state: u64,
    pieces: u64,
}

impl Dice {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Text that tries to get out of its place.
    fn text(&mut self) -> String {
        const BITS: [&str; 48] = [
            "\n",
            "\r",
            "\r\n",
            "|",
            ":",
            "#",
            "@",
            ",",
            ";",
            "=",
            "[",
            "]",
            "{",
            "}",
            "\\",
            "\\n",
            "~",
            "!",
            "^",
            "/",
            " ",
            "\t",
            "\0",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "|#",
            "|@0.5",
            "|c",
            "|T1",
            "|c:ci-1",
            "|card:low",
            "_sc",
            "_sc|db|0",
            "_e{",
            "_e{1,1}:",
            "m:",
            "m\\:",
            "task_id",
            "TASK id",
            "name",
            "\nx:1|c",
            ":1|c\nx",
            "é",
            "日",
            "a",
            "1",
            "-",
        ];
        self.pieces += 1;
        match self.below(64) {
            0 => self.any_characters(),
            1 => BITS[self.below(BITS.len())].repeat(self.below(300)),
            _ => (0..self.below(5)).map(|_| BITS[self.below(BITS.len())]).collect(),
        }
    }

    fn any_characters(&mut self) -> String {
        (0..self.below(20))
            .filter_map(|_| char::from_u32(self.below(0x11_0000).try_into().unwrap()))
            .collect()
    }

    fn tags(&mut self) -> Pairs {
        (0..self.below(6)).map(|_| (self.text(), self.text())).collect()
    }

    fn maybe(&mut self) -> Option<String> {
        (self.below(2) == 0).then(|| self.text())
    }

    fn number(&mut self) -> f64 {
        let any = f64::from_bits(self.next());
        if any.is_normal() && any.abs() < 1e30 && any.abs() > 1e-30 { any } else { 0.5 }
    }
}

type Pairs = Vec<(String, String)>;

/// A line as it is read.
#[derive(Debug, PartialEq)]
enum Read {
    Metric { name: String, value: Value, code: String, tags: Pairs },
    Event(ParsedEvent),
    ServiceCheck(ParsedServiceCheck),
}

/// Reads packets strictly: every line is one of what the dialect has, and nothing is left over.
fn read(dialect: Dialect, packets: &[Vec<u8>]) -> Vec<Read> {
    let (open, between, close) = match dialect {
        Dialect::Graphite => (';', ';', ""),
        Dialect::Influx => (',', ',', ""),
        Dialect::Librato => ('#', ',', ""),
        Dialect::SignalFx => ('[', ',', "]"),
        Dialect::DogStatsd | Dialect::TaggedStatsd | Dialect::Statsd => {
            return packets.iter().flat_map(|packet| parse(packet).unwrap()).map(read_parsed).collect();
        }
        other => panic!("no parser of {other:?}"),
    };
    let mut read = Vec::new();
    for packet in packets {
        let text =
            str::from_utf8(packet).unwrap().strip_suffix('\n').expect("a packet ends with its last line");
        for line in text.split('\n') {
            read.push(read_embedded(line, open, between, close).unwrap_or_else(|| panic!("{line:?}")));
        }
    }
    read
}

fn read_parsed(parsed: Parsed) -> Read {
    match parsed {
        Parsed::Metric(metric) => {
            assert_eq!(
                (metric.rate, metric.timestamp, &metric.origin),
                (1.0, None, &ParsedOrigin::default())
            );
            Read::Metric { name: metric.name, value: metric.value, code: metric.code, tags: metric.tags }
        }
        Parsed::Event(event) => Read::Event(event),
        Parsed::ServiceCheck(check) => Read::ServiceCheck(check),
        other => panic!("{other:?}"),
    }
}

/// `name;key=value;key=value:1|c`, with the marks of the dialect. No mark stands anywhere else.
fn read_embedded(line: &str, open: char, between: char, close: &str) -> Option<Read> {
    let (head, rest) = line.split_once(':')?;
    let (value, code) = rest.split_once('|')?;
    let (name, tags) = head.split_once(open)?;
    let tags = tags.strip_suffix(close)?.split(between).map(|tag| {
        let (key, value) = tag.split_once('=')?;
        let plain = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        };
        (plain(key) && plain(value)).then(|| (key.to_owned(), value.to_owned()))
    });
    let tags: Pairs = tags.collect::<Option<_>>()?;
    let value = match code {
        "s" if value.contains([':', '|', '\r']) || value.is_empty() => return None,
        "s" => Value::Member(value.to_owned()),
        "g" | "c" | "ms" => {
            let digits = value.strip_prefix('-').unwrap_or(value);
            let plain = digits.starts_with(|c: char| c.is_ascii_digit())
                && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
            Value::Number(value.parse().ok().filter(|_| plain)?)
        }
        _ => return None,
    };
    Some(Read::Metric { name: name.to_owned(), value, code: code.to_owned(), tags })
}

// What was meant: the documented rules of cleaning, said again.

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.-".contains(c)
}

fn replaced(raw: &str, stays: impl Fn(char) -> bool) -> String {
    raw.chars().map(|c| if stays(c) { c } else { '_' }).collect()
}

fn clean_name(prefix: &str, raw: &str) -> String {
    let name = prefix.to_owned() + &replaced(raw, is_of_a_name);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let name = if starts_well { name } else { "m_".to_owned() + &name };
    name[..name.len().min(200)].to_owned()
}

fn clean_tag(dialect: Dialect, key: &str, value: &str) -> Option<(String, String)> {
    let part = |raw: &str, is_value: bool| -> String {
        let raw: String = raw.chars().take(100).collect();
        replaced(&raw, |c| match dialect {
            Dialect::DogStatsd => c.is_alphanumeric() || "_-./".contains(c) || is_value && c == ':',
            _ => is_of_a_name(c),
        })
    };
    let (mut key, mut value) = (part(key, false), part(value, true));
    let is_embedded = !matches!(dialect, Dialect::DogStatsd | Dialect::TaggedStatsd | Dialect::Statsd);
    if is_embedded && value.is_empty() {
        value.push_str("true");
    }
    match dialect {
        Dialect::Graphite if key == "name" => key.push('_'),
        Dialect::DogStatsd | Dialect::Graphite => {}
        _ => key = support::label(&key),
    }
    value = value.chars().take(200 - 1 - key.chars().count()).collect();
    // Another task's id is told from the client's own.
    let key = if key.eq_ignore_ascii_case("task_id") { "task_id_".to_owned() } else { key };
    (!key.is_empty()).then_some((key, value))
}

/// The tags that are meant: a context's own are sorted and those that become equal stand once; then come the global
/// one, where no own tag has its key, and the task id.
fn meant_tags(dialect: Dialect, own: &Pairs, is_sorted: bool) -> Pairs {
    if dialect == Dialect::Statsd {
        return Pairs::new();
    }
    let mut tags = Pairs::new();
    for (key, value) in own {
        if let Some(tag) = clean_tag(dialect, key, value).filter(|tag| !tags.contains(tag)) {
            tags.push(tag);
        }
    }
    if is_sorted {
        tags.sort();
        // It says what the global one says.
        if tags.iter().filter(|(key, _)| key == "a").count() == 1 {
            tags.retain(|tag| *tag != ("a".to_owned(), "global".to_owned()));
        }
    }
    if tags.iter().all(|(key, _)| key != "a") {
        tags.push(("a".to_owned(), "global".to_owned()));
    }
    tags.push(("task_id".to_owned(), "0042".to_owned()));
    tags
}

fn meant_member(dialect: Dialect, raw: &str) -> Value {
    let stays = |c: char| c != '|' && !c.is_control() && (c != ':' || dialect == Dialect::DogStatsd);
    Value::Member(if raw.chars().all(stays) { raw.to_owned() } else { format!("{:032x}", fnv1a(raw)) })
}

/// FNV-1a of 128 bits.
fn fnv1a(text: &str) -> u128 {
    let (offset, prime) = (0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, 0x0100_0000_0000_0000_0000_013b);
    text.bytes().fold(offset, |hash: u128, byte| (hash ^ u128::from(byte)).wrapping_mul(prime))
}

fn unescaped(raw: &str) -> String {
    raw.replace("\r\n", "\n").replace('\r', "\n").replace("\\n", "\n")
}

fn field(raw: Option<&String>) -> Option<String> {
    raw.map(|raw| replaced(raw, |c| c != '|' && !c.is_control()))
}

/// A client of a dialect, what was told to it, and what its agent is to read.
struct Run {
    dialect: Dialect,
    guard: Guard,
    capture: Capture,
    dice: Dice,
    // In the order in which lines leave: what crossed the channel, then what stands in cells.
    told: Vec<Read>,
    counted: Vec<Read>,
    read: BTreeMap<String, usize>,
}

impl Run {
    fn new(dialect: Dialect) -> Self {
        let capture = Capture::new();
        let guard = Self::client_of(dialect, &capture);
        let dice = Dice { state: dialect as u64, pieces: 0 };
        Self { dialect, guard, capture, dice, told: Vec::new(), counted: Vec::new(), read: BTreeMap::new() }
    }

    fn client_of(dialect: Dialect, capture: &Capture) -> Guard {
        let builder = support::builder().dialect(dialect).prefix("shop|\n").tag("a", "global");
        builder.capture(capture).max_packet_size(65_507).build().unwrap()
    }

    fn client(&self) -> Client {
        self.guard.client().clone()
    }

    fn report(&mut self, number: usize) {
        match (self.dice.below(16), self.dialect == Dialect::DogStatsd) {
            (0 | 1, true) => self.event(),
            (2 | 3, true) => self.service_check(),
            (kind, _) => self.metric(kind, number),
        }
    }

    /// A metric whose name is its own, so that its line is too.
    fn metric(&mut self, kind: usize, number: usize) {
        let (client, dice) = (self.client(), &mut self.dice);
        let (raw_name, own) = (format!("z{number}:{}", dice.text()), dice.tags());
        let tags: Vec<(&str, &str)> = own.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let is_dogstatsd = self.dialect == Dialect::DogStatsd;
        let (code, value) = match kind {
            0..=4 => {
                let n = dice.next() >> 12;
                client.counter(&raw_name).tags(&tags).increment(n);
                ("c", Value::Number(n as f64))
            }
            5..=9 => {
                let level = dice.number();
                client.gauge(&raw_name).tags(&tags).set(level);
                ("g", Value::Number(level))
            }
            10 => {
                let seen = dice.number().abs();
                client.distribution(&raw_name).tags(&tags).record(seen);
                (if is_dogstatsd { "d" } else { "ms" }, Value::Number(seen))
            }
            _ => {
                let member: String = format!("{number}{}", dice.text()).chars().take(11).collect();
                client.set(&raw_name).tags(&tags).insert(&member);
                ("s", meant_member(self.dialect, &member))
            }
        };
        let (name, code) = (clean_name("shop__.", &raw_name), code.to_owned());
        let tags = meant_tags(self.dialect, &own, true);
        if value.number().is_some_and(|number| number < 0.0) && !is_dogstatsd {
            let zero = Value::Number(0.0);
            let (name, code, tags) = (name.clone(), code.clone(), tags.clone());
            self.counted.push(Read::Metric { name, value: zero, code, tags });
        }
        self.counted.push(Read::Metric { name, value, code, tags });
    }

    fn event(&mut self) {
        let dice = &mut self.dice;
        let (title, text, tags) = (format!("t{}", dice.text()), dice.text(), dice.tags());
        let (host, key, source) = (dice.maybe(), dice.maybe(), dice.maybe());
        let mut event = Event::new(&title, &text);
        event = tags.iter().fold(event, |event, (key, value)| event.tag(key, value));
        event = host.iter().fold(event, Event::hostname);
        event = key.iter().fold(event, Event::aggregation_key);
        event = source.iter().fold(event, Event::source_type);
        self.client().send_event(event);
        let mut meant = ParsedEvent::default();
        (meant.title, meant.text) = (unescaped(&title), unescaped(&text));
        meant.hostname = field(host.as_ref());
        meant.aggregation_key = field(key.as_ref());
        meant.source_type = field(source.as_ref());
        meant.tags = meant_tags(self.dialect, &tags, false);
        self.told.push(Read::Event(meant));
    }

    fn service_check(&mut self) {
        let dice = &mut self.dice;
        let (name, tags) = (format!("{}x", dice.text()), dice.tags());
        let (host, message) = (dice.maybe(), dice.maybe());
        let mut check = ServiceCheck::new(&name, Status::Critical);
        check = tags.iter().fold(check, |check, (key, value)| check.tag(key, value));
        check = host.iter().fold(check, ServiceCheck::hostname);
        check = message.iter().fold(check, ServiceCheck::message);
        self.client().send_service_check(check);
        let mut meant = ParsedServiceCheck::default();
        (meant.name, meant.status) = (clean_name("", &name), 2);
        meant.hostname = field(host.as_ref());
        // A message that has `m\:` in it already reads as one with `m:`.
        meant.message = message.map(|raw| unescaped(&raw.replace('|', "_").replace("m\\:", "m:")));
        meant.tags = meant_tags(self.dialect, &tags, false);
        self.told.push(Read::ServiceCheck(meant));
    }

    fn flush(&mut self) {
        self.guard.client().flush(PATIENCE).unwrap();
        let stats = self.guard.client().stats();
        support::assert_conserved(&stats);
        assert_eq!(stats.dropped_total().values, 0, "{:?}: {stats}", self.dialect);
        let packets = self.capture.take_packets();
        self.guard = Self::client_of(self.dialect, &self.capture);
        // Gauges are sent once more at the shutdown.
        drop(self.capture.take_packets());
        let found = read(self.dialect, &packets);
        let meant: Vec<Read> = self.told.drain(..).chain(self.counted.drain(..)).collect();
        for (found, meant) in found.iter().zip(&meant) {
            assert_eq!(found, meant, "{:?}", self.dialect);
        }
        assert_eq!(found.len(), meant.len(), "{:?}", self.dialect);
        for line in found {
            let what = match line {
                Read::Metric { code, .. } => code,
                Read::Event(_) => "event".to_owned(),
                Read::ServiceCheck(_) => "check".to_owned(),
            };
            *self.read.entry(what).or_default() += 1;
        }
    }
}

/// A share of the million, in one dialect: the tests run side by side.
fn assert_forges_nothing(dialect: Dialect) {
    let mut run = Run::new(dialect);
    while run.dice.pieces < PIECES.div_ceil(DIALECTS) {
        (0..BULK).for_each(|number| run.report(number));
        run.flush();
    }
    let kinds: Vec<&str> = run.read.keys().map(String::as_str).collect();
    let expected: &[&str] = match dialect {
        Dialect::DogStatsd => &["c", "check", "d", "event", "g", "s"],
        _ => &["c", "g", "ms", "s"],
    };
    assert_eq!(kinds, expected);
    assert!(run.read.values().all(|lines| *lines > 500), "{:?}", run.read);
}

#[test]
fn nothing_forges_a_line_of_dogstatsd() {
    assert_forges_nothing(Dialect::DogStatsd);
}

#[test]
fn nothing_forges_a_line_of_tagged_statsd() {
    assert_forges_nothing(Dialect::TaggedStatsd);
}

#[test]
fn nothing_forges_a_line_of_graphites_dialect() {
    assert_forges_nothing(Dialect::Graphite);
}

#[test]
fn nothing_forges_a_line_of_influxs_dialect() {
    assert_forges_nothing(Dialect::Influx);
}

#[test]
fn nothing_forges_a_line_of_libratos_dialect() {
    assert_forges_nothing(Dialect::Librato);
}

#[test]
fn nothing_forges_a_line_of_signalfxs_dialect() {
    assert_forges_nothing(Dialect::SignalFx);
}

#[test]
fn nothing_forges_a_line_of_plain_statsd() {
    assert_forges_nothing(Dialect::Statsd);
}
