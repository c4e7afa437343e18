//! A layer that adds the task id to any recorder.

use crate::task_id::{TASK_ID_KEY, TaskId};
use crate::wire::encode::clean::becomes_task_id;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};

/// Adds the label `task_id` to everything registered with another recorder, for programs that keep their exporter.
///
/// The label's value is this process's [`TaskId`]. It replaces an existing label `task_id`, in any case. Nothing else
/// changes. In front of this crate's own [`Recorder`](super::Recorder), which adds the task id itself, the layer is
/// redundant but harmless.
///
/// **Cost:** a registration builds a new key with several allocations; calls on handles cost nothing extra. The macros
/// register at each call, so keep handles in hot code. Metrics registered before a fork keep the parent's id.
///
/// ```
/// use metrics::{counter, with_local_recorder};
/// use tasktag::integrations::metrics::TaskIdLayer;
///
/// let exporter = metrics::NoopRecorder; // any recorder
/// let recorder = TaskIdLayer::new(exporter);
/// with_local_recorder(&recorder, || counter!("jobs.done", "queue" => "mail").increment(1));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "no task id is added until the layer is before a recorder"]
pub struct TaskIdLayer<R> {
    recorder: R,
}

impl<R> TaskIdLayer<R> {
    /// Wraps a recorder.
    pub fn new(recorder: R) -> Self {
        Self { recorder }
    }
}

/// Adds the task id to a key. An existing label of another task id moves to a key of its own, as in a client.
fn tagged(key: &Key) -> Key {
    let own = key.labels().map(|label| {
        if becomes_task_id(label.key()) {
            Label::new(format!("{TASK_ID_KEY}_"), label.value().to_owned())
        } else {
            label.clone()
        }
    });
    let task_id = Label::new(TASK_ID_KEY, TaskId::current().as_str().to_owned());
    Key::from_parts(key.name_shared(), own.chain([task_id]).collect::<Vec<_>>())
}

impl<R: Recorder> Recorder for TaskIdLayer<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.recorder.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.recorder.register_counter(&tagged(key), metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.recorder.register_gauge(&tagged(key), metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.recorder.register_histogram(&tagged(key), metadata)
    }
}
