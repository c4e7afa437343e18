//! The task id, in front of any recorder.

use crate::task_id::{TASK_ID_KEY, TaskId};
use crate::wire::encode::clean::becomes_task_id;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};

/// Adds the label `task_id` in front of any other recorder, for those that keep their exporter.
///
/// Whatever is registered gets the label `task_id` with this process's [`TaskId`]; one that is there already, in any
/// case, is replaced. Nothing else changes. In front of our own [`Recorder`](super::Recorder), which adds it by itself,
/// it is superfluous and does no harm.
///
/// **Cost:** a registration makes a new key, of several allocations; handles cost nothing more. The macros register at
/// each call: keep handles where that matters. Metrics that were registered before a fork keep the parent's id.
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
    /// A layer in front of a recorder.
    pub fn new(recorder: R) -> Self {
        Self { recorder }
    }
}

/// A key with the task id. What it has of another one is under a key of its own, as a client has it.
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
