"""Jobs of RQ, in the queue `default` of the server in the first argument."""

import sys
import time
from datetime import timedelta

import redis
import rq
import rq.scheduler
from dialogue import answer_all, end_with_input
from rq.suspension import resume, suspend
from rq.timeouts import TimerDeathPenalty


def nothing():
    pass


def fail():
    raise ValueError("as asked")


def hang():
    time.sleep(600)


connection = redis.Redis.from_url(sys.argv[1])
queue = rq.Queue("default", connection=connection)


class Worker(rq.SimpleWorker):
    death_penalty_class = TimerDeathPenalty


def schedule_due():
    """What the scheduler does once a second, where it runs."""
    scheduler = rq.scheduler.RQScheduler([queue], connection=connection)
    scheduler.acquire_locks()
    scheduler.enqueue_scheduled_jobs()
    scheduler.release_locks()


def enqueue(function, **options):
    queue.enqueue("rq_jobs." + function, **options)


def work(**options):
    Worker([queue], connection=connection).work(**options)


def delay(seconds):
    queue.enqueue_in(timedelta(seconds=float(seconds)), "rq_jobs.nothing")


if __name__ == "__main__":
    if sys.argv[2:] == ["work"]:
        end_with_input()
        work()
    answer_all(
        {
            "enqueue": lambda: enqueue("nothing"),
            "front": lambda: enqueue("nothing", at_front=True),
            "retry": lambda: enqueue("fail", retry=rq.Retry(max=1, interval=600)),
            "fail": lambda: enqueue("fail"),
            "hang": lambda: enqueue("hang"),
            "delay": delay,
            "schedule": schedule_due,
            "suspend": lambda: suspend(connection),
            "resume": lambda: resume(connection) and None,
            "burst": lambda: work(burst=True),
        }
    )
