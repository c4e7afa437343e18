//! The modules stand on floors, as ARCHITECTURE.md lists them, and none names what is above it.

#[path = "architecture/source.rs"]
mod source;

use source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = include_str!("../ARCHITECTURE.md");
const MANIFEST: &str = include_str!("../Cargo.toml");

/// The floor of the command, which alone names the crates of its feature.
const COMMAND: &str = "bin";

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The floors, the topmost first.
fn floors() -> Vec<&'static str> {
    let (_, rest) = ARCHITECTURE.split_once("## Floors").expect("there is a section of floors");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

fn floor_of(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

/// The floors whose names are unknown, and those that a module names though they are above it.
fn broken(source: &Source, floors: &[&str]) -> Vec<String> {
    let height = |module: &str| floors.iter().position(|floor| *floor == floor_of(module));
    let mut broken = Vec::new();
    for module in source.modules() {
        let Some(own) = height(module) else {
            broken.push(format!("{module} is on no floor"));
            continue;
        };
        let above = |named: &String| height(named).is_some_and(|other| other < own);
        broken.extend(
            source
                .named_by(module)
                .iter()
                .filter(|named| above(named))
                .map(|named| format!("{module} names {named}, which is above it")),
        );
    }
    broken
}

/// Circles among modules of one folder. What a module and its own folder say of each other is none.
fn circles(source: &Source) -> Vec<String> {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in source.modules() {
        for other in source.named_by(module) {
            if let Some((from, to)) = where_they_part(module, &other) {
                named.entry(from).or_default().insert(to);
            }
        }
    }
    let reaches = |from: &String, to: &String| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(next) = left.pop() {
            for other in named.get(next).into_iter().flatten().filter(|other| seen.insert(*other)) {
                left.push(other);
            }
        }
        seen.contains(to)
    };
    named
        .keys()
        .filter(|module| reaches(module, module))
        .map(|module| format!("{module} is in a circle"))
        .collect()
}

/// Two modules, or what they are in, below the last folder that both are in.
fn where_they_part(module: &str, other: &str) -> Option<(String, String)> {
    let (one, two): (Vec<_>, Vec<_>) = (module.split("::").collect(), other.split("::").collect());
    let common = one.iter().zip(&two).take_while(|(one, two)| one == two).count();
    (common < one.len() && common < two.len()).then(|| (one[..=common].join("::"), two[..=common].join("::")))
}

#[test]
fn every_folder_is_a_floor_and_every_floor_a_folder() {
    let source = Source::of_folder(&sources());
    let mut folders: BTreeSet<&str> = source.modules().map(floor_of).collect();
    assert_eq!(folders, floors().into_iter().collect());
    // A program that uses the library is none of it.
    assert!(folders.remove(COMMAND));
    assert!(folders.len() <= 15, "as many as one can keep in mind: {folders:?}");
}

#[test]
fn nothing_names_what_is_above_it() {
    assert_eq!(broken(&Source::of_folder(&sources()), &floors()), [""; 0]);
}

#[test]
fn no_two_files_name_each_other() {
    assert_eq!(circles(&Source::of_folder(&sources())), [""; 0]);
}

#[test]
fn what_is_broken_by_hand_is_found() {
    let sound = [
        ("lib.rs", "pub use crate::api::Client;"),
        ("api.rs", "use crate::wire::{encode::{self, Line}, packet};\nuse super::wire;"),
        ("wire.rs", "mod encode;\nmod packet;"),
        ("wire/encode.rs", "pub struct Line; // crate::api::Client\nconst A: &str = \"crate::api\";"),
        (
            "wire/packet.rs",
            "use super::encode::Line;\n#[cfg(test)]\nmod tests {\n    use crate::api::Client;\n}",
        ),
    ];
    let floors = ["api", "wire"];
    let source = Source::of_files(&sound);
    assert_eq!(
        source.named_by("api").into_iter().collect::<Vec<_>>(),
        ["wire", "wire::encode", "wire::packet"]
    );
    assert_eq!((broken(&source, &floors), circles(&source)), (vec![], vec![]));

    let with = |path, text| Source::of_files(&[&sound[..], &[(path, text)]].concat());
    let upward = "wire::encode names api, which is above it";
    for text in [
        "use crate::api::Client;",
        "use crate::Client;",
        "fn f(_: &crate::Client) {}",
        "use super::super::api;",
    ] {
        let source = with("wire/encode.rs", text);
        assert_eq!(broken(&source, &floors), [upward], "{text}");
        assert_eq!(circles(&source), ["api is in a circle", "wire is in a circle"], "{text}");
    }
    let source = with("wire/encode.rs", "use super::packet::{Packet, MOST};");
    assert_eq!(broken(&source, &floors), [""; 0]);
    assert_eq!(circles(&source), ["wire::encode is in a circle", "wire::packet is in a circle"]);
    assert_eq!(broken(&with("attic.rs", ""), &floors), ["attic is on no floor"]);

    // In a program of the package, `crate` is the program.
    let program = [
        ("bin/x/main.rs", "mod api;\nmod b;"),
        ("bin/x/api.rs", "use crate::b::B;"),
        ("bin/x/b.rs", "use crate::api::A;"),
    ];
    let source = Source::of_files(&[&sound[..], &program].concat());
    assert_eq!(source.named_by("bin::x::api").into_iter().collect::<Vec<_>>(), ["bin::x::b"]);
    assert_eq!(circles(&source), ["bin::x::api is in a circle", "bin::x::b is in a circle"]);
}

/// The crates that only an integration may name.
fn neighbours() -> Vec<String> {
    let listed = MANIFEST.lines().filter(|line| line.contains("optional = true"));
    let names = listed.filter_map(|line| line.split(' ').next()).map(|name| name.replace('-', "_"));
    // These are no neighbours: a source of task ids is made of them.
    names.filter(|name| !name.starts_with("redis") && !name.starts_with("rustls")).collect()
}

/// The crates that only the command may name.
fn of_command() -> Vec<String> {
    let names = feature_of_command().filter_map(|name| name.strip_prefix("dep:"));
    names.map(|name| name.replace('-', "_")).collect()
}

/// The neighbours that the command names besides: it makes the runtime and the connections that integrations want.
fn used_by_command() -> Vec<String> {
    let names = feature_of_command().filter(|name| !name.starts_with("dep:") && !name.contains('/'));
    names.map(|name| name.replace('-', "_")).collect()
}

/// What the command's feature brings.
fn feature_of_command() -> impl Iterator<Item = &'static str> {
    let listed = MANIFEST.lines().find_map(|line| line.strip_prefix("cli = [")).expect("it has a feature");
    listed.split('"').skip(1).step_by(2)
}

#[test]
fn a_neighbour_is_named_in_its_integration_alone_and_a_crate_of_the_command_there() {
    let (neighbours, of_command, used_by_command) = (neighbours(), of_command(), used_by_command());
    assert!(neighbours.len() > 5 && of_command.len() > 3, "{neighbours:?}, {of_command:?}");
    assert!(used_by_command.contains(&"tokio_postgres".to_owned()), "{used_by_command:?}");
    let may_name = |module: &str, neighbour: &String| match floor_of(module) {
        COMMAND => of_command.contains(neighbour) || used_by_command.contains(neighbour),
        "integrations" => !of_command.contains(neighbour),
        _ => false,
    };
    let source = Source::of_folder(&sources());
    let names = |code: &str, crate_name: &str| {
        let path = format!("{crate_name}::");
        code.match_indices(&path)
            .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c)))
    };
    for (module, code) in source.code() {
        let banned = neighbours.iter().filter(|neighbour| !may_name(module, neighbour));
        let found: Vec<_> = banned.filter(|neighbour| names(code, neighbour)).collect();
        assert!(found.is_empty(), "{module} names {found:?}");
    }
}

#[test]
fn a_module_with_a_folder_has_its_file_beside_it() {
    let source = Source::of_folder(&sources());
    assert!(source.modules().all(|module| !module.ends_with("::mod")), "no mod.rs");
}

#[test]
fn the_ways_that_are_listed_lead_through_files_of_that_length() {
    let (_, rest) = ARCHITECTURE.split_once("## Two ways, file by file").expect("there is a section of ways");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let rows: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    assert!((8..=12).contains(&rows.len()), "at most six files each: {rows:?}");
    for row in rows {
        let mut cells = row.split('|').map(str::trim);
        let (file, listed) = (cells.next().unwrap().trim_matches('`'), cells.next().unwrap());
        let text = std::fs::read_to_string(sources().join(file)).unwrap();
        let lines = text.lines().take_while(|line| !line.starts_with("mod tests {")).count();
        let listed: usize = listed.parse().unwrap();
        assert!(lines.abs_diff(listed) * 10 <= lines, "{file} has {lines} lines");
    }
}
