//! cadence: a line per call, through a queue to a thread that packs them, or into tasktag.

use crate::contestant::{
    Agent, COUNTER, Contestant, GAUGE, Holding, Kind, Operation, Setup, TASK_ID, TIMING, Tags, latency,
    level, repeat,
};
use crate::traffic::{Style, Traffic};
use cadence::{
    BufferedUdpMetricSink, BufferedUnixMetricSink, Counted, Distributed, Gauged, MetricSink,
    QueuingMetricSink, StatsdClient,
};
use std::any::Any;
use std::mem::ManuallyDrop;
use std::net::UdpSocket;
use std::ops::Range;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::Duration;
use tasktag::integrations::cadence::CadenceSink;
use tasktag::{Client, Guard};

/// What the official clients fill; cadence's own default is 512.
const UDP_PACKET: usize = 1432;
const UNIX_PACKET: usize = 8192;

/// The queue, unbounded as by default, so that nothing is lost.
#[derive(Clone)]
// Dropping a clone ends the thread of all.
pub struct Queue(ManuallyDrop<QueuingMetricSink>);

impl Queue {
    pub fn new(agent: &Agent) -> Self {
        let queue = match agent {
            Agent::Udp(address) => {
                let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port is free");
                socket.set_nonblocking(true).expect("a socket can do without blocking");
                QueuingMetricSink::from(
                    BufferedUdpMetricSink::with_capacity(address, socket, UDP_PACKET)
                        .expect("an address is one"),
                )
            }
            Agent::Unix(path) => {
                let socket = UnixDatagram::unbound().expect("a socket can be had");
                socket.set_nonblocking(true).expect("a socket can do without blocking");
                QueuingMetricSink::from(BufferedUnixMetricSink::with_capacity(path, socket, UNIX_PACKET))
            }
        };
        Self(ManuallyDrop::new(queue))
    }

    pub fn sink(&self) -> QueuingMetricSink {
        QueuingMetricSink::clone(&self.0)
    }

    pub fn settle(&self) {
        while self.0.queued() > 0 {
            thread::sleep(Duration::from_micros(200));
        }
    }

    pub fn finish(&self) {
        self.settle();
        // A line counts as drained before it is in the packet.
        thread::sleep(Duration::from_millis(20));
        self.0.flush().expect("the agent is there");
    }
}

/// What is behind cadence's client.
enum Behind {
    Queue(Queue),
    Tasktag(Guard),
}

struct Cadence {
    client: StatsdClient,
    behind: Behind,
    tags: Tags,
}

pub fn build(setup: &Setup) -> Option<Box<dyn Contestant>> {
    let queue = Queue::new(&setup.agent);
    let client = StatsdClient::builder("", queue.sink()).with_tag(TASK_ID.0, TASK_ID.1).build();
    Some(Box::new(Cadence { client, behind: Behind::Queue(queue), tags: Tags::new() }))
}

pub fn build_bridged(setup: &Setup) -> Option<Box<dyn Contestant>> {
    let mut builder = Client::builder().agent(setup.agent.to_string());
    if let Some(interval) = setup.interval {
        builder = builder.flush_interval(interval);
    }
    let guard = builder.build().expect("the settings are usable");
    // The task id is added by the sink's client.
    let client = StatsdClient::from_sink("", CadenceSink::new(guard.client()));
    Some(Box::new(Cadence { client, behind: Behind::Tasktag(guard), tags: Tags::new() }))
}

impl Contestant for Cadence {
    fn run(&self, operation: Operation, n: u32) -> bool {
        let client = &self.client;
        match operation {
            Operation::GaugeByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                client.gauge_with_tags(GAUGE, level(i)).with_tag("pool", pool).with_tag("role", role).send();
            }),
            Operation::CounterByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                client.count_with_tags(COUNTER, 1).with_tag("pool", pool).with_tag("role", role).send();
            }),
            Operation::TimingByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                let metric = client.distribution_with_tags(TIMING, latency(i));
                metric.with_tag("pool", pool).with_tag("role", role).send();
            }),
            _ => false,
        }
    }

    fn replay(&self, style: Style, traffic: &Traffic, updates: Range<u32>) -> bool {
        let client = &self.client;
        if style == Style::Handle {
            return false;
        }
        traffic.replay(
            updates,
            |series, value| {
                let s = &traffic.gauges[series];
                client
                    .gauge_with_tags(&s.name, value)
                    .with_tag("pool", &s.pool)
                    .with_tag("role", &s.role)
                    .send();
            },
            |series| {
                let s = &traffic.counters[series];
                client.count_with_tags(&s.name, 1).with_tag("pool", &s.pool).with_tag("role", &s.role).send();
            },
            |series, value| {
                let s = &traffic.timings[series];
                let metric = client.distribution_with_tags(&s.name, value);
                metric.with_tag("pool", &s.pool).with_tag("role", &s.role).send();
            },
        );
        true
    }

    /// It keeps no contexts: each value is a line.
    fn hold(&self, holding: &Holding) -> Option<Box<dyn Any>> {
        let (client, name) = (&self.client, holding.name);
        Some(match holding.kind {
            Kind::Gauge => holding.keep(str::to_owned, |tag, value| {
                client.gauge_with_tags(name, value).with_tag("n", tag).send();
            }),
            Kind::Counter => holding.keep(str::to_owned, |tag, _| {
                client.count_with_tags(name, 1).with_tag("n", tag).send();
            }),
            Kind::Timing => holding.keep(str::to_owned, |tag, value| {
                client.distribution_with_tags(name, value).with_tag("n", tag).send();
            }),
        })
    }

    fn flush(&self) {
        match &self.behind {
            Behind::Queue(queue) => queue.finish(),
            Behind::Tasktag(guard) => {
                guard.client().flush(Duration::from_secs(60)).expect("everything is sent");
            }
        }
    }

    fn settle(&self) {
        if let Behind::Queue(queue) = &self.behind {
            queue.settle();
        }
    }

    fn finish(self: Box<Self>) {
        match &self.behind {
            Behind::Queue(queue) => queue.finish(),
            Behind::Tasktag(guard) => {
                guard.client().flush(Duration::from_secs(10)).expect("everything is sent");
            }
        }
        // The client would end the queue's thread, which is of no use to anybody now.
        std::mem::forget(self);
    }
}
