//! Settings from the environment, which apply unless the program makes them, and whether the client is disabled.

use super::ClientBuilder;
use crate::setup::env::Environment;
use crate::task_id::TASK_ID_VARIABLE;

impl ClientBuilder {
    /// Sets whether the client is disabled. A disabled client does nothing, like
    /// [`Client::disabled`](crate::Client::disabled), and its guard does nothing either. Settings and variables are
    /// still checked, but nothing that they name is used, such as a directory of leases. `false` takes precedence over
    /// the variables `TASKTAG_DISABLED` and `DD_DOGSTATSD_DISABLE`. Defaults to what the variables say if the
    /// environment is [read](Self::from_env), and otherwise to `false`.
    ///
    /// A client whose agent has the address `null:` is always disabled, unless it has a [writer](Self::writer). It then
    /// sends nothing to [other agents](Self::also) either.
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

    /// Reads the environment for settings that were not made in code. An empty variable counts as absent.
    ///
    /// The first of these variables that is set gives the agent's address:
    ///
    /// | variable | value |
    /// |---|---|
    /// | `DD_DOGSTATSD_URL` | an address, as in [`agent`](Self::agent) |
    /// | `DD_AGENT_HOST` | a host, a host with its port, or an address. A host without a port uses `DD_DOGSTATSD_PORT` |
    /// | `DD_DOGSTATSD_SOCKET` | the path of a Unix datagram socket, or an address |
    /// | `STATSD_ADDR`, then `STATSD_HOST` | as `DD_AGENT_HOST`, with `STATSD_PORT` |
    /// | `DD_DOGSTATSD_PORT`, then `STATSD_PORT` | a port on this host |
    ///
    /// If none of them is set and the dialect is DogStatsD, the client uses the Agent's own socket,
    /// `/var/run/datadog/dsd.socket`, if it exists. Otherwise the address is [`DEFAULT_AGENT`](crate::DEFAULT_AGENT).
    ///
    /// A port variable that holds a URL is ignored, because Kubernetes sets `STATSD_PORT=udp://10.96.0.12:8125` in
    /// every pod beside a Service named `statsd`. An IPv6 address may have a scope: `fe80::1%eth0`, or with a port
    /// `[fe80::1%eth0]:8125`.
    ///
    /// `TASKTAG_DIALECT` sets the [dialect](crate::Dialect) of that agent, unless the program sets a dialect or a
    /// protocol. Its values are `dogstatsd`, `tagged_statsd`, `graphite`, `influx`, `librato`, `signalfx`, `statsd` and
    /// `datadog_serverless`.
    ///
    /// `TASKTAG_DISABLED` [disables](Self::disabled) the client if it is `true` or `1`, and enables it if it is `false`
    /// or `0`. Any other value is an error of [`build`](Self::build). If it is not set, `DD_DOGSTATSD_DISABLE` disables
    /// the client if it is `True`, `true`, `yes` or `1`, as in Datadog's client for Python. Any other value leaves the
    /// client enabled.
    ///
    /// Global tags are read from `DD_TAGS` (`key:value`, separated by commas or spaces), `DD_ENV`, `DD_SERVICE` and
    /// `DD_VERSION`. DogStatsD also reads `DD_ENTITY_ID`. A tag that is set in code takes precedence over one with the
    /// same key.
    ///
    /// The following variables apply to DogStatsD only:
    ///
    /// * `DD_ORIGIN_DETECTION_ENABLED` disables [origin detection](Self::origin_detection) if it is `0`, `f` or
    ///   `false`, and enables it with any other value.
    /// * `DD_EXTERNAL_ENV` is set by the Agent's admission controller. Its lower case ASCII letters, digits, `-` and
    ///   `,` are sent, unless it has more than 512 bytes.
    /// * `DD_CARDINALITY`, or else `DATADOG_CARDINALITY`, is `none`, `low`, `orchestrator` or `high`.
    ///
    /// In AWS Lambda with Datadog's extension, the dialect is [`DatadogServerless`](crate::Dialect::DatadogServerless).
    /// The client recognizes the extension if `AWS_LAMBDA_FUNCTION_NAME` is set and the file
    /// `/opt/extensions/datadog-agent` exists. Datadog's own Lambda libraries look for the same file. This does not
    /// apply if the program sets a dialect or a protocol, if `TASKTAG_DIALECT` is set, or if the agent's address is not
    /// UDP on this host.
    ///
    /// `TASKTAG_TASK_ID` is read with or without this call.
    pub fn from_env(self) -> Self {
        let vars = std::env::vars_os().filter_map(|(key, value)| {
            // Invalid Unicode in a value becomes the replacement character. It is an error if the value is used.
            Some((key.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        // The task id belongs to the process, and is decided once.
        self.from_vars(vars.filter(|(key, _)| key != TASK_ID_VARIABLE))
    }

    /// Does the same as [`from_env`](Self::from_env) with variables from elsewhere, such as a file, a secret store or a
    /// test. A `TASKTAG_TASK_ID` among them applies to this client only.
    pub fn from_vars<K: Into<String>, V: Into<String>>(
        mut self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment = Some(Environment::new(vars.into_iter().map(|(k, v)| (k.into(), v.into()))));
        self
    }
}
