//! Events and service checks: exact to the byte but for the order of their own tags.

use super::input::{Input, Pairs};
use super::line::read_tag;
use super::rule;
use super::sent::{Sent, assert_dropped};
use super::setting::Setting;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};
use tasktag::testing::{Parsed, parse};
use tasktag::{AlertType, DropReason, Event, Priority, ServiceCheck, Status};

pub(crate) fn check_event(setting: Setting, mut input: Input, own_tags: usize) {
    let (title, text) = (input.text(), input.text());
    let host = input.text_if(input.bit(3, 0));
    let key = input.text_if(input.bit(3, 1));
    let source = input.text_if(input.bit(3, 2));
    let seconds = input.bit(3, 3).then(|| input.seconds());
    let priority = [None, Some((Priority::Normal, "normal")), Some((Priority::Low, "low"))]
        [usize::from(input.header[8] % 3)];
    let alert_type = [
        None,
        Some((AlertType::Info, "info")),
        Some((AlertType::Success, "success")),
        Some((AlertType::Warning, "warning")),
        Some((AlertType::Error, "error")),
    ][usize::from(input.header[9] % 5)];
    let own = input.pairs(own_tags);
    let setting = Setting { globals: input.pairs(usize::MAX), ..setting };

    let parts = [Some(&title), Some(&text), host.as_ref(), key.as_ref(), source.as_ref()];
    if !has_room(parts.into_iter().flatten(), &own) {
        return;
    }
    let mut event = Event::new(&title, &text);
    event = host.iter().fold(event, Event::hostname);
    event = key.iter().fold(event, Event::aggregation_key);
    event = source.iter().fold(event, Event::source_type);
    event = seconds
        .iter()
        .fold(event, |event, seconds| event.timestamp(UNIX_EPOCH + Duration::from_secs(*seconds)));
    event = priority.iter().fold(event, |event, (priority, _)| event.priority(*priority));
    event = alert_type.iter().fold(event, |event, (alert_type, _)| event.alert_type(*alert_type));
    event = own.iter().fold(event, |event, (key, value)| event.tag(key, value));
    let Some(sent) = setting.sent(|client| client.send_event(event)) else { return };

    let (title, text) = (rule::one_line(&title), rule::one_line(&text));
    let mut head = format!("_e{{{},{}}}:{title}|{text}", title.len(), text.len());
    if let Some(seconds) = seconds {
        let _ = write!(head, "|d:{seconds}");
    }
    let cleaned = [&host, &key, &source].map(|raw| raw.as_ref().map(|raw| rule::field(raw)));
    let [host, key, source] = cleaned.each_ref().map(Option::as_deref);
    let (priority, alert_type) = (priority.map(|(_, text)| text), alert_type.map(|(_, text)| text));
    for (mark, field) in [("h:", host), ("k:", key), ("p:", priority), ("s:", source), ("t:", alert_type)] {
        if let Some(field) = field {
            let _ = write!(head, "|{mark}{field}");
        }
    }
    let Some(line) = only_line(&setting, &sent, title.is_empty()) else { return };
    let tags = tags_between(&line, &head, "");
    setting.tags(&own).check(&tags);
    assert_eq!(sent.stats.refused_tags, setting.tags(&own).refused);
    let [Parsed::Event(found)] = &parse(line.as_bytes()).expect("it is an event")[..] else {
        panic!("{line:?}")
    };
    assert_eq!((&found.title, &found.text), (&title.replace("\\n", "\n"), &text.replace("\\n", "\n")));
    assert_eq!(
        (&found.hostname, &found.aggregation_key, &found.source_type),
        (&cleaned[0], &cleaned[1], &cleaned[2])
    );
    assert_eq!((found.priority.as_deref(), found.alert_type.as_deref()), (priority, alert_type));
    assert_eq!((found.timestamp, &found.tags), (seconds, &tags));
}

pub(crate) fn check_service_check(setting: Setting, mut input: Input, own_tags: usize) {
    let name = input.text();
    let message = input.text_if(input.bit(3, 1));
    let host = input.text_if(input.bit(3, 0));
    let seconds = input.bit(3, 3).then(|| input.seconds());
    let status =
        [Status::Ok, Status::Warning, Status::Critical, Status::Unknown][usize::from(input.header[10] % 4)];
    let own = input.pairs(own_tags);
    let setting = Setting { globals: input.pairs(usize::MAX), ..setting };

    if !has_room([Some(&name), host.as_ref(), message.as_ref()].into_iter().flatten(), &own) {
        return;
    }
    let mut check = ServiceCheck::new(&name, status);
    check = host.iter().fold(check, ServiceCheck::hostname);
    check = message.iter().fold(check, ServiceCheck::message);
    check = seconds
        .iter()
        .fold(check, |check, seconds| check.timestamp(UNIX_EPOCH + Duration::from_secs(*seconds)));
    check = own.iter().fold(check, |check, (key, value)| check.tag(key, value));
    let Some(sent) = setting.sent(|client| client.send_service_check(check)) else { return };

    let mut head = format!("_sc|{}|{}", rule::whole_name(&name), status as u8);
    if let Some(seconds) = seconds {
        let _ = write!(head, "|d:{seconds}");
    }
    let host = host.map(|raw| rule::field(&raw));
    if let Some(host) = &host {
        let _ = write!(head, "|h:{host}");
    }
    let tail = message.as_ref().map_or(String::new(), |raw| format!("|m:{}", rule::message(raw)));
    let Some(line) = only_line(&setting, &sent, name.is_empty()) else { return };
    let tags = tags_between(&line, &head, &tail);
    setting.tags(&own).check(&tags);
    assert_eq!(sent.stats.refused_tags, setting.tags(&own).refused);
    let [Parsed::ServiceCheck(found)] = &parse(line.as_bytes()).expect("it is a check")[..] else {
        panic!("{line:?}")
    };
    // A message that has `m\:` in it already reads as one with `m:`.
    let message =
        message.map(|raw| rule::one_line(&raw).replace('|', "_").replace("m\\:", "m:").replace("\\n", "\n"));
    assert_eq!((&found.name, found.status), (&rule::whole_name(&name), status as u8));
    assert_eq!((&found.hostname, &found.message), (&host, &message));
    assert_eq!((found.timestamp, &found.tags), (seconds, &tags));
}

/// Whether an event or a check of these is kept whole: it has up to 8 KiB, 48 bytes for each tag among them.
fn has_room<'a>(parts: impl Iterator<Item = &'a String>, tags: &Pairs) -> bool {
    let of_tags: usize = tags.iter().map(|(key, value)| key.len() + value.len() + 48).sum();
    parts.map(String::len).sum::<usize>() + of_tags <= 8192
}

/// The one line that was sent, or `None` where there rightly is none.
fn only_line(setting: &Setting, sent: &Sent, is_nameless: bool) -> Option<String> {
    let bytes = sent.packets.concat();
    if !setting.is_dogstatsd() || is_nameless {
        assert!(bytes.is_empty(), "{bytes:?}");
        let reason = if setting.is_dogstatsd() { DropReason::Invalid } else { DropReason::Unsupported };
        assert_dropped(&sent.stats, reason, 1);
        return None;
    }
    let text = String::from_utf8(bytes).expect("a packet is UTF-8");
    let line = text.strip_suffix('\n').expect("a line ends").to_owned();
    assert!(!line.contains(['\n', '\r']), "two lines: {text:?}");
    Some(line)
}

/// The tags that stand between what is known to the byte.
fn tags_between(line: &str, head: &str, tail: &str) -> Pairs {
    let rest = line.strip_prefix(head).unwrap_or_else(|| panic!("{line:?} begins with {head:?}"));
    let tags = rest.strip_suffix(tail).unwrap_or_else(|| panic!("{line:?} ends with {tail:?}"));
    let tags = tags.strip_prefix("|#").unwrap_or_else(|| panic!("tags follow: {line:?}"));
    assert!(!tags.contains('|'), "a forged field: {line:?}");
    tags.split(',').map(|tag| read_tag(tag, ':')).collect()
}
