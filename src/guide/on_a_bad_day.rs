//! What the client does in case of each fault, what its statistics show then, and what you can do about it.
//!
//! After start-up no call site fails, blocks, panics or prints. Losses are counted instead, and they are reported in
//! three ways:
//!
//! * [`Client::stats`] returns [`Stats`]. Once the worker is idle, [`Stats::accepted`] is [`Stats::sent`] plus
//!   everything that was dropped. [`Stats::dropped`] says how much was dropped for one [`DropReason`], and
//!   [`Stats::losses`] lists all reasons. [`Stats::last_error`] is the agent's address with the system's error.
//!   [`Stats::last_sent_at`] is the time of the last flush that sent something.
//! * Every 10 s the same counts are sent to the agent as metrics, under `datadog.dogstatsd.client.` (in the StatsD
//!   dialects under `tasktag.client.`). The metrics `values_dropped` and `lines_dropped` have a tag `reason`.
//! * [`ClientBuilder::on_loss`] calls a closure with a [`LossNotice`] when values start to be dropped. It calls it
//!   again at most once a minute while the losses continue, and once when they have ended or the client is shut down. A
//!   notice is one line of text, such as `metrics are being dropped: 1 value, 1 line (transport); last error:
//!   udp://127.0.0.1:8125: Connection refused (os error 111)`. The [integrations](crate::integrations) with log and
//!   tracing have closures that write it.
//!
//! Below, **statistics** lists the fields of [`Stats`] and the drop reasons that a fault changes, **notice** says what
//! the closure is called with, and **what to do** is for the operator of the program.
//!
//! # The agent
//!
//! ## The agent is away, restarts, or is replaced at the path of its socket
//!
//! The client tries again at every flush, and finds a new socket at the same path. Gauges are sent at every flush, so
//! the agent has them as soon as it is back. Everything else that was due while it was away is lost.
//!
//! * **Statistics:** [`DropReason::Transport`] grows. [`Stats::last_error`] says why, and [`Stats::last_sent_at`] does
//!   not move on.
//! * **Notice:** the reason `transport`, with the agent's address and the system's error.
//! * **What to do:** compare the address in the error with that of the agent, and start the agent.
//!
//! ## An agent behind a node port or a load balancer is replaced
//!
//! What forwards UDP packets remembers the port that they come from, and keeps forwarding them to the old agent. The
//! client therefore sends from another port after a refusal, and once a minute.
//!
//! * **Statistics:** [`DropReason::Transport`] and [`Stats::last_error`], if the old agent's host refused the packets.
//!   Packets that vanish on the way without an answer count as [`Stats::sent`].
//! * **Notice:** the reason `transport` for refused packets, and none for those that vanish.
//! * **What to do:** nothing. An agent on the same host, behind a Unix socket, has no such gap.
//!
//! ## The agent does not read
//!
//! The worker waits for at most 100 ms in a flush, and for at most 200 ms if the agent reads, but slowly. In a call of
//! [`Client::flush`] or [`Guard::shutdown`] it waits for as long as the caller does. What the agent did not take by
//! then is lost. No call site waits.
//!
//! * **Statistics:** [`DropReason::Transport`] and [`Stats::last_error`].
//! * **Notice:** the reason `transport`, with the system's error.
//! * **What to do:** find out what holds the agent up, or give it a larger receive buffer.
//!
//! ## A connection breaks
//!
//! A connection over TCP or a Unix stream is made again after 25 ms, and after ever longer waits of up to 5 s if that
//! fails. A packet that was cut is lost. On Linux, what the connection had taken and not delivered is moved from
//! [`Stats::sent`] to [`DropReason::Transport`]. Over TCP that is what the agent's host did not acknowledge, and over a
//! Unix stream what the agent may not have read. What the agent's host acknowledged and the agent did not read stays in
//! [`Stats::sent`], because the client is not notified of it.
//!
//! * **Statistics:** [`Stats::sent`] shrinks by what [`DropReason::Transport`] grows. [`Stats::last_error`] says why
//!   the connection ended.
//! * **Notice:** the reason `transport`, with the system's error.
//! * **What to do:** nothing, if the agent was restarted.
//!
//! ## The agent's host vanishes without a word
//!
//! On Linux a TCP connection ends after 10 s without an acknowledgement, and what was not acknowledged is moved from
//! [`Stats::sent`] to [`DropReason::Transport`]. Over UDP nobody notices that a host is gone.
//!
//! * **Statistics:** over TCP [`DropReason::Transport`] and [`Stats::last_error`], and [`Stats::sent`] shrinks. Over
//!   UDP nothing.
//! * **Notice:** over TCP the reason `transport`, with the system's error.
//! * **What to do:** bring the host back, or give the agent another address.
//!
//! ## Two contexts are the same line to an agent
//!
//! This happens with agents of several dialects, of which one writes in one word what another writes in two. It also
//! happens with an agent without tags. Both contexts are sent. At the server counters add up, and gauges overwrite each
//! other.
//!
//! * **Statistics:** [`Stats::clashing_contexts`] is the number of such contexts. Nothing is dropped.
//! * **Notice:** none.
//! * **What to do:** give the metrics different names. With [`Dialect::Statsd`], put what tells them apart into the
//!   name.
//!
//! ## The dialect has no such thing
//!
//! An event or a service check for a StatsD server is refused. So is a value with an explicit timestamp, if the agent's
//! protocol does not support timestamps.
//!
//! * **Statistics:** [`DropReason::Unsupported`] grows.
//! * **Notice:** the reason `unsupported`, once in the life of the client.
//! * **What to do:** send it to an agent that has it, with [`ClientBuilder::also`], or remove the call.
//!
//! # Values and lines
//!
//! ## The channel to the worker is full
//!
//! Events, service checks, set members and values with explicit timestamps are lost. Gauges, counters and distributions
//! do not use the channel, except for values of a distribution beyond the range of its table.
//!
//! * **Statistics:** [`DropReason::ChannelFull`] grows.
//! * **Notice:** the reason `channel_full`.
//! * **What to do:** raise [`ClientBuilder::channel_capacity`], or count what comes in such numbers with a counter.
//!
//! ## A value is not finite, or a call by name has the name of another kind
//!
//! The value is refused. A gauge is the exception: see the next section.
//!
//! * **Statistics:** [`DropReason::Invalid`] grows.
//! * **Notice:** the reason `invalid`.
//! * **What to do:** look for a division by 0, and for two metrics of one name.
//!
//! ## A gauge is set to NaN or infinity
//!
//! The gauge is absent until it is set again. This is no loss, because a gauge without a level has nothing to report.
//!
//! * **Statistics:** [`Stats::unset_gauges`] counts each change from a level to none. Nothing is dropped.
//! * **Notice:** none.
//! * **What to do:** nothing, if the level is not known at times.
//!
//! ## A line is larger than a packet
//!
//! The line is lost. Lines before and after it are sent.
//!
//! * **Statistics:** [`DropReason::TooLarge`] grows.
//! * **Notice:** the reason `too_large`.
//! * **What to do:** shorten the tags, or raise [`ClientBuilder::max_packet_size`] if the agent takes larger packets.
//!
//! ## An event or a service check is larger than 8 KiB
//!
//! The end of its text is lost, and the rest is sent.
//!
//! * **Statistics:** [`Stats::truncated_texts`] grows. Nothing is dropped.
//! * **Notice:** none.
//! * **What to do:** put the long text into a log, and a link to it into the event.
//!
//! ## A tag is left out
//!
//! A tag with an empty key is left out, as is a ninth tag that was added one by one. The value itself is sent.
//!
//! * **Statistics:** [`Stats::refused_tags`] grows. Nothing is dropped.
//! * **Notice:** none.
//! * **What to do:** hand over more than eight tags as a slice, with [`MetricBuilder::tags`].
//!
//! ## A tag has the key of the task id
//!
//! It is sent as `task_id_`, so that no line has two task ids. If its value is this process's own task id, the tag is
//! left out instead, because the client adds the same tag.
//!
//! * **Statistics:** [`Stats::refused_tags`] grows if the tag was left out. Nothing is dropped.
//! * **Notice:** none.
//! * **What to do:** rename the tag, or give the client's own another key with [`ClientBuilder::task_id_key`].
//!
//! ## A distribution has more than 1000 lines in a flush
//!
//! With [`Weights::Repeats`], every value of a distribution, histogram or timing is written as a separate line. Of more
//! than 1000 values, a sample of 1000 is sent that has the same quantiles and the same mean.
//!
//! * **Statistics:** [`DropReason::Sampled`] counts the values that were left out.
//! * **Notice:** the reason `sampled`.
//! * **What to do:** flush more often, or have summaries sent with [`Weights::Summaries`].
//!
//! # Limits
//!
//! ## There are more contexts than the limit
//!
//! The limit is 2000 contexts, and 200 of one metric. Values of further contexts are summed in one context a metric,
//! tagged `tasktag_overflow:true`. At the next flush, idle gauges without a handle are removed to make room, the least
//! recently set first.
//!
//! * **Statistics:** [`Stats::folded_values`] counts calls by name, and [`Stats::folded_registrations`] counts
//!   registrations. The metric `<name>.folded` counts them for each metric. Nothing is dropped, except the tags.
//! * **Notice:** none.
//! * **What to do:** call [`Client::cardinality`] to find out which tag has so many values, and bound it with
//!   [`MetricBuilder::bounded`]. [`ClientBuilder::context_limit`] and [`ClientBuilder::metric_context_limit`] set the
//!   limits.
//!
//! ## There are more overflow contexts than the limit, or more than 10,000 members of a set
//!
//! As many metrics as the limit of contexts have an overflow context. What would need one more is lost, as is a new
//! member of a set that has 10,000 different members in this flush.
//!
//! * **Statistics:** [`DropReason::ContextLimit`] grows. A handle that was registered then counts in
//!   [`Stats::refused_registrations`].
//! * **Notice:** the reason `context_limit`.
//! * **What to do:** remove what varies from metrics' names. Count the members of a large set where they are kept.
//!
//! ## A registration is refused
//!
//! A metric without a name is refused, and so is one with the name of another kind. The handle reports nothing, and its
//! values are counted nowhere.
//!
//! * **Statistics:** [`Stats::refused_registrations`] grows.
//! * **Notice:** none.
//! * **What to do:** call [`MetricBuilder::try_register`], which returns the reason.
//!
//! ## A pool or a queue is watched twice
//!
//! A second watch with the same prefix and tags does nothing. The first one continues.
//!
//! * **Statistics:** [`Stats::refused_watches`] grows.
//! * **Notice:** none.
//! * **What to do:** drop the first [`Watch`], or give the second a tag that tells them apart.
//!
//! The same holds for a second set of [`Holders`](crate::Holders) with the same prefix and tags: its oldest
//! holds are not reported. Everything else of it adds to the metrics of the first. Make one, and clone it.
//!
//! # Closures and panics
//!
//! A panic of a closure that you hand in is caught, as is a panic of the worker. Neither can be caught in a program
//! that is built with `panic = "abort"`, or whose panic hook ends the process: there the first panic ends the program.
//!
//! ## A watched closure does not return for 1 s
//!
//! Its gauges are absent until it returns. All other watches continue while up to four closures hang at the same time.
//! If a fifth hangs, no closure is called until one of them returns.
//!
//! * **Statistics:** [`Stats::probes_late`] counts it, and [`Stats::late_probes`] names it until it returns.
//! * **Notice:** [`LossPhase::ProbeLate`], which names the watch.
//! * **What to do:** use `try_lock` in the closure, and make no network calls in it. [`QueueStatus`] shows how to watch
//!   a queue on a server.
//!
//! ## A Redis server with a watched queue does not answer
//!
//! The gauges of its queues are absent after 2 s at most, or at once if it refuses. It is asked again at each
//! collection. Each queue is asked about on a thread of its own, so nothing else waits.
//!
//! * **Statistics:** nothing. The counter `queue.unanswered` has the questions without an answer.
//! * **Notice:** none.
//! * **What to do:** call `RedisQueue::ask` once, for example at the start. Its error says why there is no answer.
//!
//! ## A watched closure panics
//!
//! The panic is caught. After three in a row the closure is not called any more, and its gauges end.
//!
//! * **Statistics:** [`Stats::probe_panics`] counts the panics, and [`Stats::probes_removed`] the closures that are not
//!   called any more.
//! * **Notice:** none.
//! * **What to do:** read the message that the panic hook printed, and watch the pool or queue again.
//!
//! ## The closure of `on_loss` panics
//!
//! The panic is caught, and the closure is not called any more.
//!
//! * **Statistics:** [`Stats::notice_panics`] counts it.
//! * **Notice:** none from then on.
//! * **What to do:** read the message that the panic hook printed.
//!
//! ## The worker panics
//!
//! The worker is started again. What is in handles and in the channel is kept. What it was about to send is lost.
//!
//! * **Statistics:** [`Stats::worker_restarts`] counts it, and [`DropReason::WorkerPanic`] what was lost.
//! * **Notice:** the reason `worker_panic`.
//! * **What to do:** report it to this crate, with the message that the panic hook printed.
//!
//! # The end of the program
//!
//! ## A value comes after the guard was dropped
//!
//! It is not sent.
//!
//! * **Statistics:** [`DropReason::AfterShutdown`] grows.
//! * **Notice:** none. The closure was dropped by then.
//! * **What to do:** drop the [`Guard`] after everything that reports.
//!
//! ## The program ends without dropping the guard
//!
//! This happens with `std::process::exit`, an abort, a `SIGTERM` that nobody handles, and a guard in a `static`. What
//! came since the last flush is lost.
//!
//! * **Statistics:** nothing, because nobody is left to count.
//! * **Notice:** none.
//! * **What to do:** call [`Guard::shutdown`] before.
//!
//! # Task ids
//!
//! ## Two tasks draw the same id
//!
//! Their gauges overwrite each other. The probability is 2 % at 7 tasks, and 50 % at 38.
//!
//! * **Statistics:** nothing, because neither knows of the other.
//! * **Notice:** none.
//! * **What to do:** [`TaskIdPool::collision_probability`] computes the probability. An ordinal of the platform or a
//!   lease makes it 0: see [`TaskIdSource`].
//!
//! ## All slots are leased, or the ordinal is beyond the pool
//!
//! The task shares a bucket with another, and [`TaskId::source`] is [`TaskIdSourceKind::Shared`].
//!
//! * **Statistics:** [`Stats::shared_task_ids`] is 1.
//! * **Notice:** none.
//! * **What to do:** take a larger pool, with [`ClientBuilder::task_id_pool`].
//!
//! ## Redis does not answer for 20 s while it holds the lease of the task id
//!
//! The task shares a bucket before another task can lease its id, and requests its own id again once Redis answers.
//!
//! * **Statistics:** [`Stats::lost_task_ids`] and [`Stats::shared_task_ids`] grow.
//! * **Notice:** none.
//! * **What to do:** nothing, once Redis is back.
//!
//! ## The process stood still in the middle of a flush, and its lease is over
//!
//! The packets that this flush has not sent yet are lost, because another task may have the id that they carry.
//!
//! * **Statistics:** [`DropReason::LeaseLost`] counts them, and [`Stats::lost_task_ids`] the lease.
//! * **Notice:** the reason `lease_lost`.
//! * **What to do:** nothing. A longer [`TaskIdSource::lease_time`](crate::TaskIdSource) outlasts longer stops.
//!
//! ## The directory of leases is removed and made again
//!
//! Within 10 s each task locks its slot again, leases another one, or shares a bucket.
//!
//! * **Statistics:** [`Stats::lost_task_ids`] counts a slot that another task has by then, and
//!   [`Stats::shared_task_ids`] a shared bucket.
//! * **Notice:** none.
//! * **What to do:** set `RuntimeDirectoryPreserve=yes` in each systemd unit that shares the directory.
//!
//! # Forks and snapshots
//!
//! ## The program forks
//!
//! On Linux the first use of a metric in the child gives it a task id, a worker and statistics of its own. On other
//! systems [`after_fork`] does.
//!
//! Threads that a child starts with [`std::thread`] may wait forever, if a thread of the parent was starting or ending
//! at the fork (seen with Rust 1.95 on Linux). In the same way the resolver of the C library may be locked in the child
//! if another thread was resolving a name (seen with glibc 2.36). This has nothing to do with metrics. If the parent had
//! a client before the fork, the library does without both: the C library starts its threads in the child, and the
//! child begins with its parent's addresses of the agent. Leases and queues in a Redis server that has a name still need
//! the resolver.
//!
//! * **Statistics:** they start from 0 in the child. Nothing is dropped.
//! * **Notice:** the child's own losses, from 0.
//! * **What to do:** on other systems than Linux, call [`after_fork`] first in the child. Fork while no other thread
//!   starts, ends or resolves a name, or start another program in the child.
//!
//! ## A forked child can't lease, or its parent has an ordinal or a hash
//!
//! The child shares a bucket of its pool.
//!
//! * **Statistics:** [`Stats::shared_task_ids`] is 1 in the child.
//! * **Notice:** none.
//! * **What to do:** lease in a directory that the children may write to.
//!
//! ## A forked child is refused a thread
//!
//! Its values wait in their cells and in the channel. The first use of a metric after a second tries to start a thread
//! again.
//!
//! * **Statistics:** nothing at first. If the child ends without a thread, [`DropReason::AfterShutdown`] counts what it
//!   had.
//! * **Notice:** none.
//! * **What to do:** raise the limit of processes (`ulimit -u`, or `pids.max` of the cgroup).
//!
//! ## A process is restored from a snapshot of its memory
//!
//! Every clone of a snapshot has the same task id. [`after_restore`] gives a clone a task id, workers and statistics of
//! its own.
//!
//! * **Statistics:** they start from 0 after the call.
//! * **Notice:** the clone's own losses, from 0.
//! * **What to do:** call [`after_restore`] in the hook that the platform runs after it restored a process.

#[cfg(doc)]
use crate::{
    Client, ClientBuilder, Dialect, DropReason, Guard, LossNotice, LossPhase, MetricBuilder, QueueStatus,
    Stats, TaskId, TaskIdPool, TaskIdSource, TaskIdSourceKind, Watch, Weights, after_fork, after_restore,
};
