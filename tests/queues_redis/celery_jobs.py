"""Tasks of Celery, in the queue `celery` of the server in the first argument."""

import os
import sys
import time

import celery
from celery.signals import before_task_publish
from dialogue import answer_all, end_with_input

app = celery.Celery("celery_jobs", broker=os.environ["BROKER"])
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)


@app.task
def nothing():
    pass


@app.task(bind=True)
def retry(self):
    raise self.retry(countdown=600)


@app.task
def hang():
    time.sleep(600)


def stamp(headers, **_):
    headers["enqueued_at"] = time.time()


def work():
    app.worker_main(["worker", "-c", "1", "-P", "threads", "-l", "CRITICAL", "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        end_with_input()
        before_task_publish.connect(stamp)
        work()
    answer_all(
        {
            "stamp": lambda: before_task_publish.connect(stamp) and None,
            "enqueue": lambda name: app.send_task("celery_jobs." + name) and None,
            "priority": lambda priority: app.send_task("celery_jobs.nothing", priority=int(priority)) and None,
            "delay": lambda seconds: app.send_task("celery_jobs.nothing", countdown=float(seconds)) and None,
        }
    )
