//! `tasktag fleet` computes what the library does.

#![cfg(all(feature = "cli", unix))]

#[path = "command/run.rs"]
mod run;
mod support;

use run::run;
use tasktag::TaskIdPool;

#[test]
fn the_odds_and_the_series_are_those_of_a_pool() {
    let ended = run(&["fleet", "100", "--series", "10", "--deploys", "4", "--price", "0.5", "--json"], &[]);
    let [found] = &ended.objects()[..] else { panic!("{ended:#?}") };
    let pool = TaskIdPool::DEFAULT;
    // The last digit is that of whoever reads the text.
    let is_near = |name: &str, expected: f64| (found[name].as_f64().unwrap() / expected - 1.0).abs() < 1e-12;
    assert!(is_near("odds", pool.collision_probability(100)), "{found}");
    assert!(is_near("sharing", pool.expected_sharing(100)), "{found}");
    assert!(is_near("series", pool.expected_distinct(500) * 10.0), "{found}");
    assert_eq!((&found["series_by_name"], &found["price_by_name"]), (&5000.0.into(), &2500.0.into()));
    let smallest = TaskIdPool::smallest_for(100, 0.01).unwrap().size();
    assert_eq!(found["pool_for_one_percent"], smallest);
}

#[test]
fn a_table_says_the_same_to_people() {
    let ended = run(&["fleet", "7"], &[]);
    assert_eq!(ended.status, Some(0));
    assert!(ended.out.contains("odds that two tasks share a random id          2.1 %\n"), "{}", ended.out);
    assert!(ended.out.contains("shared ids with an ordinal or a lease          0\n"), "{}", ended.out);
    assert_eq!(run(&["fleet", "7", "--pool", "0"], &[]).status, Some(2));
    // The largest numbers that there are.
    let most = u32::MAX.to_string();
    let ended = run(&["fleet", &most, "--pool", "1000000", "--series", &most, "--deploys", &most], &[]);
    assert_eq!(ended.status, Some(0), "{ended:#?}");
}

#[test]
fn the_page_of_the_command_shows_what_it_says() {
    const PAGE: &str = include_str!("../src/guide/command.rs");
    let page: Vec<_> = PAGE.lines().map(|line| line.trim_start_matches("//!").trim_start()).collect();
    let ended = run(&["fleet", "100", "--price", "0.05"], &[]);
    let missing: Vec<_> = ended.out.lines().filter(|line| !page.contains(line)).collect();
    assert!(!ended.out.is_empty() && missing.is_empty(), "{missing:?}");
    let help = run(&["help"], &[]).out;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    // What a command is for may take several lines.
    let starts =
        commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let starts = starts.filter(|line| !line.starts_with(' '));
    for command in starts.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        let shown = [format!("`tasktag {command} "), format!("`tasktag {command}`")];
        assert!(shown.iter().any(|shown| PAGE.contains(shown)), "{command}");
    }
}
