//! A client that is called once: the settings and the kind of the call, which an input begins with.

use super::input::{Input, LONGEST, Pairs};
use super::setting::Setting;
use super::{told, values};
use tasktag::{Dialect, Protocol, Weights};

/// The most tags of a call that are passed; the texts that are left are global tags.
const OWN_TAGS: u8 = 16;

/// One call in a dialect: the lines that are sent for it are read back as what the rules say, whatever was passed.
pub(crate) fn check(dialect: Dialect, bytes: &[u8]) {
    if bytes.len() > LONGEST {
        return;
    }
    let mut input = Input::new(bytes);
    let is_dogstatsd = dialect == Dialect::DogStatsd;
    let mut setting = Setting {
        dialect,
        protocol: None,
        weights: [None, Some(Weights::Rates), Some(Weights::Repeats), Some(Weights::Summaries)]
            [usize::from(input.header[1] & 3)],
        as_histograms: input.bit(1, 2) && !is_dogstatsd,
        task_id_in_names: input.bit(1, 3) && dialect == Dialect::Statsd,
        prefix: input.text(),
        globals: Pairs::new(),
    };
    if is_dogstatsd && input.bit(1, 2) {
        setting.protocol = Some(if input.bit(1, 3) { Protocol::V1_2 } else { Protocol::V1_0 });
    }
    let own_tags = usize::from(input.header[2] % OWN_TAGS);
    match input.header[0] % 9 {
        7 => told::check_event(setting, input, own_tags),
        8 => told::check_service_check(setting, input, own_tags),
        kind => values::check(setting, input, own_tags, kind),
    }
}
