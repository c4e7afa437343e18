//! What every public type can be used for: threads, panics, clones, messages. The compiler checks most of it.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::str::FromStr;
use std::time::Duration;
use tasktag::capacity::{ArgumentError, CapacityReport, SplitQueues};
use tasktag::testing::{
    Capture, ManualClock, ParseError, Parsed, ParsedEvent, ParsedMetric, ParsedOrigin, ParsedServiceCheck,
    Value, parse,
};
use tasktag::{
    Admission, Agent, AlertSeverity, AlertType, BoundedBuilder, BoundedFamily, BurnAlert, BurnWindow,
    ByEvent, ByName, ByTime, CardinalityReport, Client, ClientBuilder, ClosedTag, ConfigError,
    ConnectionBudget, Counter, DaysLeft, Decision, Dialect, Distribution, Draw, DropReason, Event, Family,
    FlushError, FrequentBuilder, FrequentFamily, Gate, GateBuilder, GateClass, GateState, GateStatus, Gauge,
    Guard, Held, Holder, HolderFamily, HolderReport, Holders, HoldersBuilder, HoldersReport, HttpMethod,
    IdCandidates, IdSpace, IdSpaceStatus, Kind, Later, Load, LossNotice, LossPhase, Metric, MetricBuilder,
    MetricCardinality, NoneFree, Objective, ObjectiveBuilder, ObjectiveTimer, Occupancy, Occupied, Outcome,
    OwnedOccupied, OwnedTimer, PgBouncerPool, PgBouncerStatus, PoolStatus, PostgresLoad, PostgresRow,
    PostgresStatus, Priority, Promise, Protocol, QueueDepth, QueueStatus, QueueTicket, Queued, RegisterError,
    RunningJob, ServiceCheck, SessionWait, Set, SliceCounts, SliceState, SoleReporter, SqlQueue, SqlQueueRow,
    Stats, Status, StatusClass, TagCardinality, Tally, Target, TaskId, TaskIdClaim, TaskIdOn, TaskIdPool,
    TaskIdSource, TaskIdSourceKind, TimeObjective, Timer, UnknownName, Wait, Watch, WatchBuilder, Watchable,
    Weights, WorkQueue, WorkQueueBuilder,
};

/// What every public type is: it crosses threads and `catch_unwind`, and can be printed while debugging.
const fn any<T: Debug + Send + Sync + UnwindSafe + RefUnwindSafe + Unpin>() {}
/// The same but for `catch_unwind`.
const fn a_guard<T: Debug + Send + Sync + Unpin>() {}
const fn cloned<T: Clone>() {}
const fn copied<T: Copy>() {}
const fn compared<T: PartialEq>() {}
const fn a_key<T: Eq + Hash>() {}
const fn a_closed_tag<T: ClosedTag + Debug + Copy + Eq + Hash>() {}
const fn shown<T: Display>() {}
/// Is written and read by name.
const fn named<T: Display + FromStr<Err = UnknownName> + Copy + Eq + Hash>() {}
const fn ordered<T: Ord>() {}
const fn with_default<T: Default>() {}
/// Moves into a thread or a tokio task that outlives its parent.
const fn moved<T: Send + 'static>() {}
const fn an_error<T: Error + Clone + PartialEq + Send + Sync + 'static>() {}

const _: () = {
    any::<Client>();
    any::<ClientBuilder>();
    any::<Agent>();
    any::<Protocol>();
    any::<CardinalityReport>();
    any::<MetricCardinality>();
    any::<Weights>();
    any::<LossNotice>();
    any::<LossPhase>();
    any::<ParsedOrigin>();
    a_guard::<Guard>();
    any::<Gauge>();
    any::<Counter>();
    any::<Distribution>();
    any::<Timer<'_>>();
    any::<OwnedTimer>();
    any::<Set>();
    any::<Occupancy>();
    any::<Occupied<'_>>();
    any::<OwnedOccupied>();
    any::<MetricBuilder<'_, Gauge>>();
    any::<MetricBuilder<'_, Counter>>();
    any::<MetricBuilder<'_, Distribution>>();
    any::<MetricBuilder<'_, Set>>();
    any::<MetricBuilder<'_, Occupancy>>();
    any::<Family<Counter, (Outcome, StatusClass)>>();
    any::<BoundedBuilder<'_, Gauge>>();
    any::<BoundedFamily<Gauge>>();
    any::<FrequentBuilder<'_, Distribution>>();
    any::<FrequentFamily<Distribution>>();
    any::<Outcome>();
    any::<StatusClass>();
    any::<HttpMethod>();
    any::<SoleReporter>();
    any::<Watch>();
    any::<WatchBuilder<'_, PoolStatus>>();
    any::<WatchBuilder<'_, QueueStatus>>();
    any::<PoolStatus>();
    any::<ConnectionBudget>();
    any::<PostgresStatus>();
    any::<PostgresRow<'_>>();
    any::<PgBouncerStatus>();
    any::<PgBouncerPool<'_>>();
    any::<SqlQueue>();
    any::<SqlQueueRow>();
    any::<WatchBuilder<'_, ConnectionBudget>>();
    any::<QueueStatus>();
    any::<Gate>();
    any::<GateBuilder<'_>>();
    any::<GateClass>();
    any::<GateState>();
    any::<GateStatus>();
    any::<Decision>();
    any::<Admission>();
    any::<Load>();
    any::<Later>();
    any::<PostgresLoad>();
    any::<SessionWait>();
    any::<IdSpace>();
    any::<IdSpaceStatus>();
    any::<IdCandidates>();
    any::<Draw>();
    any::<NoneFree>();
    any::<DaysLeft>();
    any::<CapacityReport>();
    any::<SplitQueues>();
    any::<ArgumentError>();
    any::<QueueDepth>();
    any::<QueueTicket>();
    any::<Holders>();
    any::<HoldersBuilder<'_>>();
    any::<Holder>();
    any::<HolderFamily<Outcome>>();
    any::<HoldersReport>();
    any::<HolderReport>();
    any::<Wait>();
    any::<Held<()>>();
    any::<Queued<String>>();
    any::<RunningJob>();
    any::<WorkQueue>();
    any::<WorkQueueBuilder<'_>>();
    any::<Promise>();
    any::<Objective>();
    any::<TimeObjective>();
    any::<ObjectiveTimer>();
    any::<ObjectiveBuilder<'_, ByEvent>>();
    any::<ObjectiveBuilder<'_, ByTime>>();
    any::<BurnAlert>();
    any::<SliceCounts>();
    any::<Target>();
    any::<BurnWindow>();
    any::<AlertSeverity>();
    any::<SliceState>();
    any::<ByEvent>();
    any::<ByTime>();
    any::<Event>();
    any::<ServiceCheck>();
    any::<AlertType>();
    any::<Priority>();
    any::<Status>();
    any::<Dialect>();
    any::<TagCardinality>();
    any::<Kind>();
    any::<DropReason>();
    any::<Stats>();
    any::<Tally>();
    any::<TaskId>();
    any::<TaskIdOn>();
    any::<TaskIdPool>();
    any::<TaskIdSource>();
    any::<TaskIdSourceKind>();
    any::<TaskIdClaim>();
    any::<ConfigError>();
    any::<RegisterError>();
    any::<FlushError>();
    any::<UnknownName>();
};

const _: () = {
    any::<Capture>();
    any::<ManualClock>();
    any::<ParseError>();
    any::<Parsed>();
    any::<ParsedEvent>();
    any::<ParsedMetric>();
    any::<ParsedServiceCheck>();
    any::<Value>();
    cloned::<LossNotice>();
    cloned::<Capture>();
    cloned::<ManualClock>();
    with_default::<Capture>();
    with_default::<ManualClock>();
    an_error::<ParseError>();
    an_error::<ArgumentError>();
    an_error::<Later>();
    an_error::<NoneFree>();
};

const _: () = {
    cloned::<Client>();
    cloned::<Agent>();
    cloned::<ParsedOrigin>();
    cloned::<ClientBuilder>();
    cloned::<Gauge>();
    cloned::<Counter>();
    cloned::<Distribution>();
    cloned::<Set>();
    cloned::<Occupancy>();
    cloned::<Family<Counter, (Outcome, StatusClass)>>();
    cloned::<BoundedFamily<Gauge>>();
    cloned::<FrequentFamily<Distribution>>();
    cloned::<QueueDepth>();
    cloned::<Holders>();
    cloned::<HoldersBuilder<'_>>();
    cloned::<Holder>();
    cloned::<HolderFamily<Outcome>>();
    cloned::<HoldersReport>();
    cloned::<Gate>();
    cloned::<GateBuilder<'_>>();
    cloned::<GateClass>();
    cloned::<IdSpace>();
    cloned::<Load>();
    cloned::<HolderReport>();
    cloned::<WorkQueue>();
    cloned::<Objective>();
    cloned::<TimeObjective>();
    cloned::<Event>();
    cloned::<ServiceCheck>();
    cloned::<Stats>();
    moved::<LossNotice>();
    moved::<Client>();
    moved::<Guard>();
    moved::<Gauge>();
    moved::<Counter>();
    moved::<Distribution>();
    moved::<Set>();
    moved::<Occupancy>();
    moved::<OwnedOccupied>();
    moved::<OwnedTimer>();
    moved::<Family<Counter, (Outcome, StatusClass)>>();
    moved::<BoundedFamily<Gauge>>();
    moved::<FrequentFamily<Distribution>>();
    moved::<Watch>();
    moved::<QueueTicket>();
    moved::<Holders>();
    moved::<Gate>();
    moved::<GateClass>();
    moved::<IdSpace>();
    moved::<Holder>();
    moved::<HolderFamily<Outcome>>();
    moved::<Wait>();
    moved::<Held<String>>();
    moved::<Queued<String>>();
    moved::<RunningJob>();
    moved::<WorkQueue>();
    moved::<Objective>();
    moved::<TimeObjective>();
    moved::<ObjectiveTimer>();
};

const _: () = {
    a_closed_tag::<Outcome>();
    a_closed_tag::<StatusClass>();
    a_closed_tag::<HttpMethod>();
    a_closed_tag::<Decision>();
    a_closed_tag::<GateState>();
    a_closed_tag::<SessionWait>();
    copied::<LossPhase>();
    copied::<AlertType>();
    copied::<Priority>();
    copied::<Status>();
    copied::<Dialect>();
    copied::<Protocol>();
    copied::<Weights>();
    copied::<TagCardinality>();
    copied::<Kind>();
    copied::<DropReason>();
    copied::<Tally>();
    copied::<TaskId>();
    copied::<TaskIdOn>();
    copied::<TaskIdPool>();
    copied::<PoolStatus>();
    copied::<SqlQueueRow>();
    copied::<QueueStatus>();
    copied::<Promise>();
    copied::<Admission>();
    copied::<CapacityReport>();
    copied::<Later>();
    copied::<Target>();
    copied::<BurnAlert>();
    copied::<SliceCounts>();
    a_key::<Target>();
    a_closed_tag::<BurnWindow>();
    a_closed_tag::<SliceState>();
    a_closed_tag::<AlertSeverity>();
    shown::<SliceCounts>();
    copied::<FlushError>();
    a_key::<LossPhase>();
    a_key::<Event>();
    a_key::<ServiceCheck>();
    a_key::<Tally>();
    ordered::<Tally>();
    ordered::<Protocol>();
    ordered::<Promise>();
    ordered::<TaskId>();
    ordered::<TaskIdPool>();
    named::<Dialect>();
    named::<Protocol>();
    named::<Weights>();
    named::<Kind>();
    named::<TagCardinality>();
    named::<AlertType>();
    named::<Priority>();
    named::<Status>();
    a_key::<Kind>();
    a_key::<Dialect>();
    a_key::<Protocol>();
    a_key::<Weights>();
    a_key::<DropReason>();
    a_key::<TagCardinality>();
    a_key::<TaskId>();
    a_key::<TaskIdOn>();
    a_key::<TaskIdPool>();
    compared::<HoldersReport>();
    compared::<SqlQueue>();
    compared::<SqlQueueRow>();
    compared::<HolderReport>();
    compared::<LossNotice>();
    compared::<Event>();
    compared::<ServiceCheck>();
    compared::<Stats>();
    compared::<Tally>();
    compared::<Dialect>();
    compared::<Status>();
    shown::<HoldersReport>();
    shown::<HolderReport>();
    shown::<LossNotice>();
    shown::<LossPhase>();
    shown::<TaskId>();
    shown::<CapacityReport>();
    shown::<IdSpaceStatus>();
    shown::<SplitQueues>();
    shown::<Stats>();
    shown::<Tally>();
    shown::<DropReason>();
    shown::<Outcome>();
    shown::<StatusClass>();
    shown::<HttpMethod>();
    shown::<TaskIdSourceKind>();
    with_default::<ClientBuilder>();
    with_default::<Gate>();
    with_default::<Load>();
    with_default::<Holders>();
    with_default::<Holder>();
    with_default::<HolderFamily<Outcome>>();
    with_default::<Dialect>();
    with_default::<Agent>();
    with_default::<Protocol>();
    with_default::<TaskIdOn>();
    with_default::<TaskIdPool>();
    with_default::<PoolStatus>();
    with_default::<SqlQueueRow>();
    with_default::<QueueStatus>();
    with_default::<QueueDepth>();
    with_default::<QueueTicket>();
    with_default::<WorkQueue>();
    with_default::<Objective>();
    with_default::<TimeObjective>();
    with_default::<SliceCounts>();
    with_default::<Stats>();
    with_default::<Tally>();
    an_error::<ConfigError>();
    an_error::<RegisterError>();
    an_error::<FlushError>();
    an_error::<UnknownName>();
};

/// `<T as NotClone<_>>` is ambiguous, and so does not compile, for a type that is `Clone`.
trait NotClone<Way> {
    const HOLDS: () = ();
}
impl<T> NotClone<()> for T {}
impl<T: Clone> NotClone<u8> for T {}

// Each ends something when it is dropped, which must happen once.
const _: [(); 11] = [
    <Guard as NotClone<_>>::HOLDS,
    <Watch as NotClone<_>>::HOLDS,
    <Timer<'_> as NotClone<_>>::HOLDS,
    <OwnedTimer as NotClone<_>>::HOLDS,
    <Occupied<'_> as NotClone<_>>::HOLDS,
    <OwnedOccupied as NotClone<_>>::HOLDS,
    <QueueTicket as NotClone<_>>::HOLDS,
    <Wait as NotClone<_>>::HOLDS,
    <Held<()> as NotClone<_>>::HOLDS,
    <Queued<String> as NotClone<_>>::HOLDS,
    <RunningJob as NotClone<_>>::HOLDS,
];

const WORD: usize = size_of::<usize>();

const _: () = {
    assert!(size_of::<Gauge>() <= 2 * WORD);
    assert!(size_of::<Counter>() <= 2 * WORD);
    assert!(size_of::<Distribution>() <= 2 * WORD);
    assert!(size_of::<Set>() <= 2 * WORD);
    assert!(size_of::<Occupancy>() <= 2 * WORD);
    assert!(size_of::<Occupied<'_>>() <= 2 * WORD);
    assert!(size_of::<OwnedOccupied>() <= 2 * WORD);
    assert!(size_of::<Watch>() <= 2 * WORD);
    // The start is 8 bytes on every machine.
    assert!(size_of::<Timer<'_>>() <= WORD + 8);
    assert!(size_of::<Holder>() <= 2 * WORD);
    assert!(size_of::<Wait>() <= WORD + 16);
    assert!(size_of::<Held<()>>() <= WORD + 16);
    assert!(size_of::<OwnedTimer>() <= 2 * WORD + 16);
};

/// The names that one `pub use` statement after another gives.
fn exported(source: &str) -> impl Iterator<Item = &str> {
    source
        .split("pub use ")
        .skip(1)
        .filter_map(|statement| statement.split_once(';')?.0.rsplit_once("::"))
        .flat_map(|(_, names)| names.trim_matches(['{', '}']).split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// Whether a type is `UnwindSafe` and `RefUnwindSafe`: the inherent constant is there for those, and takes precedence.
struct Unwinding<T>(PhantomData<T>);

impl<T: UnwindSafe + RefUnwindSafe> Unwinding<T> {
    const IS_SAFE: bool = true;
}

trait Otherwise {
    const IS_SAFE: bool = false;
}

impl<T> Otherwise for Unwinding<T> {}

#[test]
fn a_guard_crosses_catch_unwind_too() {
    const { assert!(Unwinding::<Client>::IS_SAFE && !Unwinding::<&mut u8>::IS_SAFE) };
    let guard = Unwinding::<Guard>::IS_SAFE;
    assert!(guard, "a handle of std's that it holds is no reason for a user to be told otherwise");
}

#[test]
fn every_public_type_is_pinned_here() {
    let here = include_str!("api_traits.rs");
    let (crate_root, _) = include_str!("../src/lib.rs").split_once("#[doc(hidden)]").unwrap();
    let types = |source| {
        let is_type = |name: &&str| name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
        exported(source).filter(is_type).collect::<Vec<_>>()
    };
    let public = [types(crate_root), types(include_str!("../src/testing.rs"))].concat();
    assert!(public.len() > 40 && public.contains(&"OwnedOccupied") && public.contains(&"ParseError"));
    let traits = concat!(
        include_str!("../src/api/dimension/closed.rs"),
        include_str!("../src/api/dimension/frequent.rs"),
        include_str!("../src/api/handle/metric.rs"),
        include_str!("../src/api/watch.rs"),
        include_str!("../src/vocabulary/tag_value.rs"),
    );
    let is_trait =
        |name: &&str| [':', '<'].iter().any(|next| traits.contains(&format!("pub trait {name}{next}")));
    for name in public.into_iter().filter(|name| !is_trait(name)) {
        let pinned = ["any", "a_guard"].iter().any(|what| {
            here.contains(&format!("{what}::<{name}>();")) || here.contains(&format!("{what}::<{name}<"))
        });
        assert!(pinned, "{name}");
    }
}

#[test]
fn every_named_value_reads_back_from_its_name_in_capitals_or_not() {
    fn assert_reads_back<T: Copy + Debug + Display + PartialEq + FromStr<Err = UnknownName>>(all: &[T]) {
        assert!(all.len() > 1);
        for value in all {
            let name = value.to_string();
            assert_eq!(name.parse(), Ok(*value));
            assert_eq!(name.to_uppercase().parse(), Ok(*value));
            assert!(format!(" {name}").parse::<T>().is_err() && format!("{name}s").parse::<T>().is_err());
        }
        for unknown in ["", "potato", "lo", "not_set"] {
            let error = unknown.parse::<T>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{unknown:?} is no name of ")), "{error}");
            assert!(all.iter().all(|value| error.contains(&value.to_string())), "{error}");
        }
    }
    assert_reads_back(Dialect::ALL);
    assert_reads_back(Protocol::ALL);
    assert_reads_back(Weights::ALL);
    assert_reads_back(Kind::ALL);
    assert_reads_back(TagCardinality::ALL);
    assert_reads_back(AlertType::ALL);
    assert_reads_back(Priority::ALL);
    assert_reads_back(Status::ALL);
    assert_eq!("1.6".parse(), Ok(Protocol::default()), "a protocol's name is its version");
}

#[test]
fn a_task_id_reads_back_and_says_what_is_no_id() {
    let id = TaskIdPool::DEFAULT.id(42).unwrap();
    assert_eq!((id.to_string().parse(), "42".parse()), (Ok(id), Ok(id)));
    let of_ten = TaskIdPool::new(10).unwrap();
    assert_eq!(of_ten.parse("10"), Ok(of_ten.id(10).unwrap()));
    for unusable in ["", "0", "1001", "+7", "-7", "7.0", "two\nlines"] {
        let error = unusable.parse::<TaskId>().unwrap_err();
        let expected =
            format!("the setting task_id can't be {unusable:?}: a task id is a number from 1 to 1000");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn tallies_are_ordered_by_values_first_and_shown_with_their_units() {
    let mut tally = Tally::default();
    assert_eq!(tally.to_string(), "0 values, 0 lines, 0 packets, 0 bytes");
    (tally.values, tally.lines) = (2, 1);
    assert_eq!(tally.to_string(), "2 values, 1 line, 0 packets, 0 bytes");
    let mut more = Tally::default();
    more.values = 3;
    assert!(more > tally && tally > Tally::default());
}

#[test]
fn closed_tags_are_shown_as_they_are_sent() {
    fn assert_shown<T: ClosedTag + Display>(all: &[T]) {
        let shown: Vec<_> = all.iter().map(T::to_string).collect();
        assert_eq!(shown, T::VALUES);
    }
    assert_shown(Outcome::ALL);
    assert_shown(StatusClass::ALL);
    assert_shown(HttpMethod::ALL);
    assert_shown(Decision::ALL);
    assert_shown(GateState::ALL);
    assert_shown(SessionWait::ALL);
    assert_shown(SliceState::ALL);
    assert_shown(BurnWindow::ALL);
    assert_shown(AlertSeverity::ALL);
    assert_eq!(
        (Outcome::Cancelled.to_string(), BurnWindow::SixHours.to_string()),
        ("cancelled".into(), "6h".into())
    );
    assert_eq!(format!("{:>7}", HttpMethod::from("PATCH")), "  patch");
}

/// The metrics of a service, whatever their kind.
fn by_outcome<M: Metric>(metric: MetricBuilder<'_, M>) -> Family<M, Outcome> {
    metric.tag("service", "shop").register_family()
}

fn by_busiest_route<M: ByName>(metric: MetricBuilder<'_, M>) -> FrequentFamily<M> {
    metric.bounded("route", 2).most_frequent(Duration::from_secs(60)).register()
}

fn watched<S: Watchable>(what: WatchBuilder<'_, S>, status: impl FnMut() -> S + Send + 'static) -> Watch {
    what.tag("service", "shop").watch(status)
}

#[test]
fn what_works_for_all_metrics_can_be_written_once() {
    let capture = Capture::new();
    let builder = Client::builder().capture(&capture).task_id(TaskIdPool::DEFAULT.id(42).unwrap());
    let guard = builder.telemetry(false).build().unwrap();
    let client = guard.client();
    let (done, busy) = (by_outcome(client.counter("done")), by_outcome(client.occupancy("busy", 4)));
    done.at(Outcome::Cancelled).increment(1);
    let _unit = busy.at(Outcome::Ok).acquire();
    by_busiest_route(client.gauge("fill")).at("/cart").set(0.5);
    let _pool = watched(client.pool("primary"), || PoolStatus::new().max(10));
    let _queue = watched(client.queue("mail"), || QueueStatus::new().depth(3));
    guard.shutdown(Duration::from_secs(60)).unwrap();
    let lines = capture.take_lines();
    for expected in [
        "done:1|c|#outcome:cancelled,service:shop,task_id:0042",
        "busy.in_use:1|g|#outcome:ok,service:shop,task_id:0042",
        "fill:0.5|g|#route:/cart,task_id:0042",
        "pool.max:10|g|#pool:primary,service:shop,task_id:0042",
        "queue.depth:3|g|#queue:mail,service:shop,task_id:0042",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} is not in {lines:#?}");
    }
}

#[test]
fn errors_say_what_is_wrong_in_one_line_and_convert_to_boxes() {
    fn boxed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Box<dyn Error + Send + Sync> {
        error.into()
    }
    let errors = [
        boxed(ConfigError::AlreadyInstalled),
        boxed(ConfigError::Thread("a reason".to_owned())),
        boxed(ConfigError::Random("a reason".to_owned())),
        boxed(ConfigError::TaskIdDecided { decided: 1000, wanted: 50 }),
        boxed(TaskIdPool::new(0).unwrap_err()),
        boxed("two\nlines".parse::<Dialect>().unwrap_err()),
        boxed(RegisterError::EmptyName),
        boxed(RegisterError::ContextLimit { name: "two\nlines".to_owned(), limit: 5 }),
        boxed(FlushError::TimedOut(Duration::from_millis(5))),
        boxed(FlushError::Stopped),
        boxed(parse(b"two\nlines").unwrap_err()),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 10 && text.lines().count() == 1, "{text:?}");
        assert!(!text.starts_with(char::is_uppercase) && !text.ends_with('.'), "{text:?}");
        assert!(error.source().is_none(), "{text:?}");
    }
}

#[test]
fn what_is_printed_while_debugging_is_short_and_tells_no_variable() {
    // As of a program whose state has a client and derives `Debug`, and is printed at every request.
    fn assert_short(what: &impl Debug) {
        let text = format!("{what:?}");
        let all = format!("{text} {what:#?}");
        assert!(!all.contains("hunter2") && !all.contains("DATABASE"), "{all}");
        assert!(text.len() < 400, "{} bytes: {text:.1000}", text.len());
    }
    let set_up = || Client::builder().from_vars([("DATABASE_PASSWORD", "hunter2"), ("DD_ENV", "prod")]);
    let builder = format!("{:?}", set_up());
    assert!(!builder.contains("hunter2") && !builder.contains("DATABASE"), "{builder}");
    let guard = set_up().build().unwrap();
    let client = guard.client();
    for user in 0..200 {
        client.counter("logins").tag("user", &user.to_string()).increment(1);
    }
    let took = client.timing("took").register();
    took.record(12.5);
    assert_short(&guard);
    assert_short(client);
    assert_short(&client.counter("done").register());
    assert_short(&client.gauge("fill").peak().register());
    assert_short(&client.set("users").register());
    assert_short(&took.start());
    assert_short(&took);
    assert_short(&client.occupancy("connections", 3).register());
    assert_short(&client.counter("jobs").register_family::<Outcome>());
    assert_short(&client.counter("requests").bounded("route", 50).register());
    assert_short(&client.pool("primary"));
}

#[test]
fn names_are_shown_within_a_width_that_is_asked_for() {
    assert_eq!(format!("[{:>8}] [{:<8}]", Kind::Gauge, Kind::Set), "[   gauge] [set     ]");
}
