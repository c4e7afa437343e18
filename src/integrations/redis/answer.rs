//! What an answer of a script says.

use crate::api::watch::QueueStatus;
use std::time::Duration;

/// A status, and how many moments in its answer were ahead of the server's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: QueueStatus,
    pub(super) clamped: u64,
}

impl Answer {
    /// Reads names and values in turn. What a script says of the moments since when jobs could have started comes
    /// several times, and the server's clock first.
    pub(super) fn read(words: &[String]) -> Self {
        let mut answer = Self::default();
        let (mut now, mut oldest) = (0.0, None);
        for pair in words.chunks_exact(2) {
            let [name, value] = pair else { continue };
            match name.as_str() {
                "now" => now = value.parse().unwrap_or(now),
                "since" => {
                    let Some(age) = value.parse().ok().and_then(seconds).map(|since| now - since) else {
                        continue;
                    };
                    answer.clamped += u64::from(age < 0.0);
                    oldest = Some(age.max(oldest.unwrap_or(0.0)));
                }
                field => answer.status = answer.status.with(field, value.parse().ok()),
            }
        }
        let is_empty = answer.status.depth == Some(0);
        let oldest = oldest.and_then(|age| Duration::try_from_secs_f64(age).ok());
        answer.status.oldest_age = if is_empty { Some(Duration::ZERO) } else { oldest };
        answer
    }
}

trait Named {
    fn with(self, field: &str, value: Option<u64>) -> Self;
}

impl Named for QueueStatus {
    fn with(self, field: &str, value: Option<u64>) -> Self {
        match field {
            "depth" => self.depth(value),
            "running" => self.running(value),
            "scheduled" => self.scheduled(value),
            "retrying" => self.retrying(value),
            "dead" => self.dead(value),
            _ => self,
        }
    }
}

/// Returns the seconds since 1970 of a number that some library wrote. Neither its type nor its name says in which unit
/// it is, but its size does, until the year 5138.
fn seconds(number: f64) -> Option<f64> {
    let per_second = match number {
        _ if number > 1e17 => 1e9,
        _ if number > 1e14 => 1e6,
        _ if number > 1e11 => 1e3,
        _ => 1.0,
    };
    (number.is_finite() && number > 0.0).then_some(number / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Answer {
        Answer::read(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    fn age(text: &str) -> Option<Duration> {
        read(text).status.oldest_age
    }

    #[test]
    fn the_unit_of_a_moment_is_told_by_its_size() {
        let seven = Some(Duration::from_secs(7));
        for since in
            ["1795866000", "1795866000000", "1795866000000.0", "1795866000000000", "1795866000000000000"]
        {
            let found = age(&format!("now 1795866007 since {since} depth 1"));
            assert_eq!(
                found.map(|age| age.as_secs_f64().round()),
                seven.map(|age| age.as_secs_f64()),
                "{since}"
            );
        }
    }

    #[test]
    fn the_oldest_of_all_moments_counts_and_one_ahead_is_0_and_counted() {
        assert_eq!(age("now 1000 since 995 since 990 since 999 depth 3"), Some(Duration::from_secs(10)));
        let ahead = read("now 1000 since 1001 since 1002 depth 2");
        assert_eq!((ahead.status.oldest_age, ahead.clamped), (Some(Duration::ZERO), 2));
        assert_eq!(
            read("now 1000 since 1001 since 990 depth 2").status.oldest_age,
            Some(Duration::from_secs(10))
        );
    }

    #[test]
    fn a_queue_that_is_not_empty_and_tells_no_moment_has_no_age() {
        assert_eq!(age("now 1000 depth 2"), None);
        assert_eq!(age("now 1000 depth 0"), Some(Duration::ZERO));
        assert_eq!(age("now 1000"), None);
        for since in ["0", "-5", "nan", "inf", "soon", ""] {
            assert_eq!(age(&format!("now 1000 since {since} depth 1")), None, "{since}");
        }
    }

    #[test]
    fn each_number_is_known_if_it_was_said() {
        let status = QueueStatus::new().depth(1).running(2).scheduled(3).retrying(4).dead(5);
        let said = read("now 1000 depth 1 running 2 scheduled 3 retrying 4 dead 5 other 6 rest");
        assert_eq!(said, Answer { status, clamped: 0 });
        assert_eq!(read("now 1000 depth many"), Answer::default());
    }
}
