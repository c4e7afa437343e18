//! The page "On a bad day": what it says of each fault is what happens, and a test holds it.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use support::{Agent, PATIENCE, assert_conserved};
use tasktag::{DropReason, Guard, LossNotice, QueueStatus, Stats};

const PAGE: &str = include_str!("../src/guide/on_a_bad_day.rs");

/// The faults of the page, each with the tests that hold what it says.
const FAULTS: [(&str, &[&str]); 35] = [
    (
        "The agent is away, restarts, or is replaced at the path of its socket",
        &[
            "tests/outage.rs an_agent_that_is_killed_and_comes_back_costs_the_flushes_between_over_udp",
            "tests/outage.rs an_agent_that_is_killed_and_comes_back_costs_the_flushes_between_over_a_unix_socket",
            "tests/outage.rs a_new_file_at_the_path_is_another_agent_though_the_old_one_still_listens",
            "tests/last_error.rs once_something_gets_through_the_error_is_gone_and_its_time_is_known",
            "tests/notices.rs an_agent_that_goes_away_and_comes_back_is_told_of_twice_and_once_a_minute_between",
        ],
    ),
    (
        "An agent behind a node port or a load balancer is replaced",
        &[
            "tests/replaced_agent.rs after_a_refusal_packets_come_from_another_port",
            "tests/replaced_agent.rs a_node_port_whose_pod_is_replaced_leads_to_the_new_one",
        ],
    ),
    (
        "The agent does not read",
        &[
            "tests/call_site_never_blocks.rs an_agent_that_does_not_read_costs_a_flush_one_wait_and_not_one_a_packet",
            "tests/call_site_never_blocks.rs an_agent_that_is_only_slow_gets_more_than_its_queue_holds",
            "tests/deadlines.rs an_agent_that_takes_nothing_is_given_up_in_time_and_what_it_did_not_take_is_counted",
        ],
    ),
    (
        "A connection breaks",
        &[
            "tests/transports.rs a_packet_that_was_cut_is_dropped_and_the_next_connection_begins_with_a_whole_one",
            "tests/vanished_peer.rs what_an_agent_left_unread_when_it_was_killed_is_dropped",
        ],
    ),
    (
        "The agent's host vanishes without a word",
        &[
            "tests/vanished_peer.rs a_host_that_vanishes_is_noticed_and_what_it_did_not_acknowledge_is_dropped",
        ],
    ),
    (
        "Two contexts are the same line to an agent",
        &[
            "tests/contexts.rs agents_that_clean_differently_keep_contexts_apart_and_the_clash_is_counted",
            "tests/contexts.rs without_tags_contexts_that_differ_in_them_alone_are_counted_and_stay_apart",
        ],
    ),
    (
        "The dialect has no such thing",
        &[
            "tests/wire_format.rs what_a_dialect_does_not_have_is_refused_and_counted",
            "tests/dialects.rs a_time_of_its_own_is_refused_and_counted_where_there_is_none",
            "tests/notices.rs what_a_dialect_does_not_know_is_told_once",
        ],
    ),
    (
        "The channel to the worker is full",
        &[
            "tests/conservation.rs a_full_channel_drops_and_counts",
            "tests/conservation.rs values_beyond_a_distributions_table_are_dropped_and_counted_where_the_channel_is_full",
        ],
    ),
    (
        "A value is not finite, or a call by name has the name of another kind",
        &[
            "tests/conservation.rs values_that_are_not_finite_are_refused_and_counted_and_make_a_gauge_absent",
            "tests/conservation.rs what_finds_no_room_is_folded_and_what_another_kind_refuses_is_counted",
            "tests/notices.rs each_reason_is_told_with_its_own_figures",
        ],
    ),
    (
        "A gauge is set to NaN or infinity",
        &[
            "tests/gauge_absent.rs a_gauge_that_is_set_to_no_level_is_absent_until_it_is_set_again_whatever_sets_it",
        ],
    ),
    (
        "A line is larger than a packet",
        &[
            "tests/conservation.rs oversize_lines_are_dropped_and_counted",
            "tests/packets.rs a_line_that_fits_into_no_packet_is_dropped_and_the_rest_arrives",
        ],
    ),
    (
        "An event or a service check is larger than 8 KiB",
        &[
            "tests/long_texts.rs an_event_fills_a_packet_to_its_last_byte_and_loses_the_end_of_its_text_beyond",
            "tests/long_texts.rs a_message_is_cut_so_that_its_check_fills_a_packet",
        ],
    ),
    (
        "A tag is left out",
        &[
            "tests/wire_format.rs a_tag_without_a_key_is_left_out_and_counted",
            "tests/wire_format.rs a_ninth_single_tag_is_left_out_and_counted_and_a_slice_has_room_for_any_number",
        ],
    ),
    (
        "A tag has the key of the task id",
        &[
            "tests/task_id_key.rs the_ids_of_other_tasks_are_kept_under_another_key",
            "tests/task_id_key.rs the_own_id_under_its_key_is_sent_once_and_counted_as_refused",
            "tests/task_id_key.rs with_another_key_a_task_id_is_an_ordinary_tag",
        ],
    ),
    (
        "A distribution has more than 1000 lines in a flush",
        &[
            "tests/wire_format.rs more_than_1000_lines_of_a_metric_are_thinned_out_and_counted",
            "tests/weights.rs beyond_1000_values_repeats_are_a_sample_in_proportion_and_summaries_are_exact",
        ],
    ),
    (
        "There are more contexts than the limit",
        &[
            "tests/handles.rs beyond_the_context_limit_a_metric_goes_on_in_its_overflow_context",
            "tests/handles.rs a_metric_has_a_limit_of_its_own_and_leaves_the_others_their_room",
            "tests/gauge_life.rs the_least_recently_set_gauges_make_room_and_as_many_as_are_needed",
            "tests/docs_match_code.rs a_client_knows_as_many_contexts_as_its_default_limit",
        ],
    ),
    (
        "There are more overflow contexts than the limit, or more than 10,000 members of a set",
        &[
            "tests/conservation.rs what_finds_no_room_is_folded_and_what_another_kind_refuses_is_counted",
            "tests/on_a_bad_day.rs of_a_set_10000_members_are_sent_and_the_others_are_counted",
        ],
    ),
    (
        "A registration is refused",
        &[
            "tests/handles.rs a_handle_under_the_name_of_another_kind_reports_nothing",
            "tests/handles.rs a_metric_without_a_name_is_refused",
        ],
    ),
    (
        "A pool or a queue is watched twice",
        &["tests/watched_names.rs a_second_watch_of_one_name_is_refused_counted_and_never_asked"],
    ),
    (
        "A watched closure does not return for 1 s",
        &[
            "tests/hanging_probes.rs a_watch_that_hangs_loses_its_own_gauges_and_nothing_else",
            "tests/hanging_probes.rs whoever_is_told_of_losses_is_told_which_watch_hangs",
            "tests/hanging_probes.rs four_hanging_watches_leave_the_others_asked_and_a_fifth_makes_them_absent",
        ],
    ),
    (
        "A Redis server with a watched queue does not answer",
        &["tests/queues_redis/watch.rs a_server_that_hangs_costs_its_queue_alone"],
    ),
    (
        "A watched closure panics",
        &["tests/watching.rs a_probe_that_panics_three_times_in_a_row_is_asked_no_more"],
    ),
    (
        "The closure of `on_loss` panics",
        &["tests/notices.rs a_closure_that_panics_is_counted_and_called_no_more"],
    ),
    (
        "The worker panics",
        &[
            "tests/conservation.rs a_worker_that_died_often_goes_on",
            "tests/conservation.rs a_packet_that_the_worker_died_with_is_counted_in_every_unit",
            "tests/notices.rs a_worker_that_panics_is_told_of",
        ],
    ),
    (
        "A value comes after the guard was dropped",
        &[
            "tests/conservation.rs what_comes_after_the_shutdown_is_counted_wherever_it_was_put",
            "tests/notices.rs what_is_lost_after_the_shutdown_is_told_to_nobody",
        ],
    ),
    (
        "The program ends without dropping the guard",
        &[
            "tests/on_a_bad_day.rs a_program_that_ends_without_dropping_its_guard_loses_what_came_since_the_last_flush",
        ],
    ),
    (
        "Two tasks draw the same id",
        &[
            "tests/on_a_bad_day.rs two_tasks_with_one_id_write_one_line_and_neither_counts_anything",
            "tests/fleet.rs random_and_hashed_ids_are_shared_as_often_as_the_pool_says",
        ],
    ),
    (
        "All slots are leased, or the ordinal is beyond the pool",
        &[
            "tests/task_id_sources.rs each_lease_is_another_id_until_the_pool_is_full_and_then_a_bucket_is_shared",
            "tests/task_id_sources.rs an_ordinal_beyond_the_pool_shares_a_bucket_and_says_so",
            "tests/task_id_sources.rs a_shared_bucket_is_in_the_stats_and_in_telemetry",
        ],
    ),
    (
        "Redis does not answer for 20 s while it holds the lease of the task id",
        &[
            "tests/leases_redis.rs while_the_server_answers_nobody_an_id_is_given_up_before_it_can_be_another_process_s",
            "tests/leases_redis.rs while_the_server_stands_still_an_id_is_given_up_before_it_can_be_another_process_s",
        ],
    ),
    (
        "The process stood still in the middle of a flush, and its lease is over",
        &["tests/leases_redis.rs packets_of_a_flush_that_outlasts_its_lease_are_dropped_and_counted"],
    ),
    (
        "The directory of leases is removed and made again",
        &[
            "tests/leases_directory.rs who_shows_itself_in_a_directory_that_was_made_again_keeps_its_id",
            "tests/leases_directory.rs whose_slot_another_process_has_takes_a_free_one_and_counts_a_loss",
            "tests/leases_directory.rs without_its_directory_a_task_shares_a_bucket_until_it_is_there_again",
        ],
    ),
    (
        "The program forks",
        &[
            "tests/fork.rs each_child_reports_its_own_under_its_own_id",
            "tests/notices_fork.rs a_child_tells_of_its_own_losses_from_0",
        ],
    ),
    (
        "A forked child can't lease, or its parent has an ordinal or a hash",
        &[
            "tests/fork_task_id.rs a_child_that_can_not_lease_shares_a_bucket_of_its_pool_whatever_the_reason",
            "tests/fork_task_id.rs an_ordinal_or_a_name_is_the_parents_and_its_child_shares_a_bucket",
        ],
    ),
    (
        "A forked child is refused a thread",
        &[
            "tests/fork_growth.rs a_child_that_was_refused_a_thread_asks_again_and_has_lost_nothing",
            "tests/fork_growth.rs a_child_that_ends_without_ever_having_had_a_thread_counts_what_it_loses",
        ],
    ),
    (
        "A process is restored from a snapshot of its memory",
        &["tests/fork_growth.rs a_restored_process_has_an_id_a_worker_and_statistics_of_its_own"],
    ),
];

/// A fault of the page: its heading, and what stands behind each of its points.
struct Fault {
    heading: String,
    statistics: String,
    notice: String,
}

/// The page without the marks of a comment, a line a paragraph or point.
fn page() -> String {
    let lines = PAGE.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim_end);
    let mut page = String::new();
    for line in lines {
        let starts = [" #", " * "].into_iter().any(|start| line.starts_with(start)) || line.is_empty();
        page.push(if starts || page.ends_with('\n') { '\n' } else { ' ' });
        page.push_str(line.trim_start());
        if line.is_empty() || line.starts_with(" #") {
            page.push('\n');
        }
    }
    page
}

/// The page has these three points for each fault, in this order.
fn faults() -> Vec<Fault> {
    let page = page();
    let parts = page.split("\n## ").skip(1).map(|part| part.split("\n# ").next().unwrap());
    let faults = parts.map(|part| {
        let heading = part.lines().next().unwrap().to_owned();
        let points: Vec<_> = part.lines().filter_map(|line| line.strip_prefix("* **")).collect();
        let point = |place: usize, name: &str| {
            let text = points.get(place).and_then(|point| point.strip_prefix(name)).map(str::trim);
            let text = text.filter(|text| text.ends_with('.'));
            text.unwrap_or_else(|| panic!("{heading}: no sentence behind {name} in {points:#?}")).to_owned()
        };
        let (statistics, notice) = (point(0, "Statistics:**"), point(1, "Notice:**"));
        point(2, "What to do:**");
        assert_eq!(points.len(), 3, "{heading}");
        Fault { heading, statistics, notice }
    });
    faults.collect()
}

/// What a text links to behind a start: the fields of `Stats::`, or the reasons of `DropReason::`.
fn linked(text: &str, start: &str) -> BTreeSet<String> {
    let start = format!("[`{start}");
    text.split(&start).skip(1).filter_map(|rest| rest.split('`').next()).map(str::to_owned).collect()
}

/// The names of a struct's fields, from what is printed of it.
fn fields(stats: &Stats) -> BTreeSet<String> {
    let printed = format!("{stats:#?}");
    let fields = printed.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
    fields.map(|(name, _)| name.to_owned()).filter(|name| !name.starts_with(' ')).collect()
}

#[test]
fn every_fault_names_the_tests_that_hold_what_it_says() {
    let headings: Vec<_> = faults().into_iter().map(|fault| fault.heading).collect();
    assert_eq!(headings, FAULTS.map(|(heading, _)| heading));
    for (heading, tests) in FAULTS {
        assert!(!tests.is_empty(), "{heading}");
        for test in tests {
            let (file, name) = test.split_once(' ').unwrap_or_else(|| panic!("a file and a name in {test}"));
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let source = fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
            let before = source.split_once(&format!("\nfn {name}(")).map(|(before, _)| before);
            let before = before.unwrap_or_else(|| panic!("{heading}: no {name} in {file}"));
            let attributes: Vec<_> = before.lines().rev().take_while(|line| line.starts_with("#[")).collect();
            assert!(attributes.contains(&"#[test]"), "{name} is no test");
            assert!(!attributes.iter().any(|line| line.starts_with("#[ignore")), "{name} is not run");
        }
    }
}

#[test]
fn every_count_of_a_fault_is_in_the_statistics_and_every_count_of_a_loss_is_on_the_page() {
    let (fields, faults) = (fields(&Stats::default()), faults());
    let reasons: BTreeSet<_> = DropReason::ALL.iter().map(|reason| format!("{reason:?}")).collect();
    let (mut counted, mut dropped) = (BTreeSet::new(), BTreeSet::new());
    for Fault { heading, statistics, .. } in &faults {
        let (of_stats, of_reasons) = (linked(statistics, "Stats::"), linked(statistics, "DropReason::"));
        for field in &of_stats {
            assert!(fields.contains(field), "{heading}: {field} is not in {fields:?}");
        }
        for reason in &of_reasons {
            assert!(reasons.contains(reason), "{heading}: {reason} is not in {reasons:?}");
        }
        let says_why_not = ["othing", "start from 0"].iter().any(|text| statistics.contains(text));
        assert!(says_why_not || of_stats.len() + of_reasons.len() > 0, "{heading} is not counted");
        counted.extend(of_stats);
        dropped.extend(of_reasons);
    }
    assert_eq!(dropped, reasons);
    // What these count is no fault.
    let others = ["accepted", "contexts", "dropped", "flushes"].map(str::to_owned);
    assert_eq!(&counted | &BTreeSet::from(others), fields);
}

#[test]
fn every_reason_is_in_a_notice_under_its_name_but_for_that_which_comes_too_late() {
    let notices: Vec<_> = faults().into_iter().map(|fault| fault.notice).collect();
    for reason in DropReason::ALL {
        let names_it = |notice: &String| notice.contains(&format!("the reason `{reason}`"));
        assert_eq!(notices.iter().any(names_it), *reason != DropReason::AfterShutdown, "{reason}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_notice_of_the_page_is_what_a_client_says_of_an_agent_that_is_away() {
    let agent = Agent::udp();
    let (address, port) = (agent.address(), agent.port().to_string());
    drop(agent);
    let (told, notices) = mpsc::channel();
    let builder = support::builder().agent(address);
    let act = move |notice: &LossNotice| told.send(notice.to_string()).unwrap();
    let guard = builder.on_loss(act).build().unwrap();
    guard.client().counter("jobs").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    let notice = notices.recv_timeout(PATIENCE).unwrap().replace(&port, "8125");
    assert!(page().contains(&format!("`{notice}`")), "{notice}");
}

#[test]
fn of_a_set_10000_members_are_sent_and_the_others_are_counted() {
    let directory = support::TempDir::new();
    let agent = Agent::unix(&directory.join("agent"));
    let guard = support::builder().agent(agent.address()).channel_capacity(20_000).build().unwrap();
    let users = guard.client().set("users").register();
    (0..10_003).for_each(|user| users.insert(&format!("user-{user}")));
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    assert_conserved(&stats);
    assert_eq!(stats.dropped(DropReason::ContextLimit), stats.dropped_total());
    assert_eq!((stats.sent.values, stats.dropped_total().values), (10_000, 3));
    // A new flush has room for as many again.
    users.insert("user-10003");
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(guard.client().stats().dropped_total().values, 3);
}

#[test]
fn two_tasks_with_one_id_write_one_line_and_neither_counts_anything() {
    let agent = Agent::udp();
    let tasks = [1.0, 2.0].map(|level| {
        let guard = support::builder().agent(agent.address()).build().unwrap();
        guard.client().gauge("level").set(level);
        guard.client().flush(PATIENCE).unwrap();
        guard
    });
    let mut lines = agent.lines(2);
    lines.sort();
    assert_eq!(lines, ["level:1|g|#task_id:0042", "level:2|g|#task_id:0042"]);
    for guard in tasks {
        let stats = guard.client().stats();
        assert_conserved(&stats);
        assert_eq!((stats.sent.values, stats.shared_task_ids, stats.lost_task_ids), (1, 0, 0));
    }
}

const END: &str = "ON_A_BAD_DAY_END";
const AGENT: &str = "ON_A_BAD_DAY_AGENT";

/// What the next tests run in a process of its own: it ends in one way or another.
#[test]
fn child_ends() {
    static FOR_EVER: OnceLock<Guard> = OnceLock::new();
    let (Ok(end), Ok(agent)) = (std::env::var(END), std::env::var(AGENT)) else { return };
    let guard = support::builder().agent(agent).build().unwrap();
    guard.client().counter("flushed").increment(1);
    guard.client().flush(PATIENCE).unwrap();
    guard.client().counter("not.flushed").increment(1);
    match end.as_str() {
        "exit" => std::process::exit(0),
        "static" => drop(FOR_EVER.set(guard)),
        "shutdown" => {
            guard.shutdown(PATIENCE).unwrap();
            std::process::exit(0);
        }
        "drop" => drop(guard),
        // For longer than it takes to be killed.
        "killed" => std::thread::sleep(PATIENCE),
        "panic" => {
            std::panic::set_hook(Box::new(|_| std::process::exit(7)));
            let broken = || -> QueueStatus { panic!("it is broken") };
            guard.client().watch_queue("mail", broken).detach();
            // Asks the closure, on its own thread.
            let _ = guard.client().flush(PATIENCE);
            unreachable!("the hook has ended the process");
        }
        _ => unreachable!("{end}"),
    }
}

fn child(end: &str, agent: &Agent) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child_ends", "--nocapture"]).env(END, end).env(AGENT, agent.address());
    child
}

fn run(end: &str, agent: &Agent) -> ExitStatus {
    child(end, agent).output().unwrap().status
}

const FLUSHED: &str = "flushed:1|c|#task_id:0042";
const NOT_FLUSHED: &str = "not.flushed:1|c|#task_id:0042";

#[test]
fn a_program_that_ends_without_dropping_its_guard_loses_what_came_since_the_last_flush() {
    let directory = support::TempDir::new();
    // What was sent to a Unix socket is in its queue before the sender ends.
    let agent = Agent::unix(&directory.join("agent"));
    for end in ["exit", "static"] {
        assert!(run(end, &agent).success(), "{end}");
        assert_eq!(agent.drain(), [FLUSHED], "{end}");
    }
    for end in ["shutdown", "drop"] {
        assert!(run(end, &agent).success(), "{end}");
        assert_eq!(agent.drain(), [FLUSHED, NOT_FLUSHED], "{end}");
    }
    let mut killed = child("killed", &agent).stdout(Stdio::null()).spawn().unwrap();
    let came = agent.lines_until(|lines| !lines.is_empty());
    let ended = Command::new("kill").args(["-TERM", &killed.id().to_string()]).status().unwrap();
    assert!(ended.success() && !killed.wait().unwrap().success());
    assert_eq!((came, agent.drain()), (vec![FLUSHED.to_owned()], Vec::new()));
}

#[test]
fn a_panic_hook_that_ends_the_process_ends_it_at_the_first_panic_of_a_watched_closure() {
    let directory = support::TempDir::new();
    let agent = Agent::unix(&directory.join("agent"));
    assert_eq!(run("panic", &agent).code(), Some(7));
}
