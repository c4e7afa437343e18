//! The environment gives what the program does not set, and whatever is unusable is an error that names it.

use std::error::Error;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;
use tasktag::{Client, ClientBuilder, ConfigError, Dialect, TaskIdPool};

const PATIENCE: Duration = Duration::from_secs(60);

type Vars<'a> = &'a [(&'a str, &'a str)];

/// An agent that listens on a port of its own.
struct Agent(UdpSocket);

impl Agent {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn port(&self) -> String {
        self.0.local_addr().unwrap().port().to_string()
    }

    fn url(&self) -> String {
        format!("udp://127.0.0.1:{}", self.port())
    }

    /// The next packet's lines.
    fn receive(&self) -> Vec<String> {
        let mut packet = vec![0; 65_536];
        let len = self.0.recv(&mut packet).unwrap();
        String::from_utf8(packet[..len].to_vec()).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    fn has_received(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let received = self.0.recv(&mut [0; 16]);
        self.0.set_nonblocking(false).unwrap();
        received.map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |_| true)
    }
}

fn builder() -> ClientBuilder {
    Client::builder().task_id(TaskIdPool::DEFAULT.id(42).unwrap()).telemetry(false).origin_detection(false)
}

/// Sends the line `jobs:1|c` with the global tags.
fn send(builder: ClientBuilder) {
    let guard = builder.build().unwrap();
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(guard.client().stats().sent.values, 1);
}

/// Asserts that a client with these variables sends to the first agent and to none of the others.
fn assert_sends_to(agents: &[&Agent], builder: ClientBuilder) {
    send(builder);
    let (first, others) = agents.split_first().unwrap();
    assert_eq!(first.receive(), ["jobs:1|c|#task_id:0042"]);
    assert!(!others.iter().any(|other| other.has_received()));
}

#[test]
fn an_address_that_is_set_goes_before_the_environment_in_either_order_of_calls() {
    let agents = [Agent::new(), Agent::new(), Agent::new(), Agent::new()];
    let [set, url, host, statsd] = &agents;
    let (set_url, url_url, host_port, statsd_port) = (set.url(), url.url(), host.port(), statsd.port());
    let vars = [
        ("DD_DOGSTATSD_URL", url_url.as_str()),
        ("DD_AGENT_HOST", "127.0.0.1"),
        ("DD_DOGSTATSD_PORT", &host_port),
        ("STATSD_HOST", "127.0.0.1"),
        ("STATSD_PORT", &statsd_port),
    ];
    assert_sends_to(&[set, url, host, statsd], builder().agent(&set_url).from_vars(vars));
    assert_sends_to(&[set, url, host, statsd], builder().from_vars(vars).agent(&set_url));
    // And without it the variables in their order.
    assert_sends_to(&[url, host, statsd], builder().from_vars(vars));
    assert_sends_to(&[host, statsd, url], builder().from_vars(vars[1..].to_vec()));
    assert_sends_to(&[statsd, url, host], builder().from_vars(vars[3..].to_vec()));
}

#[test]
fn a_port_alone_is_on_this_host() {
    for variable in ["DD_DOGSTATSD_PORT", "STATSD_PORT"] {
        let agent = Agent::new();
        assert_sends_to(&[&agent], builder().from_vars([(variable, agent.port())]));
    }
}

#[test]
fn a_host_goes_before_a_port_alone() {
    let (agent, other) = (Agent::new(), Agent::new());
    let vars = [
        ("STATSD_HOST", "127.0.0.1".to_owned()),
        ("STATSD_PORT", agent.port()),
        ("DD_DOGSTATSD_PORT", other.port()),
    ];
    assert_sends_to(&[&agent], builder().from_vars(vars));
}

#[test]
fn a_variable_for_a_host_may_have_its_port_or_be_an_address() {
    for variable in ["DD_AGENT_HOST", "STATSD_ADDR", "STATSD_HOST"] {
        let (agent, other) = (Agent::new(), Agent::new());
        for text in [format!("127.0.0.1:{}", agent.port()), agent.url()] {
            let ports = [("DD_DOGSTATSD_PORT", other.port()), ("STATSD_PORT", other.port())];
            let vars = ports.into_iter().chain([(variable, text)]);
            assert_sends_to(&[&agent, &other], builder().from_vars(vars));
        }
        let port = if variable == "DD_AGENT_HOST" { "DD_DOGSTATSD_PORT" } else { "STATSD_PORT" };
        let vars = [(variable, "127.0.0.1".to_owned()), (port, agent.port())];
        assert_sends_to(&[&agent], builder().from_vars(vars));
    }
}

#[test]
fn every_variable_has_its_rank() {
    let ranked = [
        "DD_DOGSTATSD_URL",
        "DD_AGENT_HOST",
        "DD_DOGSTATSD_SOCKET",
        "STATSD_ADDR",
        "STATSD_HOST",
        "DD_DOGSTATSD_PORT",
        "STATSD_PORT",
    ];
    let agents: Vec<_> = ranked.iter().map(|_| Agent::new()).collect();
    let text = |place: usize| {
        let agent: &Agent = &agents[place];
        if ranked[place].ends_with("PORT") { agent.port() } else { agent.url() }
    };
    for first in 0..ranked.len() {
        let vars: Vec<_> = (first..ranked.len()).map(|place| (ranked[place], text(place))).collect();
        let (before, after) = agents.split_at(first);
        let agents: Vec<_> = after.iter().chain(before).collect();
        assert_sends_to(&agents, builder().from_vars(vars));
    }
}

#[test]
fn the_service_links_of_kubernetes_are_no_settings() {
    let agent = Agent::new();
    // All of these stand in each pod beside Services with these names.
    let links = [
        ("STATSD_SERVICE_HOST", "10.96.0.12"),
        ("STATSD_SERVICE_PORT", "8125"),
        ("STATSD_PORT", "tcp://10.96.0.12:8125"),
        ("STATSD_PORT_8125_UDP", "udp://10.96.0.12:8125"),
        ("DD_DOGSTATSD_PORT", "udp://10.96.0.13:8125"),
    ];
    assert!(builder().from_vars(links).build().is_ok());
    assert_sends_to(&[&agent], builder().from_vars(links).agent(agent.url()));
    let url = agent.url();
    for variable in ["DD_AGENT_HOST", "STATSD_HOST", "STATSD_ADDR"] {
        assert_sends_to(&[&agent], builder().from_vars(links.into_iter().chain([(variable, url.as_str())])));
        // The link is no port of a host that somebody wrote.
        assert!(builder().from_vars(links.into_iter().chain([(variable, "127.0.0.1")])).build().is_ok());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_interface_may_stand_behind_an_ipv6_address() {
    let agent = Agent(UdpSocket::bind("[::1]:0").unwrap());
    agent.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = agent.port();
    // By its number: a name is for the addresses of a link, and not every machine has one.
    for (variable, text) in [
        ("STATSD_HOST", "::1%1".to_owned()),
        ("STATSD_HOST", "[::1%1]".to_owned()),
        ("STATSD_ADDR", format!("[::1%1]:{port}")),
        ("DD_DOGSTATSD_URL", format!("udp://[::1%1]:{port}")),
    ] {
        assert_sends_to(&[&agent], builder().from_vars([("STATSD_PORT", port.clone()), (variable, text)]));
    }
}

#[test]
fn a_task_id_among_variables_from_elsewhere_is_the_clients_own() -> Result<(), Box<dyn Error>> {
    let guard = Client::builder().from_vars([("TASKTAG_TASK_ID", "7")]).build()?;
    assert_eq!(guard.client().task_id().tag(), "task_id:0007");
    assert_unusable("TASKTAG_TASK_ID", "1001");
    Ok(())
}

#[test]
fn a_value_that_is_not_unicode_is_unusable() {
    let lossy = String::from_utf8_lossy(b"agent-\xFF").into_owned();
    for variable in ["DD_DOGSTATSD_URL", "DD_AGENT_HOST", "STATSD_HOST", "STATSD_PORT"] {
        assert_unusable(variable, &lossy);
    }
}

#[test]
fn an_empty_variable_counts_as_absent() {
    let agent = Agent::new();
    let port = agent.port();
    let vars = [
        ("DD_DOGSTATSD_URL", ""),
        ("DD_AGENT_HOST", ""),
        ("DD_DOGSTATSD_PORT", ""),
        ("STATSD_HOST", ""),
        ("STATSD_PORT", &port),
        ("DD_TAGS", ""),
        ("DD_ENV", ""),
        ("DD_SERVICE", ""),
        ("DD_VERSION", ""),
        ("DD_ENTITY_ID", ""),
    ];
    assert_sends_to(&[&agent], builder().from_vars(vars));
}

#[test]
fn variables_of_others_are_ignored() {
    let agent = Agent::new();
    let vars = [("PATH", "/bin"), ("DD_TRACE_AGENT_PORT", "x"), ("STATSD_PREFIX", "x"), ("", "x")];
    assert_sends_to(&[&agent], builder().agent(agent.url()).from_vars(vars));
}

#[cfg(unix)]
#[test]
fn an_url_may_be_a_unix_socket() -> Result<(), Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("tasktag-environment-{}", std::process::id()));
    let socket = std::os::unix::net::UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let url = format!("unix://{}", path.display());
    send(builder().from_vars([("DD_DOGSTATSD_URL", url.as_str()), ("DD_AGENT_HOST", "192.0.2.1")]));
    let mut packet = [0; 100];
    let len = socket.recv(&mut packet)?;
    assert_eq!(&packet[..len], b"jobs:1|c|#task_id:0042\n");
    std::fs::remove_file(path)?;
    Ok(())
}

#[cfg(unix)]
mod sockets {
    use super::{Agent, PATIENCE, assert_sends_to, builder, send};
    use std::os::unix::net::UnixDatagram;
    use std::path::{Path, PathBuf};
    use tasktag::Dialect;

    /// A folder that stands for `/`, with the socket of an Agent in it.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("tasktag-{name}-{}", std::process::id()));
            std::fs::create_dir_all(root.join("var/run/datadog")).unwrap();
            Self(root)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("var/run/datadog/dsd.socket")
        }

        fn listen(&self) -> UnixDatagram {
            listen(&self.socket())
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn listen(path: &Path) -> UnixDatagram {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn receive(socket: &UnixDatagram) -> String {
        let mut packet = [0; 1000];
        let len = socket.recv(&mut packet).unwrap();
        String::from_utf8(packet[..len].to_vec()).unwrap()
    }

    #[test]
    fn where_no_variable_gives_an_address_the_agents_own_socket_is_taken_if_it_is_there() {
        let root = Root::new("own-socket");
        let socket = root.listen();
        let none: [(&str, &str); 0] = [];
        send(builder().system_root(&root.0).from_vars(none));
        assert_eq!(receive(&socket), "jobs:1|c|#task_id:0042\n");
        // A variable, an address that is set, and a dialect that is no Datadog Agent's, take precedence over it.
        let agent = Agent::new();
        assert_sends_to(&[&agent], builder().system_root(&root.0).from_vars([("STATSD_PORT", agent.port())]));
        assert_sends_to(&[&agent], builder().system_root(&root.0).agent(agent.url()).from_vars(none));
        let statsd = builder().system_root(&root.0).dialect(Dialect::TaggedStatsd).from_vars(none);
        drop(statsd.build().unwrap());
        drop(builder().system_root(&root.0).build().unwrap());
        socket.set_nonblocking(true).unwrap();
        assert!(socket.recv(&mut [0; 16]).is_err(), "only from_env() and from_vars() look for it");
    }

    #[test]
    fn a_file_that_is_no_socket_is_no_agent() {
        let root = Root::new("no-socket");
        std::fs::write(root.socket(), "").unwrap();
        let guard = builder().system_root(&root.0).from_vars([("DD_ENV", "prod")]).build().unwrap();
        assert!(!format!("{:?}", guard.client()).is_empty());
        guard.client().counter("jobs").increment(1);
        guard.client().flush(PATIENCE).unwrap();
        // Nothing is lost for want of a socket: it went to the usual port, where nobody needs to listen.
        assert_eq!(std::fs::read(root.socket()).unwrap(), b"");
    }

    #[test]
    fn a_socket_is_given_by_its_path_or_its_address() {
        let root = Root::new("by-path");
        let socket = root.listen();
        let path = root.socket().display().to_string();
        for (variable, text) in [
            ("DD_DOGSTATSD_SOCKET", path.clone()),
            ("DD_DOGSTATSD_SOCKET", format!("unix://{path}")),
            ("DD_AGENT_HOST", format!("unix://{path}")),
            ("STATSD_HOST", format!("unix://{path}")),
            ("STATSD_ADDR", format!("unixgram://{path}")),
        ] {
            send(builder().from_vars([(variable, text.as_str()), ("STATSD_PORT", "1")]));
            assert_eq!(receive(&socket), "jobs:1|c|#task_id:0042\n", "{variable}={text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_without_a_file_is_a_name() {
        use std::io::Read;
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixListener};
        let name = format!("tasktag-environment-{}", std::process::id());
        let datagrams = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        datagrams.set_read_timeout(Some(PATIENCE)).unwrap();
        for (variable, text) in [
            ("DD_DOGSTATSD_URL", format!("unix:@{name}")),
            ("DD_DOGSTATSD_URL", format!("unix://@{name}")),
            ("DD_AGENT_HOST", format!("unix:@{name}")),
            ("DD_DOGSTATSD_SOCKET", format!("@{name}")),
        ] {
            send(builder().from_vars([(variable, text)]));
            assert_eq!(receive(&datagrams), "jobs:1|c|#task_id:0042\n", "{variable}");
        }
        let stream = format!("{name}-stream");
        let agent = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&stream).unwrap()).unwrap();
        send(builder().agent(format!("unixstream:@{stream}")));
        let mut bytes = Vec::new();
        agent.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"\x17\0\0\0jobs:1|c|#task_id:0042\n");
    }
}

#[cfg(target_os = "linux")]
mod connections {
    use super::{PATIENCE, builder};
    use std::collections::BTreeSet;
    use std::fs;
    use std::net::{Ipv4Addr, UdpSocket};
    use tasktag::ClientBuilder;

    /// How many UDP sockets of this process are connected to an address, as the kernel writes it.
    fn connected_to(address: &str) -> usize {
        let sockets: Vec<_> = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|fd| Some(fs::read_link(fd.ok()?.path()).ok()?.to_string_lossy().into_owned()))
            .collect();
        let table = fs::read_to_string("/proc/self/net/udp").unwrap();
        let ours = table.lines().filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let socket = format!("socket:[{}]", fields[9]);
            (fields[2] == address && sockets.contains(&socket)).then_some(socket)
        });
        // The table is read in pieces: while others open and close sockets, one may stand in two of them.
        ours.collect::<BTreeSet<_>>().len()
    }

    /// Listens on an address as the kernel writes it, because a refusal closes a socket. `None` if somebody else does.
    fn listen(address: &str) -> Option<UdpSocket> {
        let (host, port) = address.split_once(':').unwrap();
        let host = Ipv4Addr::from(u32::from_str_radix(host, 16).unwrap().swap_bytes());
        UdpSocket::bind((host, u16::from_str_radix(port, 16).unwrap())).ok()
    }

    fn assert_connects_to(address: &str, builder: ClientBuilder) {
        assert_eq!(connected_to(address), 0);
        let _agent = listen(address);
        let guard = builder.build().unwrap();
        guard.client().counter("jobs").increment(1);
        guard.client().flush(PATIENCE).unwrap();
        // Or in none: it is read until it says so, or too often.
        let read = (0..100_000).map(|_| connected_to(address)).find(|sockets| *sockets == 1);
        assert_eq!(read, Some(1), "one socket, and no other");
    }

    #[test]
    fn without_any_variable_the_agent_is_on_this_host_and_its_usual_port() {
        assert_eq!(tasktag::DEFAULT_AGENT, "udp://127.0.0.1:8125");
        let vars: [(&str, &str); 0] = [];
        assert_connects_to("0100007F:1FBD", builder());
        assert_connects_to("0100007F:1FBD", builder().from_vars(vars));
    }

    #[test]
    fn a_host_alone_is_on_the_usual_port() {
        assert_connects_to("0200007F:1FBD", builder().from_vars([("DD_AGENT_HOST", "127.0.0.2")]));
        assert_connects_to("0300007F:1FBD", builder().from_vars([("STATSD_HOST", "127.0.0.3")]));
        let url = [("DD_DOGSTATSD_URL", "udp://127.0.0.4")];
        assert_connects_to("0400007F:1FBD", builder().from_vars(url));
    }
}

/// The tags of a line that a client with these variables sends, the task id left out.
fn tags_with(vars: Vars<'_>, set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> String {
    let agent = Agent::new();
    send(set(builder().agent(agent.url()).from_vars(vars.to_vec())));
    let lines = agent.receive();
    let tags = lines[0].strip_prefix("jobs:1|c|#").unwrap().strip_suffix("task_id:0042").unwrap();
    tags.trim_end_matches(',').to_owned()
}

fn as_it_is(builder: ClientBuilder) -> ClientBuilder {
    builder
}

#[test]
fn listed_tags_are_separated_by_commas_or_spaces() {
    let expected = "team:web,tier:1,flag,url:http://x:1/y";
    for listed in [
        "team:web,tier:1,flag,url:http://x:1/y",
        "team:web tier:1 flag url:http://x:1/y",
        " team:web,, tier:1 ,\tflag  url:http://x:1/y,",
    ] {
        assert_eq!(tags_with(&[("DD_TAGS", listed)], as_it_is), expected);
    }
    assert_eq!(tags_with(&[("DD_TAGS", " , ,, ")], as_it_is), "");
}

#[test]
fn each_service_variable_is_a_tag_and_goes_before_the_list() {
    let vars = [("DD_ENV", "prod"), ("DD_SERVICE", "shop"), ("DD_VERSION", "1.2.3")];
    assert_eq!(tags_with(&vars, as_it_is), "env:prod,service:shop,version:1.2.3");
    for (variable, value) in vars {
        let key = variable.trim_start_matches("DD_").to_lowercase();
        let listed = format!("{key}:listed,team:web");
        let found = tags_with(&[(variable, value), ("DD_TAGS", &listed)], as_it_is);
        assert_eq!(found, format!("team:web,{key}:{value}"));
        let found = tags_with(&[("DD_TAGS", &listed)], as_it_is);
        assert_eq!(found, format!("{key}:listed,team:web"));
    }
}

#[test]
fn a_tag_that_is_set_goes_before_the_environment_in_either_order_of_calls() {
    let vars = [("DD_TAGS", "team:web,region:us"), ("DD_ENV", "prod"), ("DD_SERVICE", "shop")];
    let after = tags_with(&vars, |builder| builder.tag("env", "here").tag("region", "eu"));
    assert_eq!(after, "team:web,service:shop,env:here,region:eu");
    let agent = Agent::new();
    let before = builder().agent(agent.url()).tag("env", "here").tag("region", "eu").from_vars(vars);
    send(before);
    assert_eq!(agent.receive(), [format!("jobs:1|c|#{after},task_id:0042")]);
}

#[test]
fn a_tag_of_a_context_goes_before_the_environment() {
    let agent = Agent::new();
    let vars = [("DD_ENV", "prod"), ("DD_TAGS", "team:web")];
    let guard = builder().agent(agent.url()).from_vars(vars).build().unwrap();
    guard.client().counter("jobs").tag("env", "canary").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(agent.receive(), ["jobs:1|c|#env:canary,team:web,task_id:0042"]);
}

#[test]
fn the_entity_is_told_to_dogstatsd_alone() {
    let vars = [("DD_ENTITY_ID", "pod-7"), ("DD_ENV", "prod")];
    assert_eq!(tags_with(&vars, as_it_is), "env:prod,dd.internal.entity_id:pod-7");
    assert_eq!(tags_with(&vars, |builder| builder.dialect(Dialect::TaggedStatsd)), "env:prod");
}

#[test]
fn a_listed_task_id_is_sent_under_another_key() {
    let agent = Agent::new();
    let vars = [("DD_TAGS", "task_id:7,team:web")];
    let guard = builder().agent(agent.url()).from_vars(vars).build().unwrap();
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(agent.receive(), ["jobs:1|c|#task_id_:7,team:web,task_id:0042"]);
    assert_eq!(guard.client().stats().refused_tags, 0);
}

#[test]
fn variables_from_elsewhere_replace_those_that_were_given_before() {
    let agent = Agent::new();
    let first = [("DD_DOGSTATSD_URL", "unusable"), ("DD_ENV", "first")];
    assert_sends_to(&[&agent], builder().from_vars(first).from_vars([("STATSD_PORT", agent.port())]));
}

#[test]
fn an_unusable_variable_is_an_error_that_names_it_and_its_value() {
    for (variable, value) in [
        ("DD_DOGSTATSD_URL", "127.0.0.1:8125"),
        ("DD_DOGSTATSD_URL", "http://127.0.0.1:8125"),
        ("DD_DOGSTATSD_URL", "tcp://127.0.0.1:99999"),
        ("DD_DOGSTATSD_URL", "unixstream://relative/path"),
        ("DD_DOGSTATSD_URL", "udp://127.0.0.1:99999"),
        ("DD_DOGSTATSD_URL", "unix://relative/path"),
        ("DD_DOGSTATSD_URL", "unix:///run/dsd\0.socket"),
        ("DD_DOGSTATSD_URL", "udp://127.0.0.1:+8125"),
        ("DD_AGENT_HOST", "two words"),
        ("DD_AGENT_HOST", "http://host"),
        ("DD_AGENT_HOST", "127.0.0.1:81250"),
        ("DD_AGENT_HOST", "127.0.0.1:"),
        ("DD_AGENT_HOST", "host:1:2"),
        ("DD_AGENT_HOST", "unix://run/dsd.socket"),
        ("DD_AGENT_HOST", "unix:/run/dsd.socket"),
        ("DD_AGENT_HOST", "fe80::1%"),
        ("DD_DOGSTATSD_SOCKET", "run/dsd.socket"),
        ("DD_DOGSTATSD_SOCKET", "host:8125"),
        ("STATSD_ADDR", ":8125"),
        ("STATSD_ADDR", "two words:8125"),
        ("STATSD_ADDR", "http://host:8125"),
        ("DD_DOGSTATSD_PORT", "0"),
        ("DD_DOGSTATSD_PORT", "65536"),
        ("DD_DOGSTATSD_PORT", "-1"),
        ("DD_DOGSTATSD_PORT", "dogstatsd"),
        ("STATSD_HOST", "host/path"),
        ("STATSD_HOST", "host\0"),
        ("STATSD_PORT", "+8125"),
        ("STATSD_PORT", "8125 "),
        ("STATSD_PORT", "8125.0"),
    ] {
        assert_unusable(variable, value);
    }
}

fn assert_unusable(variable: &str, value: &str) {
    let error = Client::builder().from_vars([(variable, value)]).build().unwrap_err();
    let named = matches!(&error, ConfigError::Variable { variable: named, value: held, .. }
        if *named == variable && held == value);
    assert!(named, "{variable}={value}: {error:?}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("the environment variable {variable} can't be {value:?}: ")), "{text}");
}

#[test]
fn what_goes_before_a_variable_also_goes_before_its_error() {
    let agent = Agent::new();
    let url = agent.url();
    let unusable = [("DD_AGENT_HOST", "two words"), ("DD_DOGSTATSD_PORT", "x"), ("STATSD_PORT", "x")];
    assert_sends_to(&[&agent], builder().agent(&url).from_vars(unusable));
    let vars = unusable.into_iter().chain([("DD_DOGSTATSD_URL", url.as_str())]);
    assert_sends_to(&[&agent], builder().from_vars(vars));
}

#[test]
fn an_unusable_setting_is_an_error_that_names_it_and_its_value() {
    let hour = Duration::from_secs(3600);
    let over = hour + Duration::from_nanos(1);
    let under = Duration::from_nanos(999_999);
    for (setting, value, unusable) in [
        ("agent", "", builder().agent("")),
        ("agent", "127.0.0.1:8125", builder().agent("127.0.0.1:8125")),
        ("agent", "udp://host:port", builder().agent("udp://host:port")),
        ("flush_interval", "0ns", builder().flush_interval(Duration::ZERO)),
        ("flush_interval", "999.999µs", builder().flush_interval(under)),
        ("flush_interval", "3600.000000001s", builder().flush_interval(over)),
        ("collect_interval", "0ns", builder().collect_interval(Duration::ZERO)),
        ("collect_interval", "999.999µs", builder().collect_interval(under)),
        ("collect_interval", "3600.000000001s", builder().collect_interval(over)),
        ("channel_capacity", "0", builder().channel_capacity(0)),
        ("channel_capacity", "1048577", builder().channel_capacity(1_048_577)),
        ("context_limit", "0", builder().context_limit(0)),
        ("context_limit", "1000001", builder().context_limit(1_000_001)),
        ("max_packet_size", "63", builder().max_packet_size(63)),
        ("max_packet_size", "65508", builder().max_packet_size(65_508)),
        ("tag", "task_id:7", builder().tag("region", "eu").tag("task_id", "7")),
    ] {
        assert_names(&unusable.build().unwrap_err(), setting, value);
    }
    for size in [0, 1_000_001] {
        assert_names(&TaskIdPool::new(size).unwrap_err(), "task_id_pool", &size.to_string());
    }
}

fn assert_names(error: &ConfigError, setting: &str, value: &str) {
    let named = matches!(error, ConfigError::Setting { setting: named, value: held, .. }
        if *named == setting && held == value);
    assert!(named, "{setting} {value}: {error:?}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("the setting {setting} can't be {value:?}: ")), "{text}");
}

#[test]
fn the_limits_of_a_setting_are_usable() {
    let (least, most) = (Duration::from_millis(1), Duration::from_secs(3600));
    for usable in [
        builder().flush_interval(least),
        builder().flush_interval(most),
        builder().collect_interval(least),
        builder().collect_interval(most),
        builder().channel_capacity(1),
        builder().context_limit(1),
        builder().context_limit(1_000_000),
        builder().max_packet_size(64),
        builder().max_packet_size(65_507),
        builder().shutdown_timeout(Duration::MAX),
    ] {
        let agent = Agent::new();
        assert_sends_to(&[&agent], usable.agent(agent.url()));
    }
}

const CHILD: &str = "ENVIRONMENT_CHILD";

/// The part of the next test that runs in a process of its own, with an environment of its own.
#[test]
fn child_reads_its_environment() -> Result<(), Box<dyn Error>> {
    let Ok(url) = std::env::var(CHILD) else { return Ok(()) };
    for (builder, name) in [
        (Client::builder().agent(url), "unread"),
        (Client::builder().from_env(), "read"),
        (Client::builder().from_env().tag("env", "here"), "set"),
    ] {
        // In a container another one would be found.
        let guard = builder.telemetry(false).container_id("77").build()?;
        guard.client().counter(name).increment(1);
        guard.shutdown(PATIENCE)?;
    }
    Ok(())
}

#[test]
fn from_env_reads_the_environment_of_the_process() -> Result<(), Box<dyn Error>> {
    let agent = Agent::new();
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["--exact", "child_reads_its_environment", "--nocapture"]).env(CHILD, agent.url());
    for (variable, value) in [
        ("TASKTAG_TASK_ID", "7"),
        ("DD_DOGSTATSD_URL", ""),
        ("DD_AGENT_HOST", "127.0.0.1"),
        ("DD_DOGSTATSD_PORT", &agent.port()),
        ("STATSD_HOST", "192.0.2.1"),
        ("STATSD_PORT", "1"),
        ("DD_TAGS", "team:web,env:listed"),
        ("DD_ENV", "prod"),
        ("DD_SERVICE", "shop"),
        ("DD_VERSION", "42"),
        ("DD_ENTITY_ID", "pod-7"),
        ("DD_ORIGIN_DETECTION_ENABLED", "true"),
        ("DD_EXTERNAL_ENV", "cn-web"),
        ("DD_CARDINALITY", "low"),
    ] {
        child.env(variable, value);
    }
    #[cfg(unix)]
    {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        child.env(OsStr::from_bytes(b"NOT_UNICODE\xFF"), OsStr::from_bytes(b"\xFF"));
    }
    let output = child.output()?;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(agent.receive(), ["unread:1|c|#task_id:0007|c:77"]);
    let (pod, origin) = ("dd.internal.entity_id:pod-7", "|c:77|e:cn-web|card:low");
    assert_eq!(
        agent.receive(),
        [format!("read:1|c|#team:web,env:prod,service:shop,version:42,{pod},task_id:0007{origin}")]
    );
    assert_eq!(
        agent.receive(),
        [format!("set:1|c|#team:web,service:shop,version:42,{pod},env:here,task_id:0007{origin}")]
    );
    Ok(())
}

/// Whether a client with these variables is switched off.
fn is_disabled(vars: Vars<'_>) -> bool {
    let guard = builder().agent("udp://127.0.0.1:9").from_vars(vars.iter().copied()).build().unwrap();
    guard.client().is_disabled()
}

#[test]
fn a_variable_switches_the_client_off() {
    for value in ["true", "1"] {
        assert!(is_disabled(&[("TASKTAG_DISABLED", value)]), "{value}");
        assert!(is_disabled(&[("TASKTAG_DISABLED", value), ("DD_DOGSTATSD_DISABLE", "false")]), "{value}");
    }
    for value in ["false", "0"] {
        assert!(!is_disabled(&[("TASKTAG_DISABLED", value), ("DD_DOGSTATSD_DISABLE", "true")]), "{value}");
    }
    for value in ["True", "true", "yes", "1"] {
        assert!(is_disabled(&[("DD_DOGSTATSD_DISABLE", value), ("TASKTAG_DISABLED", "")]), "{value}");
    }
    for value in ["False", "false", "no", "0", "TRUE", ""] {
        assert!(!is_disabled(&[("DD_DOGSTATSD_DISABLE", value)]), "{value}");
    }
}

#[test]
fn the_program_decides_before_the_variables_whether_the_client_is_off() {
    let off = [("TASKTAG_DISABLED", "true"), ("DD_DOGSTATSD_DISABLE", "true")];
    let on = builder().agent("udp://127.0.0.1:9").from_vars(off).disabled(false).build().unwrap();
    assert!(!on.client().is_disabled());
    assert!(
        builder()
            .disabled(true)
            .from_vars([("TASKTAG_DISABLED", "0")])
            .build()
            .unwrap()
            .client()
            .is_disabled()
    );
}

#[test]
fn an_address_that_is_nowhere_switches_the_client_off_in_each_variable() {
    for variable in ["DD_DOGSTATSD_URL", "DD_AGENT_HOST", "DD_DOGSTATSD_SOCKET", "STATSD_ADDR", "STATSD_HOST"]
    {
        let guard = builder().from_vars([(variable, "null:")]).build().unwrap();
        assert!(guard.client().is_disabled(), "{variable}");
    }
}

#[test]
fn what_a_switch_or_a_dialect_may_not_say_is_an_error_that_names_it() {
    for (variable, value) in [
        ("TASKTAG_DISABLED", "yes"),
        ("TASKTAG_DISABLED", "True"),
        ("TASKTAG_DISABLED", " 1"),
        ("TASKTAG_DIALECT", "dog_statsd"),
        ("TASKTAG_DIALECT", "statsd2"),
    ] {
        let refused =
            builder().agent("udp://127.0.0.1:9").from_vars([(variable, value)]).build().unwrap_err();
        let ConfigError::Variable { variable: named, value: said, .. } = &refused else {
            panic!("{refused}")
        };
        assert_eq!((*named, said.as_str()), (variable, value));
    }
}

#[test]
fn a_variable_names_the_dialect() {
    let line = |builder: ClientBuilder| {
        let agent = Agent::new();
        send(builder.agent(agent.url()));
        agent.receive()
    };
    for (name, expected) in [
        ("dogstatsd", "jobs:1|c|#task_id:0042"),
        ("tagged_statsd", "jobs:1|c|#task_id:0042"),
        ("graphite", "jobs;task_id=0042:1|c"),
        ("influx", "jobs,task_id=0042:1|c"),
        ("librato", "jobs#task_id=0042:1|c"),
        ("signalfx", "jobs[task_id=0042]:1|c"),
        ("statsd", "jobs:1|c"),
        ("datadog_serverless", "jobs:1|c|#task_id:0042"),
    ] {
        assert_eq!(line(builder().from_vars([("TASKTAG_DIALECT", name)])), [expected], "{name}");
    }
    let told = builder().dialect(Dialect::Influx).from_vars([("TASKTAG_DIALECT", "statsd")]);
    assert_eq!(line(told), ["jobs,task_id=0042:1|c"], "the program decides before");
}
