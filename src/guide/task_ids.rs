//! Where a task id comes from, and when two tasks can have the same one.
//!
//! A task id is one of 1000 buckets by default. Each process has one id, which all of its clients share. It keeps
//! gauges of several copies of a service apart, and because there are only so many ids, no deploy creates new time
//! series.
//!
//! # Sources
//!
//! A random bucket is enough for a handful of tasks. [`ClientBuilder::task_id_from`] chooses another source. The
//! variable `TASKTAG_TASK_ID` takes precedence over every source.
//!
//! | source | can two live tasks have the same id? |
//! |---|---|
//! | [`random`] | by chance: 2 % with 7 tasks, 50 % with 38. [`TaskIdPool`] computes the probability |
//! | [`fixed`] | if you give two tasks the same number |
//! | [`platform`] | never among the tasks that the platform numbers: a `StatefulSet`, a process type, a task group |
//! | [`hashed`] | by chance, but a task keeps its id when it restarts |
//! | [`leased`] | never on one host. Each id is a locked file, which the kernel unlocks when the process ends in whatever way |
//! | `leased_in_redis` | never, on any number of hosts, as long as Redis keeps its data. A lease lasts 30 s, a thread renews it, and it is given up after 20 s without an answer. Needs the feature `redis` |
//! | [`detect`] | depends on what it finds: the strongest source that is available. [`TaskId::source`] says which |
//!
//! If there are more tasks than buckets, a task shares a bucket: [`TaskId::source`] is
//! [`Shared`](crate::TaskIdSourceKind::Shared), and [`Stats::shared_task_ids`](crate::Stats::shared_task_ids) counts
//! it. Telemetry has the tag `task_id_source` and the gauge `tasktag.task_id.pool_size`; with leases also
//! `tasktag.task_id.live` and `tasktag.task_id.fill`.
//!
//! # Sizing a pool
//!
//! Leases never collide as long as there is a free slot for every task that a rolling deploy starts before it stops the
//! old ones. With a surge of 10 %, 1000 slots serve 909 tasks. The example `fleet` simulates a month of deploys,
//! crashes and autoscaling.
//!
//! systemd removes `RuntimeDirectory=shop` when the first of several units that name it stops. Set
//! `RuntimeDirectoryPreserve=yes` in each unit, or let one base unit own the directory.
//!
//! # Metrics without a task id
//!
//! Values that are added up over all tasks need no task id, which only multiplies their time series. That is true of
//! counters if all tasks send to one server, or if their agents add the host.
//! [`without_task_id`](crate::MetricBuilder::without_task_id) leaves it out of one metric, and
//! [`task_id_on`](crate::ClientBuilder::task_id_on) out of all metrics of some kinds. Agents that add no host, as on
//! Fargate, need it on counters too.
//!
//! # Platforms
//!
//! | platform | ordinal, for [`platform`] | name, for [`hashed`] |
//! |---|---|---|
//! | Kubernetes | `JOB_COMPLETION_INDEX`, `POD_INDEX`, or `POD_NAME` or `HOSTNAME` of a `StatefulSet` | `POD_NAME`, `HOSTNAME` |
//! | Nomad | `NOMAD_ALLOC_INDEX` | `NOMAD_ALLOC_ID` |
//! | Cloud Foundry | `CF_INSTANCE_INDEX` | `CF_INSTANCE_GUID` |
//! | Heroku | `DYNO` | `DYNO` |
//! | Scalingo | `CONTAINER` | `CONTAINER` |
//! | Cloud Run jobs | `CLOUD_RUN_TASK_INDEX` | – |
//! | Docker Swarm | `TASK_SLOT`, set to `{{.Task.Slot}}` | – |
//! | systemd | `SYSTEMD_INSTANCE`, set to `%i` | the host's name with it |
//! | ECS | – | `ECS_CONTAINER_METADATA_URI_V4`, `ECS_CONTAINER_METADATA_URI` |
//! | Fly | – | `FLY_MACHINE_ID`, `FLY_ALLOC_ID` |
//! | Render | – | `RENDER_INSTANCE_ID` |
//! | Railway | – | `RAILWAY_REPLICA_ID` |
//!
//! [`random`]: crate::TaskIdSource::random
//! [`fixed`]: crate::TaskIdSource::fixed
//! [`platform`]: crate::TaskIdSource::platform
//! [`hashed`]: crate::TaskIdSource::hashed
//! [`leased`]: crate::TaskIdSource::leased
//! [`detect`]: crate::TaskIdSource::detect
//! [`TaskIdPool`]: crate::TaskIdPool
//! [`TaskId::source`]: crate::TaskId::source
//! [`ClientBuilder::task_id_from`]: crate::ClientBuilder::task_id_from
