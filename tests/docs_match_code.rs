//! What the documentation says of defaults, variables, kinds and reasons is what the code does.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{
    Client, DEFAULT_AGENT, DEFAULT_CHANNEL_CAPACITY, DEFAULT_COLLECT_INTERVAL, DEFAULT_CONTEXT_LIMIT,
    DEFAULT_FLUSH_INTERVAL, DEFAULT_METRIC_CONTEXT_LIMIT, DEFAULT_SHUTDOWN_TIMEOUT, DropReason, Kind,
    QueueStatus, TaskIdPool,
};

const PATIENCE: Duration = Duration::from_secs(60);
const MAX_LINES: usize = 400;

const README: &str = include_str!("../README.md");
const SERVERS: &str = include_str!("../SERVERS.md");
const CHANGELOG: &str = include_str!("../CHANGELOG.md");
const MANIFEST: &str = include_str!("../Cargo.toml");
const CONFIG: &str = concat!(
    include_str!("../src/setup/config.rs"),
    include_str!("../src/setup/config/agent.rs"),
    include_str!("../src/setup/config/environment.rs"),
);
const CRATE_ROOT: &str = include_str!("../src/lib.rs");
const ENVIRONMENT: &str = include_str!("../src/guide/environment.rs");
const LIMITS: &str = include_str!("../src/guide/limits.rs");
const ON_A_BAD_DAY: &str = include_str!("../src/guide/on_a_bad_day.rs");

/// The text of all doc comments that stand directly above a line which starts with `item`.
fn doc_of(source: &str, item: &str) -> Option<String> {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let place = lines.iter().position(|line| line.starts_with(item))?;
    let above =
        lines[..place].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut doc: Vec<&str> = above.filter_map(|line| line.strip_prefix("///")).map(str::trim).collect();
    doc.reverse();
    Some(doc.join(" "))
}

/// The names behind each `start` in a source, up to the first character that is in no name.
fn names_after<'a>(source: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    source
        .split(start)
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
}

/// The first column of every table row in a Markdown text.
fn first_cells(markdown: &str) -> impl Iterator<Item = &str> {
    markdown.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next()).map(str::trim)
}

/// What stands in backticks in a Markdown text, code blocks left out.
fn in_backticks(markdown: &str) -> BTreeSet<&str> {
    let prose = markdown.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

fn is_variable(name: &str) -> bool {
    name.contains('_') && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// All files of the library, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 30, "the sources are where they were");
    found
}

fn without_tests(source: &str) -> &str {
    // Where a model checker has tests of its own, the others are not built for it.
    let starts = ["#[cfg(test)]\nmod tests", "#[cfg(all(test, not(tasktag_loom)))]\nmod tests"];
    starts.into_iter().find_map(|start| source.split_once(start)).map_or(source, |(code, _)| code)
}

#[test]
fn the_doc_of_every_setter_names_its_default() {
    let setters: Vec<_> = names_after(CONFIG, "    pub fn ")
        .filter(|name| CONFIG.contains(&format!("pub fn {name}(mut self")))
        .collect();
    assert!(setters.len() > 10, "{setters:?}");
    // A tag is added to those that there are.
    for setter in setters.into_iter().filter(|setter| *setter != "tag") {
        let doc = doc_of(CONFIG, &format!("pub fn {setter}(")).unwrap();
        assert!(doc.contains("Defaults to "), "{setter}: {doc}");
    }
    let constants: Vec<_> = names_after(CONFIG, "pub const ").collect();
    assert!(constants.len() >= 6, "{constants:?}");
    for constant in constants {
        let setter = constant.strip_prefix("DEFAULT_").unwrap().to_lowercase();
        let doc = doc_of(CONFIG, &format!("pub fn {setter}(")).unwrap();
        assert!(doc.contains(&format!("Defaults to [`{constant}`]")), "{setter}: {doc}");
        assert!(CRATE_ROOT.contains(constant), "{constant} is public");
    }
}

#[test]
fn every_variable_is_in_the_page_of_variables_and_every_one_there_is_read() {
    let quoted = |source: &'static str| source.split('"').skip(1).step_by(2).filter(|text| is_variable(text));
    let read: BTreeSet<&str> = quoted(without_tests(include_str!("../src/setup/env.rs")))
        .chain(quoted(without_tests(include_str!("../src/setup/env/address.rs"))))
        .chain(quoted(without_tests(include_str!("../src/task_id.rs"))))
        .collect();
    assert!(read.contains("DD_TAGS") && read.contains("TASKTAG_TASK_ID"), "{read:?}");
    let page = ENVIRONMENT.replace("//! ", "");
    let documented: BTreeSet<&str> =
        first_cells(&page).map(|cell| cell.trim_matches('`')).filter(|cell| is_variable(cell)).collect();
    assert_eq!(documented, read);

    let doc = doc_of(CONFIG, "pub fn from_env(").unwrap();
    let named = in_backticks(&doc);
    assert_eq!(read.into_iter().filter(|variable| !named.contains(variable)).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn every_drop_reason_has_a_name_of_its_own() {
    let reasons: BTreeSet<&str> = DropReason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(reasons.len(), DropReason::ALL.len());
}

#[test]
fn the_docs_of_each_neighbour_name_the_version_that_is_depended_on() {
    let version = |name: &str| {
        let (_, rest) = MANIFEST.split_once(&format!("\n{name} = {{ version = \"")).expect(name);
        rest.split('"').next().unwrap()
    };
    let neighbours: &[(&str, &[&str])] = &[
        (include_str!("../src/integrations/bb8.rs"), &["bb8"]),
        (include_str!("../src/integrations/cadence.rs"), &["cadence"]),
        (include_str!("../src/integrations/deadpool.rs"), &["deadpool"]),
        (include_str!("../src/integrations/log.rs"), &["log"]),
        (include_str!("../src/integrations/metrics.rs"), &["metrics"]),
        (include_str!("../src/integrations/metrics_exporter_statsd.rs"), &["metrics-exporter-statsd"]),
        (include_str!("../src/integrations/mobc.rs"), &["mobc"]),
        (include_str!("../src/integrations/mysql_async.rs"), &["mysql_async"]),
        (include_str!("../src/integrations/r2d2.rs"), &["r2d2"]),
        (include_str!("../src/integrations/redis.rs"), &["redis"]),
        (include_str!("../src/integrations/sqlx.rs"), &["sqlx"]),
        (include_str!("../src/integrations/tokio.rs"), &["tokio"]),
        (include_str!("../src/integrations/tokio_postgres.rs"), &["tokio-postgres"]),
        (
            include_str!("../src/integrations/tower.rs"),
            &["tower-layer", "tower-service", "http", "http-body"],
        ),
        (include_str!("../src/integrations/tracing.rs"), &["tracing"]),
    ];
    let modules = include_str!("../src/integrations.rs").matches("pub mod ").count();
    assert_eq!(neighbours.len(), modules, "the list above has every neighbour");
    for (source, crates) in neighbours {
        let summary = source.split("//!\n").next().unwrap().replace("\n//!", "");
        for name in *crates {
            let named = [format!("{name}) {}", version(name)), format!("{name} {}", version(name))];
            assert!(named.iter().any(|named| summary.contains(named)), "{named:?} is not in {summary}");
        }
    }
}

#[test]
fn every_kind_is_in_the_readme_with_its_code() {
    let kinds = [
        (Kind::Gauge, "`g`"),
        (Kind::Counter, "`c`"),
        (Kind::Distribution, "`d`"),
        (Kind::Histogram, "`h`"),
        (Kind::Timing, "`ms`"),
        (Kind::Set, "`s`"),
        (Kind::Occupancy, "`g`"),
    ];
    let listed =
        without_tests(include_str!("../src/vocabulary/kind.rs")).split_once("pub enum Kind {").unwrap().1;
    let listed = listed.split_once("\n}").unwrap().0;
    let variants = listed.lines().filter(|line| line.trim_start().starts_with(char::is_uppercase)).count();
    assert_eq!(variants, kinds.len(), "the list above has every kind");
    for (kind, code) in kinds {
        let start = format!("| `{kind}` |");
        let row = README.lines().find(|line| line.starts_with(&start));
        assert!(row.is_some_and(|row| row.contains(code)), "{kind}: {row:?}");
    }
}

/// A server's part of `SERVERS.md`, and the rows of its table: a kind, what arrives, and how that is known.
fn servers() -> Vec<(&'static str, Vec<[&'static str; 3]>)> {
    let parts = SERVERS.split("\n## ").skip(1).filter_map(|part| {
        let (server, rest) = part.split_once('\n')?;
        let table = rest.split_once("\n| kind | what arrives | how known |\n")?.1;
        Some((server, table))
    });
    let cells = |row: &'static str| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        cells.try_into().unwrap_or_else(|_| panic!("three columns in {row}"))
    };
    parts.map(|(server, table)| (server, server_rows(table).map(cells).collect())).collect()
}

/// The rows of the table that a text begins with, behind its names of columns.
fn server_rows(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().skip(1).take_while(|line| line.starts_with("| "))
}

#[test]
fn every_server_has_each_kind_once_and_says_how_that_is_known() {
    let servers = servers();
    for (server, rows) in &servers {
        let mut kinds = BTreeSet::new();
        for [of, arrives, known] in rows {
            assert!(!arrives.is_empty(), "{server}: {of}");
            let starts = ["measured: tests/servers/", "run outside CI: ", "source: "];
            assert!(starts.iter().any(|start| known.starts_with(start)), "{server}: {known}");
            for kind in of.split(", ") {
                assert!(kinds.insert(kind), "{server} has {kind} twice");
            }
        }
        for kind in ["gauge", "counter", "distribution", "histogram", "timing", "set"] {
            assert!(kinds.contains(kind), "{server} has no {kind}");
        }
    }
    assert!(README.contains("of fifteen servers") && servers.len() == 15, "{servers:#?}");
}

#[test]
fn every_server_has_its_settings_in_the_first_table() {
    let table =
        SERVERS.split_once("\n| server | `Dialect` | what else to set |\n").expect("a table of settings").1;
    let named: Vec<_> =
        server_rows(table).filter_map(|row| row.strip_prefix("| [")?.split(']').next()).collect();
    let servers: Vec<_> = servers().into_iter().map(|(server, _)| server).collect();
    assert_eq!(named, servers);
    for row in server_rows(table) {
        let anchor = row.split_once("](#").and_then(|(_, rest)| rest.split(')').next()).expect("a link");
        assert!(servers.iter().any(|server| server.to_lowercase().replace(' ', "-") == anchor), "{anchor}");
    }
}

#[test]
fn what_is_said_to_be_measured_names_a_test_that_there_is() {
    let mut named = 0;
    for [_, _, known] in servers().into_iter().flat_map(|(_, rows)| rows) {
        let Some((_, measured)) = known.split_once("measured: ") else { continue };
        for test in measured.split(", ") {
            let (file, name) = test.split_once(' ').unwrap_or_else(|| panic!("a file and a name in {test}"));
            let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
            let start = format!("#[test]\nfn {}()", name.trim_matches('`'));
            assert!(source.contains(&start), "no {name} in {file}");
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}

#[test]
fn the_changelog_has_a_heading_for_this_version() {
    let heading = concat!("## ", env!("CARGO_PKG_VERSION"));
    let headings: Vec<_> = CHANGELOG.lines().filter(|line| line.starts_with("## ")).collect();
    assert!(headings.iter().any(|line| line.split(" - ").next() == Some(heading)), "{headings:?}");
}

#[test]
fn the_readme_and_the_crate_name_the_manifests_facts() {
    let version = concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"));
    assert!(README.contains(version), "{version}");
    let (minor, _) = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap();
    assert!(README.contains(&format!("tasktag = \"{minor}\"")), "{minor}");
    assert!(features().contains_key("testing"));
    for feature in features().keys() {
        assert!(CRATE_ROOT.contains(&format!("//! | `{feature}` |")), "{feature}");
    }
}

/// The manifest's features but `default`, each with what it turns on.
fn features() -> BTreeMap<&'static str, Vec<&'static str>> {
    let section = MANIFEST.split_once("[features]\n").unwrap().1.split_once("\n[").unwrap().0;
    let lines = section.lines().filter(|line| !line.starts_with('#'));
    let features = lines.filter_map(|line| line.split_once(" = "));
    let quoted = |text: &'static str| text.split('"').skip(1).step_by(2).collect();
    features
        .map(|(name, turned_on)| (name, quoted(turned_on)))
        .filter(|(name, _)| *name != "default")
        .collect()
}

/// The manifest's examples that need features.
fn examples_of_features() -> BTreeMap<&'static str, Vec<&'static str>> {
    let sections = MANIFEST.split("\n[[example]]\n").skip(1).map(|rest| rest.split("\n[").next().unwrap());
    let named = sections.filter_map(|section| {
        let value = |key: &str| {
            section.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='))
        };
        let name = value("name").unwrap().trim().trim_matches('"');
        Some((name, value("required-features")?.split('"').skip(1).step_by(2).collect()))
    });
    named.collect()
}

/// The rows of the first table whose head begins with a cell, without what stands in front of its lines.
fn rows_under<'a>(markdown: &'a str, prefix: &str, first: &str) -> BTreeMap<&'a str, Vec<&'a str>> {
    let start = format!("{prefix}| {first} |");
    let lines = markdown.lines().skip_while(|line| !line.starts_with(&start)).skip(2);
    let rows = lines.map_while(|line| line.strip_prefix(prefix)?.strip_prefix('|')?.strip_suffix('|'));
    rows.map(|row| {
        let mut cells = row.split('|').map(str::trim);
        (cells.next().unwrap().trim_matches('`'), cells.collect())
    })
    .collect()
}

#[test]
fn both_tables_have_every_feature_with_what_it_brings() {
    for (name, table) in [
        ("src/lib.rs", rows_under(CRATE_ROOT, "//! ", "feature")),
        ("README.md", rows_under(README, "", "feature")),
    ] {
        let (named, known) = (table.keys().collect::<Vec<_>>(), features());
        assert_eq!(named, known.keys().collect::<Vec<_>>(), "{name}");
        for (feature, turned_on) in features() {
            let brought = in_backticks(table[feature].last().unwrap());
            let expected: BTreeSet<&str> =
                turned_on.iter().map(|on| on.strip_prefix("dep:").unwrap_or(on)).collect();
            assert_eq!(brought, expected, "{feature} in {name}");
        }
    }
}

#[test]
fn the_readme_has_the_example_of_each_feature_and_no_other() {
    let listed: BTreeSet<&str> =
        rows_under(README, "", "feature").values().flat_map(|row| in_backticks(row[1])).collect();
    let (of_all, of_one): (BTreeMap<_, _>, BTreeMap<_, _>) =
        examples_of_features().into_iter().partition(|(_, features)| features == &["testing"]);
    let runs: BTreeSet<String> = of_one
        .iter()
        .map(|(name, features)| format!("cargo run --example {name} --features {}", features.join(",")))
        .collect();
    assert!(!runs.is_empty());
    assert_eq!(listed, runs.iter().map(String::as_str).collect());
    assert!(!of_all.is_empty());
    for name in of_all.keys() {
        assert!(README.contains(&format!("--example {name} --features testing")), "{name}");
    }
}

#[test]
fn the_readme_tells_what_the_chart_of_the_peers_shows() {
    let chart = include_str!("../benches/chart.svg");
    let shown: Vec<&str> = chart
        .lines()
        .filter_map(|line| line.split_once(" / ")?.0.rsplit_once('>'))
        .map(|(_, ns)| ns)
        .collect();
    let told = README.split_once("\nOn one thread a gauge takes ").unwrap().1.split_once('\n').unwrap().0;
    let numbers: Vec<&str> = told
        .split([' ', ',', ';', ':'])
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(numbers.len(), 6, "{told}");
    for number in numbers {
        assert!(shown.contains(&number), "{number}: {shown:?}");
    }
}

#[test]
fn the_readme_and_the_page_of_faults_have_the_limits_that_hold() {
    assert_eq!(DEFAULT_COLLECT_INTERVAL * 4, Duration::from_secs(1));
    assert!(README.contains("four times a second"));
    let limits =
        format!("at most {DEFAULT_CONTEXT_LIMIT} contexts and {DEFAULT_METRIC_CONTEXT_LIMIT} of a metric");
    assert!(README.contains(&limits));
    for (what, default) in [
        ("contexts, each a name with its tags", DEFAULT_CONTEXT_LIMIT),
        ("contexts of one metric", DEFAULT_METRIC_CONTEXT_LIMIT),
        ("events, service checks and members of sets that wait for the worker", DEFAULT_CHANNEL_CAPACITY),
    ] {
        assert!(LIMITS.contains(&format!("//! | {what} | {default} |")), "{what}");
    }
    let limits =
        format!("{DEFAULT_CONTEXT_LIMIT} contexts, and {DEFAULT_METRIC_CONTEXT_LIMIT} of one metric");
    assert!(ON_A_BAD_DAY.contains(&limits));
    assert!(README.contains(&format!("one of {} buckets", TaskIdPool::DEFAULT.size())));
    let percent = TaskIdPool::DEFAULT.collision_probability(7) * 100.0;
    let half = TaskIdPool::DEFAULT.tasks_for_probability(0.5);
    assert!(ON_A_BAD_DAY.contains(&format!("{percent:.0} % at 7 tasks, and 50 % at {half}")));
}

#[test]
fn the_library_prints_nothing_and_leaves_nothing_undone() {
    for (path, text) in sources() {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for word in ["println!", "print!", "eprintln!", "eprint!", "dbg!", "todo!", "unimplemented!"] {
                let found = line.match_indices(word).any(|(place, _)| {
                    // `eprint!` ends with `print!`, and so does a macro of another name.
                    !line[..place].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                });
                assert!(!found, "{}: {line}", path.display());
            }
        }
    }
}

/// Not every target has them in std: `sync` says where they are from.
#[test]
fn one_file_alone_takes_64_bit_atomics_from_std() {
    for (path, text) in sources() {
        let taken = without_tests(&text)
            .lines()
            .any(|line| line.contains("std::sync::atomic") && line.contains("64"));
        assert_eq!(taken, path.ends_with("process/sync.rs"), "{}", path.display());
    }
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} begins with what it is", path.display());
        let lines = without_tests(&text).lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}

/// Dashboards and alerts are set up for these. That a client keeps to them is shown below, and in environment.rs.
#[test]
fn the_defaults_are_what_they_were() {
    assert_eq!(DEFAULT_AGENT, "udp://127.0.0.1:8125");
    assert_eq!(DEFAULT_FLUSH_INTERVAL, Duration::from_secs(2));
    assert_eq!(DEFAULT_COLLECT_INTERVAL, Duration::from_millis(250));
    assert_eq!(DEFAULT_CHANNEL_CAPACITY, 8192);
    assert_eq!(DEFAULT_CONTEXT_LIMIT, 2000);
    assert_eq!(DEFAULT_METRIC_CONTEXT_LIMIT, 200);
    assert_eq!(DEFAULT_SHUTDOWN_TIMEOUT, Duration::from_secs(1));
    assert_eq!(TaskIdPool::default().size(), 1000);
}

#[test]
fn a_client_flushes_and_collects_at_its_default_intervals() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = Client::builder().capture(&capture).clock(&clock).build()?;
    let asked = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&asked);
    let _watch = guard.client().watch_queue("q", move || {
        counting.fetch_add(1, Ordering::Relaxed);
        QueueStatus::default()
    });
    let nano = Duration::from_nanos(1);
    clock.advance(DEFAULT_COLLECT_INTERVAL.saturating_sub(nano));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    clock.advance(nano);
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    let flushes = || guard.client().stats().flushes;
    clock.advance(DEFAULT_FLUSH_INTERVAL.saturating_sub(DEFAULT_COLLECT_INTERVAL + nano));
    assert_eq!(flushes(), 0);
    clock.advance(nano);
    assert_eq!(flushes(), 1);
    for flush in 2..50 {
        clock.advance(DEFAULT_FLUSH_INTERVAL.saturating_sub(nano));
        assert_eq!(flushes(), flush - 1);
        clock.advance(nano);
        assert_eq!(flushes(), flush);
    }
    Ok(())
}

#[test]
fn the_channel_holds_its_default_capacity() -> Result<(), Box<dyn Error>> {
    let guard = Client::builder().capture(&Capture::new()).clock(&ManualClock::new()).build()?;
    let members = guard.client().set("members").register();
    let dropped = || guard.client().stats().dropped(DropReason::ChannelFull).values;
    for _ in 0..DEFAULT_CHANNEL_CAPACITY {
        members.insert("a");
    }
    assert_eq!(dropped(), 0);
    members.insert("a");
    assert_eq!(dropped(), 1);
    Ok(())
}

#[test]
fn a_client_knows_as_many_contexts_as_its_default_limit() -> Result<(), Box<dyn Error>> {
    let guard = Client::builder().capture(&Capture::new()).clock(&ManualClock::new()).build()?;
    let counter = |queue: usize| {
        let (name, queue) = (format!("jobs.{}", queue / DEFAULT_METRIC_CONTEXT_LIMIT), queue.to_string());
        guard.client().counter(&name).tag("queue", &queue).try_register()
    };
    let kept: Vec<_> = (0..DEFAULT_CONTEXT_LIMIT).map_while(|queue| counter(queue).ok()).collect();
    assert_eq!(kept.len(), DEFAULT_CONTEXT_LIMIT);
    assert!(counter(DEFAULT_CONTEXT_LIMIT).is_err());
    Ok(())
}

#[test]
fn a_metric_has_as_many_contexts_as_its_default_limit() -> Result<(), Box<dyn Error>> {
    let guard = Client::builder().capture(&Capture::new()).clock(&ManualClock::new()).build()?;
    let counter =
        |queue: usize| guard.client().counter("jobs").tag("queue", &queue.to_string()).try_register();
    let kept: Vec<_> = (0..=DEFAULT_METRIC_CONTEXT_LIMIT).map_while(|queue| counter(queue).ok()).collect();
    assert_eq!(kept.len(), DEFAULT_METRIC_CONTEXT_LIMIT);
    Ok(())
}

#[test]
fn a_packet_is_as_large_as_the_setters_doc_says() -> Result<(), Box<dyn Error>> {
    let doc = doc_of(CONFIG, "pub fn max_packet_size(").unwrap();
    for (agent, network, size) in
        [(DEFAULT_AGENT, "UDP", 1432), ("unix:///nobody/listens", "Unix sockets", 8192)]
    {
        assert!(doc.contains(&format!("{size} for {network}")), "{doc}");
        if cfg!(not(unix)) && agent.starts_with("unix") {
            continue;
        }
        let capture = Capture::new();
        let guard = Client::builder().agent(agent).capture(&capture).telemetry(false).build()?;
        // Each line is a byte longer than the last, so that one of the packets is filled to the last byte or nearly.
        for line in 0..500_usize {
            let (name, member) = (format!("n{line:03}"), "x".repeat(line % 40 + 1));
            guard.client().set(&name).insert(&member);
        }
        guard.client().flush(PATIENCE)?;
        let packets = capture.take_packets();
        let largest = packets.iter().map(Vec::len).max().unwrap_or_default();
        assert!(packets.len() > 1 && largest <= size && largest + 30 > size, "{agent}: {largest}");
    }
    Ok(())
}

#[test]
fn telemetry_is_on_and_leaves_every_10_seconds() -> Result<(), Box<dyn Error>> {
    let doc = doc_of(CONFIG, "pub fn telemetry(").unwrap();
    assert!(doc.contains("every 10 s") && doc.contains("Defaults to `true`"), "{doc}");
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = Client::builder().capture(&capture).clock(&clock).build()?;
    let flushed = || -> Result<bool, Box<dyn Error>> {
        guard.client().counter("jobs").increment(1);
        guard.client().flush(PATIENCE)?;
        Ok(capture.take_lines().iter().any(|line| line.starts_with("datadog.dogstatsd.client.")))
    };
    let nano = Duration::from_nanos(1);
    for _ in 0..3 {
        assert!(!flushed()?);
        clock.advance(Duration::from_secs(10).saturating_sub(nano));
        assert!(!flushed()?);
        clock.advance(nano);
        assert!(flushed()?);
    }
    Ok(())
}
