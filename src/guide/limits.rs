//! Defaults, and what bounds the memory of a client.
//!
//! Everything that a client keeps has a limit. What a limit keeps out is counted, and
//! [`Client::stats`](crate::Client::stats) says by which one.
//!
//! | what | default | setting |
//! |---|---|---|
//! | time between flushes | 2 s; the first comes after a random part of that | [`flush_interval`](crate::ClientBuilder::flush_interval) |
//! | time between collections, which poll what is watched and empty the channel; a client without watches leaves out those that would find nothing | 250 ms | [`collect_interval`](crate::ClientBuilder::collect_interval) |
//! | contexts, each a name with its tags | 2000 | [`context_limit`](crate::ClientBuilder::context_limit) |
//! | contexts of one metric | 200 | [`metric_context_limit`](crate::ClientBuilder::metric_context_limit) |
//! | events, service checks and members of sets that wait for the worker | 8192 | [`channel_capacity`](crate::ClientBuilder::channel_capacity) |
//! | packet size | 1432 bytes over UDP, 8192 bytes over Unix sockets and TCP | [`max_packet_size`](crate::ClientBuilder::max_packet_size) |
//! | time that dropping the guard may take | 1 s | [`shutdown_timeout`](crate::ClientBuilder::shutdown_timeout) |
//! | values of a bounded tag | chosen at the call, at most 10,000 | [`bounded`](crate::MetricBuilder::bounded) |
//! | holders of one pool | chosen at the call, at most 256; further ones are `other` | [`holders`](crate::Client::holders) |
//! | holds of one holder whose age is known | 128 at once; further ones are counted | – |
//! | different members of one set in one flush | 10,000 | – |
//! | values of a distribution in one flush, if each value is a line of its own | 1000; beyond that a sample with the same quantiles and mean | [`Weights::Repeats`](crate::Weights::Repeats) |
//! | time that a call by name is remembered | 150 flushes without a call; gauges stay as long as there is room | [`idle_gauges`](crate::ClientBuilder::idle_gauges) |
//! | length of a name | 200 bytes; the rest is cut | – |
//! | length of an event or a service check | 8 KiB; the rest is cut | – |
//! | items of a work queue whose age is exact to 64 ns | about 2,000; beyond that to 4.2 ms or a 64th | [`WorkQueue`](crate::WorkQueue) |
//! | units of an occupancy whose ages are known | 128 at once; further ones are counted | [`Occupancy::untracked`](crate::Occupancy::untracked) |
//! | jobs of a queue in Redis that a collection looks at | at most 500, however many wait | – |
//! | jobs of each sort that a queue in SQL counts | 10,000, or 1,000 of those that are dead or due later; the limit stands for itself and more | [`SqlQueue`](crate::SqlQueue) |
//! | priorities of a queue in SQL that are visited | 1,000 in each state | – |
//! | classes of a gate | chosen at the call, at most 16; work of any other is `other` | [`Gate`](crate::Gate) |
//! | parts of a gate's load | 16 | [`Load::part`](crate::Load::part) |
//! | ids that a draw tries | 32 | [`max_tries`](crate::IdSpace::max_tries) |
//! | period of an objective | 30 days, from 7 to 90 | [`period_days`](crate::ObjectiveBuilder::period_days) |
//! | agents that receive everything beside the main one | 3 | [`also`](crate::ClientBuilder::also) |
//!
//! # Memory
//!
//! The memory of a context with one short tag and one agent, with its handle, on Linux with glibc's allocator. Each
//! further tag adds about 45 bytes, and more if its value has more than 22 bytes. Each further agent adds 100 to 160.
//! The contexts of a metric whose tags have the same keys have their name and keys in common.
//!
//! | context | KiB | at most |
//! |---|---|---|
//! | gauge | 0.4 | the same |
//! | counter | 0.4 | 0.8, on 32 processors and more: 8 bytes for each of twice as many threads as there are processors |
//! | distribution, histogram, timing | 1.1 | 172, with 4,096 buckets in use and many threads that record at the same time; [`Distribution`](crate::Distribution#memory) says what is between the two |
//! | set | 0.4 | 900 during an interval, with 10,000 different members |
//! | occupancy | 0.6; with [`oldest`](crate::MetricBuilder::oldest) 1.7 | the same |
//! | work queue | 64, and four timings | the same, however many items wait |
//! | objective | 18 | 92, with slices of a second and a period of 90 days |
//!
//! With the default limit of 2000 contexts, gauges or counters alone take 0.8 MiB, and timings alone 2.2 MiB with few
//! values each and 26 MiB with thousands of latencies each. On a timing that threads record at the same moments, each
//! of up to 7 further tables takes 10 KiB, however few its values are. The worst case is 2000 timings, and as many
//! overflow contexts, that are all as busy as can be: 670 MiB. A lower
//! [`context_limit`](crate::ClientBuilder::context_limit) lowers it in proportion. Names and tags that were passed in
//! another spelling than they are written in are kept for at most as many contexts, up to 4 KiB each.
//!
//! A client itself takes 0.6 MiB, nearly all of it for the channel: 72 bytes for each of its 8192 records. The first
//! distribution adds 100 KiB of tables in stock, and many add up to 336 KiB. A thread that calls metrics by name takes 18 KiB.
