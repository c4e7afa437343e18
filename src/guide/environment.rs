//! The environment variables that the client reads.
//!
//! [`ClientBuilder::from_env`](crate::ClientBuilder::from_env) reads all of them but `TASKTAG_TASK_ID`, which is always
//! read unless the program sets [`task_id`](crate::ClientBuilder::task_id).
//!
//! * Settings made in code take precedence over the environment, regardless of the order of the calls.
//! * An empty variable counts as absent.
//! * An unusable address, port, switch, dialect or task id is an error of [`build`](crate::ClientBuilder::build), which
//!   names the variable and its value. Variables that are not used, because another one takes precedence, are not
//!   checked.
//! * If no variable gives an address, and the Datadog Agent's own socket `/var/run/datadog/dsd.socket` exists, that
//!   socket is used. Otherwise the address is [`DEFAULT_AGENT`](crate::DEFAULT_AGENT).
//!
//! # The agent's address
//!
//! The first variable of this table that is set gives the address.
//!
//! | variable | value |
//! |---|---|
//! | `DD_DOGSTATSD_URL` | `udp://host:port`, `unix:///path`, `unix:@name` for an abstract socket, `unixstream:///path`, `tcp://host:port`, `stdout:`, or `null:`, which disables the client |
//! | `DD_AGENT_HOST` | a host, a host and port, or one of the addresses above |
//! | `DD_DOGSTATSD_SOCKET` | the path of the agent's socket |
//! | `STATSD_ADDR` | a host and port |
//! | `STATSD_HOST` | a host, or a host and port |
//!
//! An IPv6 address stands in brackets if a port follows, and may have a scope: `[fe80::1%eth0]:8125`.
//!
//! | variable | value |
//! |---|---|
//! | `DD_DOGSTATSD_PORT` | the port that goes with `DD_AGENT_HOST`; 8125 if it is not set. If no variable gives a host, the port of this host. A URL, which Kubernetes sets for some Services, is ignored |
//! | `STATSD_PORT` | the same for `STATSD_ADDR` and `STATSD_HOST` |
//!
//! # Switches
//!
//! | variable | value |
//! |---|---|
//! | `TASKTAG_DISABLED` | `true` or `1` disables the client: it has no thread, no socket and no task id. `false` or `0` enables it, even if `DD_DOGSTATSD_DISABLE` disables it. Any other value is an error |
//! | `DD_DOGSTATSD_DISABLE` | `True`, `true`, `yes` or `1` disables the client |
//! | `TASKTAG_DIALECT` | the agent's dialect, if the program sets none: `dogstatsd`, `tagged_statsd`, `graphite`, `influx`, `librato`, `signalfx`, `statsd` or `datadog_serverless` |
//!
//! # Tags and identity
//!
//! | variable | value |
//! |---|---|
//! | `TASKTAG_TASK_ID` | the task id of this process: a number from 1 to the size of the pool, which is 1000 by default |
//! | `DD_TAGS` | global tags: `key:value`, separated by commas or spaces |
//! | `DD_ENV` | the global tag `env` |
//! | `DD_SERVICE` | the global tag `service` |
//! | `DD_VERSION` | the global tag `version` |
//!
//! # The container
//!
//! Only DogStatsD carries these.
//!
//! | variable | value |
//! |---|---|
//! | `DD_ENTITY_ID` | the pod, for the tags that the Agent adds |
//! | `DD_EXTERNAL_ENV` | what the Agent's admission controller says about the pod |
//! | `DD_ORIGIN_DETECTION_ENABLED` | `false` turns the detection of the container off, and leaves `DD_EXTERNAL_ENV` out |
//! | `DD_CARDINALITY` | how many of its own tags the Agent adds: `none`, `low`, `orchestrator` or `high` |
//! | `DATADOG_CARDINALITY` | the same; `DD_CARDINALITY` takes precedence |
//! | `AWS_LAMBDA_FUNCTION_NAME` | set by AWS Lambda: if the function has Datadog's extension, the dialect is [`DatadogServerless`](crate::Dialect::DatadogServerless) |
