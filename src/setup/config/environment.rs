//! What the environment decides, unless the program does: where the agent is, and whether there is a client at all.

use super::ClientBuilder;
use crate::setup::env::Environment;
use crate::task_id::TASK_ID_VARIABLE;

impl ClientBuilder {
    /// Whether the client is switched off: it does nothing, as [`Client::disabled`](crate::Client::disabled), and its guard
    /// neither. Settings and variables are checked all the same; what they name, as a directory of leases, is left alone.
    /// `false` goes before the variables `TASKTAG_DISABLED` and `DD_DOGSTATSD_DISABLE`. A client whose agent's address is `null:` is
    /// disabled in any case, and with it what it would send to [others](Self::also), unless it has a [writer](Self::writer).
    /// Defaults to what the variables say, if they are [read](Self::from_env), else to `false`.
    ///
    /// ```
    /// use tasktag::Client;
    ///
    /// let is_wanted = std::env::args().any(|arg| arg == "--metrics");
    /// let guard = Client::builder().disabled(!is_wanted).build()?;
    /// guard.client().counter("jobs.done").increment(1); // nothing, in a test
    /// # assert!(guard.client().is_disabled());
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.disabled = Some(disabled);
        self
    }

    /// Reads the environment for what is not set here. An empty variable counts as absent.
    ///
    /// The agent's address comes from the first of these that is set:
    ///
    /// | variable | what it may say |
    /// |---|---|
    /// | `DD_DOGSTATSD_URL` | an address, as in [`agent`](Self::agent) |
    /// | `DD_AGENT_HOST` | a host, a host with its port, or an address; the port is `DD_DOGSTATSD_PORT` unless it says one |
    /// | `DD_DOGSTATSD_SOCKET` | the path of a Unix datagram socket, or an address |
    /// | `STATSD_ADDR`, then `STATSD_HOST` | as `DD_AGENT_HOST`, with `STATSD_PORT` |
    /// | `DD_DOGSTATSD_PORT`, then `STATSD_PORT` | a port on this host |
    ///
    /// If none of them is set and the dialect is DogStatsD, the Agent's own socket, `/var/run/datadog/dsd.socket`, is
    /// used if it is there. Otherwise the address is [`DEFAULT_AGENT`](crate::DEFAULT_AGENT).
    ///
    /// A port variable that holds a URL is ignored: Kubernetes sets `STATSD_PORT=udp://10.96.0.12:8125` in every pod
    /// beside a Service named `statsd`. An IPv6 address may name its interface: `fe80::1%eth0`, or with a port
    /// `[fe80::1%eth0]:8125`.
    ///
    /// `TASKTAG_DIALECT` names the [dialect](crate::Dialect) of that agent, if the program sets neither a dialect nor a
    /// protocol: `dogstatsd`, `tagged_statsd`, `graphite`, `influx`, `librato`, `signalfx`, `statsd` or `datadog_serverless`.
    ///
    /// `TASKTAG_DISABLED` switches the client [off](Self::disabled) by `true` or `1`; `false` and `0` leave it on.
    /// If it is not set, `DD_DOGSTATSD_DISABLE` switches it off by `True`, `true`, `yes` or `1`, as it does Datadog's client for
    /// Python, and whatever else leaves it on.
    ///
    /// Global tags: `DD_TAGS` (`key:value`, separated by commas or spaces), `DD_ENV`, `DD_SERVICE`, `DD_VERSION`, and in
    /// DogStatsD `DD_ENTITY_ID`. A tag that is set here takes precedence over one of the same key.
    ///
    /// In DogStatsD also: `DD_ORIGIN_DETECTION_ENABLED`, off by `0`, `f` or `false` and on by whatever else;
    /// `DD_EXTERNAL_ENV`, which the Agent's admission controller sets, and of which lower case ASCII letters, digits, `-` and `,`
    /// are sent, unless it has more than 512 bytes; `DD_CARDINALITY`, else `DATADOG_CARDINALITY`: `none`, `low`,
    /// `orchestrator` or `high`.
    ///
    /// In AWS Lambda with Datadog's extension, that is if `AWS_LAMBDA_FUNCTION_NAME` is set and there is a file
    /// `/opt/extensions/datadog-agent`, as which Datadog's Lambda libraries know it too, the dialect is
    /// [`DatadogServerless`](crate::Dialect::DatadogServerless). Not if the program sets a dialect or a protocol, or if the agent's address is
    /// another than UDP on this host.
    ///
    /// `TASKTAG_TASK_ID` is read with or without this call.
    pub fn from_env(self) -> Self {
        let vars = std::env::vars_os().filter_map(|(key, value)| {
            // What is not Unicode in a value leaves its mark, and is found unusable where it matters.
            Some((key.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        // The task id is the process's, decided once.
        self.from_vars(vars.filter(|(key, _)| key != TASK_ID_VARIABLE))
    }

    /// As [`from_env`](Self::from_env), with variables from elsewhere: a file, a secret store, a test. A
    /// `TASKTAG_TASK_ID` among them is this client's alone.
    pub fn from_vars<K: Into<String>, V: Into<String>>(
        mut self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment = Some(Environment::new(vars.into_iter().map(|(k, v)| (k.into(), v.into()))));
        self
    }
}
