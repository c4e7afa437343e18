//! The script that is asked of a server for each system, and the keys that it reads.

/// The systems whose queues are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    Apalis,
    Arq,
    BullMq,
    Celery,
    Dramatiq,
    List,
    Rq,
    Sidekiq,
    Stream,
}

/// A script with its keys and arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) script: &'static str,
    pub(super) keys: Vec<String>,
    pub(super) arguments: Vec<String>,
}

/// The whole of a system's script.
macro_rules! script {
    ($body:literal) => {
        concat!(include_str!("answer.lua"), include_str!($body), "return answer\n")
    };
}

impl System {
    /// What the keys of the system begin with, unless a program has them begin otherwise.
    pub(super) fn default_prefix(self) -> &'static str {
        match self {
            Self::BullMq => "bull:",
            Self::Dramatiq => "dramatiq:",
            Self::Rq => "rq:",
            _ => "",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Apalis => script!("apalis.lua"),
            Self::Arq => script!("arq.lua"),
            Self::BullMq => script!("bullmq.lua"),
            Self::Celery => script!("celery.lua"),
            Self::Dramatiq => script!("dramatiq.lua"),
            Self::List => script!("list.lua"),
            Self::Rq => script!("rq.lua"),
            Self::Sidekiq => script!("sidekiq.lua"),
            Self::Stream => script!("stream.lua"),
        }
    }

    /// Returns the recipe for a queue. `further` is what only lists and streams have.
    pub(super) fn recipe(self, prefix: &str, name: &str, further: &[String]) -> Recipe {
        let (keys, arguments) = match self {
            Self::Apalis => (
                ["scheduled", "active", "workers", "dead"].map(|key| format!("{name}:{key}")).to_vec(),
                vec![format!("{name}:inflight:")],
            ),
            Self::Arq => {
                (vec![name.to_owned()], ["arq:in-progress:", "arq:job:"].map(str::to_owned).to_vec())
            }
            Self::BullMq => {
                let keys = ["wait", "prioritized", "delayed", "active", "failed", "meta"];
                (keys.map(|key| format!("{name}:{key}")).to_vec(), vec![format!("{prefix}{name}:")])
            }
            Self::Celery => (celery_keys(name), vec![name.to_owned()]),
            Self::Dramatiq => {
                (["", ".msgs", ".DQ.msgs", ".XQ"].map(|end| format!("{name}{end}")).to_vec(), vec![])
            }
            Self::List | Self::Stream => (vec![name.to_owned()], further.to_vec()),
            Self::Rq => (
                ["queue", "wip", "scheduled", "failed"].map(|key| format!("{key}:{name}")).to_vec(),
                vec![format!("{prefix}job:")],
            ),
            Self::Sidekiq => {
                let sets = ["schedule", "retry", "dead", "processes"].map(str::to_owned);
                let keys = [format!("queue:{name}")].into_iter().chain(sets).collect();
                (keys, vec![name.to_owned(), prefix.to_owned()])
            }
        };
        Recipe {
            script: self.script(),
            keys: keys.into_iter().map(|key| format!("{prefix}{key}")).collect(),
            arguments,
        }
    }
}

/// A queue is a list for each of four steps of priority, of which the first has the queue's own name.
fn celery_keys(name: &str) -> Vec<String> {
    let lists = ["", "\u{6}\u{16}3", "\u{6}\u{16}6", "\u{6}\u{16}9"].map(|step| format!("{name}{step}"));
    ["unacked", "unacked_index"].map(str::to_owned).into_iter().chain(lists).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_begins_with_the_prefix() {
        let recipe = System::BullMq.recipe("shop:", "mail", &[]);
        assert_eq!(recipe.keys[..2], ["shop:mail:wait", "shop:mail:prioritized"]);
        assert_eq!(recipe.arguments, ["shop:mail:"]);
        let recipe = System::Sidekiq.recipe("", "default", &[]);
        assert_eq!(recipe.keys, ["queue:default", "schedule", "retry", "dead", "processes"]);
        assert_eq!(System::Celery.recipe("", "celery", &[]).keys[3].as_bytes(), b"celery\x06\x163");
    }

    #[test]
    fn no_script_writes() {
        let reads = [
            "EXISTS",
            "GETRANGE",
            "HGET",
            "HLEN",
            "HMGET",
            "LINDEX",
            "LLEN",
            "LRANGE",
            "SCARD",
            "SMEMBERS",
            "TIME",
            "XINFO",
            "XLEN",
            "XRANGE",
            "ZCARD",
            "ZCOUNT",
            "ZRANGE",
            "ZRANGEBYSCORE",
        ];
        let systems = [
            System::Apalis,
            System::Arq,
            System::BullMq,
            System::Celery,
            System::Dramatiq,
            System::List,
            System::Rq,
            System::Sidekiq,
            System::Stream,
        ];
        for system in systems {
            let calls = system.script().split("call('").skip(1).filter_map(|rest| rest.split('\'').next());
            let calls: Vec<_> = calls.collect();
            assert!(
                calls.len() > 1 && calls.iter().all(|call| reads.contains(call)),
                "{system:?}: {calls:?}"
            );
        }
    }
}
