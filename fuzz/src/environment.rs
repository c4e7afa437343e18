//! The variables of the environment: a usable set gives exactly the tags and fields that the rules say, and an
//! unusable one is an error that names a variable which is unusable, with its value.

use super::input::{Input, LONGEST, Pairs};
use super::rule::Tags;
use super::sent::{builder, sent};
use std::net::Ipv6Addr;
use tasktag::{ConfigError, Dialect};

/// The variables in the order of their texts in the input.
const VARIABLES: [&str; 17] = [
    "DD_DOGSTATSD_URL",
    "DD_AGENT_HOST",
    "DD_DOGSTATSD_PORT",
    "STATSD_HOST",
    "STATSD_PORT",
    "TASKTAG_TASK_ID",
    "DD_TAGS",
    "DD_ENV",
    "DD_SERVICE",
    "DD_VERSION",
    "DD_ENTITY_ID",
    "DD_EXTERNAL_ENV",
    "DD_CARDINALITY",
    "DATADOG_CARDINALITY",
    "DD_ORIGIN_DETECTION_ENABLED",
    "DD_DOGSTATSD_SOCKET",
    "STATSD_ADDR",
];

/// The variables of one input; an empty one counts as absent.
struct Variables(Vec<String>);

pub(crate) fn check(bytes: &[u8]) {
    if bytes.len() > LONGEST {
        return;
    }
    let mut input = Input::new(bytes);
    let dialect =
        [Dialect::DogStatsd, Dialect::TaggedStatsd, Dialect::Influx][usize::from(input.header[0] % 3)];
    let has_agent = input.bit(1, 0);
    let variables = Variables(VARIABLES.iter().map(|_| input.text()).collect());
    // A task id is drawn for the process otherwise.
    let task_id = variables.get("TASKTAG_TASK_ID").unwrap_or("42");
    let others = input.pairs(usize::MAX);

    let named = VARIABLES.iter().zip(&variables.0).map(|(name, value)| ((*name).to_owned(), value.clone()));
    let named = named.map(
        |(name, value)| {
            if name == "TASKTAG_TASK_ID" { (name, task_id.to_owned()) } else { (name, value) }
        },
    );
    let others = others.iter().map(|(name, value)| (format!("OTHER_{name}"), value.clone()));
    let mut builder = builder().dialect(dialect).from_vars(named.chain(others));
    if has_agent {
        builder = builder.agent("udp://127.0.0.1:8125");
    }
    let result = sent(builder, |client| client.counter("jobs").increment(1));

    let mut unusable = if has_agent { Vec::new() } else { variables.unusable_address() };
    if !is_number(task_id, 1000) {
        unusable.push("TASKTAG_TASK_ID");
    }
    unusable.extend(variables.unusable_cardinality().filter(|_| dialect == Dialect::DogStatsd));
    match result {
        Ok(sent) => {
            assert!(unusable.is_empty(), "usable: {unusable:?} of {:?}", variables.0);
            let number: u32 = task_id.parse().expect("it is a number");
            let tags = Tags::new(dialect, &Pairs::new(), &variables.tags(dialect), &format!("{number:04}"));
            let line = String::from_utf8(sent.packets.concat()).expect("a packet is UTF-8");
            variables.check_line(dialect, &tags, &line);
            assert_eq!(sent.stats.refused_tags, tags.refused);
        }
        Err(ConfigError::Variable { variable, value, reason }) => {
            assert!(unusable.contains(&variable), "{variable} is usable: {value:?}: {reason}");
            let held = variables.get(variable);
            assert_eq!(Some(value.as_str()), held, "the error of {variable} tells its value");
        }
        Err(error) => panic!("{error}"),
    }
}

impl Variables {
    fn get(&self, name: &str) -> Option<&str> {
        let place = VARIABLES.iter().position(|known| *known == name)?;
        Some(self.0[place].as_str()).filter(|value| !value.is_empty())
    }

    /// The variables that decide about the address and are unusable.
    fn unusable_address(&self) -> Vec<&'static str> {
        let mut unusable = Vec::new();
        let mut look_at = |name: &'static str, is_usable: fn(&str) -> bool| {
            let value = self.get(name);
            unusable
                .extend(value.filter(|value| value.contains('\u{FFFD}') || !is_usable(value)).map(|_| name));
            value.is_some()
        };
        // The service links of Kubernetes are no ports.
        let is_link = |name| self.get(name).is_some_and(|value| value.contains("://"));
        if look_at("DD_DOGSTATSD_URL", is_url) {
            return unusable;
        }
        let hosts = [
            ("DD_AGENT_HOST", "DD_DOGSTATSD_PORT"),
            ("STATSD_ADDR", "STATSD_PORT"),
            ("STATSD_HOST", "STATSD_PORT"),
        ];
        for (place, (host, port)) in hosts.into_iter().enumerate() {
            if place == 1 && look_at("DD_DOGSTATSD_SOCKET", is_socket) {
                return unusable;
            }
            if look_at(host, is_location) {
                if self.get(host).is_some_and(|text| !is_address(text) && is_host(unbracketed(text)))
                    && !is_link(port)
                {
                    look_at(port, is_port);
                }
                return unusable;
            }
        }
        for port in ["DD_DOGSTATSD_PORT", "STATSD_PORT"] {
            if !is_link(port) && look_at(port, is_port) {
                break;
            }
        }
        unusable
    }

    fn unusable_cardinality(&self) -> Option<&'static str> {
        let name =
            ["DD_CARDINALITY", "DATADOG_CARDINALITY"].into_iter().find(|name| self.get(name).is_some())?;
        let is_known =
            ["none", "low", "orchestrator", "high"].contains(&self.get(name)?.to_ascii_lowercase().as_str());
        (!is_known).then_some(name)
    }

    /// Global tags in their order.
    fn tags(&self, dialect: Dialect) -> Pairs {
        let services = [("DD_ENV", "env"), ("DD_SERVICE", "service"), ("DD_VERSION", "version")];
        let mut tags = Pairs::new();
        for tag in self.get("DD_TAGS").unwrap_or_default().split([',']).flat_map(str::split_whitespace) {
            let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
            let is_service =
                services.iter().any(|(name, service)| *service == key && self.get(name).is_some());
            if !is_service {
                tags.push((key.to_owned(), value.to_owned()));
            }
        }
        for (name, key) in services {
            tags.extend(self.get(name).map(|value| (key.to_owned(), value.to_owned())));
        }
        if dialect == Dialect::DogStatsd {
            let entity = self.get("DD_ENTITY_ID");
            tags.extend(entity.map(|id| ("dd.internal.entity_id".to_owned(), id.to_owned())));
        }
        tags
    }

    fn check_line(&self, dialect: Dialect, tags: &Tags, line: &str) {
        let line = line.strip_suffix('\n').expect("a line ends");
        assert!(!line.contains(['\n', '\r']), "two lines: {line:?}");
        let mut fields = line.split('|');
        let head = fields.next().expect("there is a name");
        assert_eq!(fields.next(), Some("c"), "{line:?}");
        let found: Pairs = if dialect == Dialect::Influx {
            let (_, embedded) = head.split_once(',').expect("the name has tags");
            let embedded = embedded.strip_suffix(":1").expect("one job");
            embedded.split(',').map(|tag| super::line::read_tag(tag, '=')).collect()
        } else {
            assert_eq!(head, "jobs:1");
            let text = fields.next().and_then(|field| field.strip_prefix('#')).expect("there are tags");
            text.split(',').map(|tag| super::line::read_tag(tag, ':')).collect()
        };
        tags.check(&found);
        let mut expected = Vec::new();
        if dialect == Dialect::DogStatsd {
            let off = ["0", "f", "F", "false", "False", "FALSE"];
            let is_off = self.get("DD_ORIGIN_DETECTION_ENABLED").is_some_and(|text| off.contains(&text));
            expected.extend(self.external_data().filter(|_| !is_off));
            let level = self.get("DD_CARDINALITY").or(self.get("DATADOG_CARDINALITY"));
            expected.extend(level.map(|level| format!("card:{}", level.to_ascii_lowercase())));
        }
        assert_eq!(fields.map(str::to_owned).collect::<Vec<_>>(), expected, "{line:?}");
    }

    /// The field of what is left of external data.
    fn external_data(&self) -> Option<String> {
        let stays = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '-' | ',');
        let text: String = self.get("DD_EXTERNAL_ENV")?.to_ascii_lowercase().chars().filter(stays).collect();
        (1..=512).contains(&text.len()).then(|| format!("e:{text}"))
    }
}

fn is_number(text: &str, most: u32) -> bool {
    let has_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    has_digits && text.parse().is_ok_and(|number: u32| (1..=most).contains(&number))
}

fn is_port(text: &str) -> bool {
    is_number(text, 65_535)
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn is_host(host: &str) -> bool {
    let is_name_char = |c: char| !c.is_whitespace() && !c.is_control() && !"/@?#:[]%".contains(c);
    let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
    let is_zone = !zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    is_zone && address.parse::<Ipv6Addr>().is_ok() || !host.is_empty() && host.chars().all(is_name_char)
}

/// A host with or without a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some(parts) => parts,
            None => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    is_host(unbracketed(host)) && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_address(text: &str) -> bool {
    text.contains("://") || text.starts_with("unix:")
}

/// What a variable for a host may say.
fn is_location(text: &str) -> bool {
    if is_address(text) { is_url(text) } else { is_host(unbracketed(text)) || is_authority(text) }
}

fn is_socket_name(text: &str) -> bool {
    let name = text.strip_prefix('@');
    let is_named = text.starts_with('/') || name.is_some_and(|name| !name.is_empty());
    is_named && name.unwrap_or(text).len() <= 103 && !text.contains('\0')
}

fn is_socket(text: &str) -> bool {
    if text.starts_with(['/', '@']) { is_socket_name(text) } else { is_url(text) }
}

fn is_url(url: &str) -> bool {
    const UNIX: [&str; 3] = ["unix", "unixgram", "unixstream"];
    if url == "stdout:" {
        return true;
    }
    if let Some((scheme, name)) = url.split_once(":@")
        && UNIX.contains(&scheme)
    {
        return is_socket_name(&format!("@{name}"));
    }
    match url.split_once("://") {
        Some(("udp" | "tcp", rest)) => is_authority(rest),
        Some((scheme, path)) => UNIX.contains(&scheme) && is_socket_name(path),
        None => false,
    }
}
