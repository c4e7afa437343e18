//! Numbers in readable form.

use std::time::Duration;

const EIGHTHS: [char; 8] = ['·', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is shown is small and not negative"
)]
pub(crate) fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// `██████▌···` for a share from 0 to 1.
pub(crate) fn bar(share: f64, width: u64) -> String {
    let eighths = whole(share.clamp(0.0, 1.0) * width as f64 * 8.0);
    (0..width)
        .map(|cell| match eighths.saturating_sub(cell * 8) {
            part @ 0..8 => EIGHTHS.into_iter().nth(usize::try_from(part).unwrap_or(0)).unwrap_or('·'),
            _ => '█',
        })
        .collect()
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `12,345`
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Up to two decimals, and none that are 0.
pub(crate) fn number(value: f64) -> String {
    if (value - value.round()).abs() < 0.005 { count(whole(value)) } else { format!("{value:.2}") }
}

/// Two digits where there is no more than one before the point.
fn digits(value: f64) -> String {
    if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

pub(crate) fn bytes(n: f64) -> String {
    let units = ["kB", "MB", "GB"];
    if n < 1e3 {
        return format!("{n:.0} B");
    }
    let power = units.iter().zip([1e3, 1e6, 1e9]).rfind(|(_, size)| n >= *size * 0.9995);
    power.map_or_else(String::new, |(unit, size)| format!("{} {unit}", digits(n / size)))
}

pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        0.0 => "0 ms".to_owned(),
        s if s < 0.000_999_5 => format!("{} µs", digits(s * 1e6)),
        s if s < 0.999_5 => format!("{} ms", digits(s * 1e3)),
        s => format!("{} s", digits(s)),
    }
}

pub(crate) fn milliseconds(ms: f64) -> String {
    seconds(ms / 1e3)
}

/// `9.3 s`, at any length.
pub(crate) fn elapsed(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
