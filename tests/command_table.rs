//! The table of `tasktag listen` shows what arrives, obeys its keys, and gives the terminal back as it was.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(unsafe_code, reason = "std has no pseudo-terminals")]

#[path = "command/run.rs"]
mod run;
mod support;
#[path = "command/terminal.rs"]
mod terminal;

use std::os::unix::net::UnixDatagram;
use support::{TempDir, wait_until};
use terminal::Terminal;

/// A table, and a socket that is read by it.
struct Shown {
    terminal: Terminal,
    socket: UnixDatagram,
    _directory: TempDir,
}

impl Shown {
    fn start(options: &[&str], rows: u16, columns: u16) -> Self {
        let directory = TempDir::new();
        let path = directory.join("agent");
        let address = format!("unix://{}", path.display());
        let arguments = [&["listen", &address, "--interval", "0.2"], options].concat();
        let terminal = Terminal::run(&arguments, rows, columns);
        let socket = UnixDatagram::unbound().unwrap();
        wait_until(|| socket.connect(&path).is_ok());
        terminal.until(|screen| screen.contains("1 metrics 0"));
        Self { terminal, socket, _directory: directory }
    }

    fn send(&self, packet: &[u8]) {
        self.socket.send(packet).unwrap();
    }
}

/// The line of the screen that begins with a text, as words.
#[track_caller]
fn words<'a>(screen: &'a str, start: &str) -> Vec<&'a str> {
    let line = screen.lines().find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("{start} is not on {screen}")).split_whitespace().collect()
}

/// The first words of the lines of metrics.
fn names(screen: &str) -> Vec<&str> {
    let lines = screen.lines().skip_while(|line| !line.starts_with("metric")).skip(1);
    lines.map_while(|line| line.split_whitespace().next()).filter(|word| *word != "q").collect()
}

#[test]
fn a_known_stream_is_a_known_table() {
    let shown = Shown::start(&[], 24, 160);
    shown.send(b"fill:0.25|g|#cache:a\nfill:0.75|g|#cache:a\njobs:3|c\njobs:4|c\nusers:x|s\nusers:y|s");
    shown.send(b"query:10:20:30|ms\n_e{6,3}:deploy|v42\n_sc|db|2\nbad");
    let screen = shown.terminal.until(|screen| {
        let heads = ["1 metrics 4", "2 events and checks 2", "3 not understood 1", "10 lines in 2 packets"];
        heads.iter().all(|head| screen.contains(head))
            && names(screen) == ["fill", "jobs", "query", "users"]
            && words(screen, "users").get(2) == Some(&"2")
    });
    assert_eq!(words(&screen, "fill")[..4], ["fill", "#cache:a", "gauge", "0.75"]);
    assert_eq!(words(&screen, "jobs")[..3], ["jobs", "counter", "7"]);
    assert_eq!(words(&screen, "users")[..3], ["users", "set", "2"]);
    let query = words(&screen, "query");
    assert_eq!((query[..3].to_vec(), query[4], query[7]), (vec!["query", "timing", "3"], "10", "30"));
}

#[test]
fn keys_turn_pages_sort_filter_fold_pause_and_end() {
    let mut shown = Shown::start(&[], 24, 160);
    shown.send(
        b"a.fill:2|g|#task_id:0001\na.fill:4|g|#task_id:0002\nb.fill:9|g\n_e{6,3}:deploy|v42|t:error\nbad",
    );
    shown.terminal.until(|screen| names(screen) == ["a.fill", "a.fill", "b.fill"]);
    shown.terminal.press("f");
    let screen = shown.terminal.until(|screen| names(screen) == ["a.fill", "b.fill"]);
    assert_eq!(words(&screen, "a.fill")[..3], ["a.fill", "gauge", "3"]);
    assert!(words(&screen, "a.fill").contains(&"2/2"), "{screen}");
    shown.terminal.press("ss");
    shown.terminal.until(|screen| names(screen) == ["b.fill", "a.fill"] && screen.contains("by max"));
    shown.terminal.press("/a.f\r");
    shown.terminal.until(|screen| names(screen) == ["a.fill"] && screen.contains("only a.f"));
    shown.terminal.press("\x1b");
    shown.terminal.until(|screen| names(screen) == ["b.fill", "a.fill"]);
    shown.terminal.press("p");
    shown.terminal.until(|screen| screen.contains("PAUSED"));
    shown.send(b"c.fill:10|g");
    shown.terminal.press("2");
    shown.terminal.until(|screen| screen.contains("event error    deploy: v42"));
    shown.terminal.press("\t");
    let screen =
        shown.terminal.until(|screen| screen.contains("there is no `:` between a name and a value: bad"));
    assert!(screen.contains("1 metrics 3 "), "it is paused: {screen}");
    shown.terminal.press("1p");
    shown.terminal.until(|screen| names(screen) == ["c.fill", "b.fill", "a.fill"]);
    shown.terminal.press("q");
    assert_eq!(shown.terminal.end().code(), Some(0));
    let screen = shown.terminal.until(|screen| screen.contains("# 2 packets"));
    assert!(screen.contains("6 lines: 4 series, 1 events and checks, 1 not understood"), "{screen}");
}

#[test]
fn rows_are_grouped_by_each_tag_in_turn_and_sorted_both_ways() {
    let mut shown = Shown::start(&[], 24, 160);
    shown.send(b"jobs:1|c|#queue:mail,task_id:0001\njobs:2|c|#queue:mail,task_id:0002");
    shown.send(b"jobs:4|c|#queue:video,task_id:0002\nlevel:5|g\nlevel:7|g|#\x1b[5m:x");
    shown.terminal.until(|screen| names(screen).len() == 5);
    // The sums of counters and the means of levels, of each value of a tag.
    let grouped = |screen: &str, by: &str, rows: &[&[&str]]| {
        let lines = screen.lines().skip_while(|line| !line.starts_with("metric")).skip(1);
        let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        screen.contains(by)
            && lines.zip(rows).filter(|(line, row)| line.starts_with(row)).count() == rows.len()
    };
    let groups: [(&str, &[&[&str]]); 4] = [
        (
            "grouped by \\u{1b}[5m",
            &[&["jobs", "counter", "7"], &["level", "gauge", "5"], &["level", "#\\u{1b}[5m:x", "gauge", "7"]],
        ),
        (
            "grouped by queue",
            &[
                &["jobs", "#queue:mail", "counter", "3"],
                &["jobs", "#queue:video", "counter", "4"],
                &["level", "gauge", "6"],
            ],
        ),
        (
            "grouped by task_id",
            &[
                &["jobs", "#task_id:0001", "counter", "1"],
                &["jobs", "#task_id:0002", "counter", "6"],
                &["level", "gauge", "6"],
            ],
        ),
        ("by name", &[&["jobs", "#queue:mail,task_id:0001", "counter", "1"]]),
    ];
    for (by, rows) in groups {
        shown.terminal.press("g");
        shown.terminal.until(|screen| grouped(screen, by, rows) && names(screen).len() >= rows.len());
    }
    let screen = shown.terminal.until(|screen| names(screen).len() == 5);
    assert!(!screen.contains("grouped"), "{screen}");
    shown.terminal.press("r");
    shown.terminal.until(|screen| {
        names(screen) == ["level", "level", "jobs", "jobs", "jobs"] && screen.contains("by name, reversed")
    });
    // The lowest maximum comes first, and those that are equal come by name.
    shown.terminal.press("ss");
    shown.terminal.until(|screen| {
        names(screen) == ["jobs", "jobs", "jobs", "level", "level"] && screen.contains("by max, reversed")
    });
    shown.terminal.press("r");
    let screen = shown.terminal.until(|screen| {
        names(screen) == ["level", "level", "jobs", "jobs", "jobs"] && !screen.contains("reversed")
    });
    assert!(screen.contains("r reverse  g group"), "{screen}");
    shown.terminal.press("q");
    assert_eq!(shown.terminal.end().code(), Some(0));
}

#[test]
fn a_small_screen_has_fewer_columns_and_no_size_is_too_small() {
    let mut shown = Shown::start(&[], 24, 160);
    let lines: Vec<_> = (0..50).map(|n| format!("jobs.{n:02}:1|c")).collect();
    shown.send(lines.join("\n").as_bytes());
    shown.terminal.until(|screen| names(screen).len() == 20 && screen.contains("history"));
    shown.terminal.resize(10, 60);
    shown.terminal.until(|screen| names(screen).len() == 6 && !screen.contains("history"));
    shown.terminal.press("\x1b[F");
    shown.terminal.until(|screen| names(screen).last() == Some(&"jobs.49"));
    for (rows, columns) in [(1, 1), (2, 5), (3, 200)] {
        shown.terminal.resize(rows, columns);
        shown.terminal.press("j");
    }
    shown.terminal.resize(24, 80);
    shown.terminal.until(|screen| names(screen).len() == 20 && screen.contains("max"));
    shown.terminal.press("q");
    assert_eq!(shown.terminal.end().code(), Some(0));
}

#[test]
fn hostile_bytes_are_shown_and_not_obeyed() {
    let mut shown = Shown::start(&[], 24, 160);
    let hostile: [&[u8]; 5] = [
        b"evil\x1b[31mname:1|c|#k\x1b]0;owned\x07ey:\xc2\x9b2J",
        b"_e{18,8}:\x1b[2J\x1b]0;owned\x07end!!|\x1b[?1049l|t:\x1b[5m",
        b"\x1b]52;c;b3duZWQ=\x07",
        b"\xff\xfe\x9b1;1H",
        b"_sc|\xe2\x80\xaeup|0|m:\x1bc",
    ];
    for packet in hostile {
        shown.send(packet);
    }
    for (page, expected) in [("1", "evil\\u{1b}[31mname"), ("2", "up"), ("3", "\\xff\\xfe\\x9b1;1H")] {
        shown.terminal.press(page);
        let screen = shown.terminal.until(|screen| screen.contains(expected));
        assert!(!screen.contains('\u{202e}'), "{screen}");
    }
    shown.terminal.kill("TERM");
    assert_eq!(shown.terminal.end().code(), Some(0));
    let bytes = shown.terminal.bytes();
    let obeyed = |command: &[u8]| bytes.windows(command.len()).any(|window| window == command);
    // Among what the table itself writes are colours, places and its own screen.
    for command in [b"\x1b]".as_slice(), b"\x1b[31m", b"\x1bc", b"\x07", b"\xc2\x9b", b"\x9b1", b"\x1b[5m"] {
        assert!(!obeyed(command), "{:?} in {:?}", command, String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_signal_gives_the_terminal_back() {
    for signal in ["TERM", "INT", "HUP"] {
        let mut shown = Shown::start(&[], 24, 80);
        assert!(shown.terminal.is_taken());
        shown.terminal.kill(signal);
        assert_eq!(shown.terminal.end().code(), Some(0), "{signal}");
        shown.terminal.until(|screen| screen.contains("# 0 packets"));
    }
}
