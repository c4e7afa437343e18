"""Messages of Dramatiq, in the queue `default` of the server in the first argument."""

import sys
import time

import dramatiq
from dialogue import answer_all
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=sys.argv[1])
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=1, min_backoff=600_000, max_backoff=600_000)
def retry():
    raise ValueError("as asked")


@dramatiq.actor(max_retries=0)
def fail():
    raise ValueError("as asked")


@dramatiq.actor
def nothing():
    pass


@dramatiq.actor
def hang():
    time.sleep(600)


if __name__ == "__main__":
    worker = dramatiq.Worker(broker, worker_threads=1)
    answer_all(
        {
            "enqueue": lambda: nothing.send() and None,
            "retry": lambda: retry.send() and None,
            "fail": lambda: fail.send() and None,
            "hang": lambda: hang.send() and None,
            "delay": lambda seconds: nothing.send_with_options(delay=int(float(seconds) * 1000)) and None,
            "start": worker.start,
        }
    )
