"""Jobs of arq, in the queue `arq:queue` of the server in the first argument."""

import asyncio
import sys
from datetime import datetime, timedelta, timezone

from arq import Retry, create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func
from dialogue import answer_all, end_with_input


async def nothing(context):
    pass


async def retry(context):
    raise Retry(defer=600)


async def fail(context):
    raise ValueError("as asked")


async def hang(context):
    await asyncio.sleep(600)


settings = RedisSettings.from_dsn(sys.argv[1])


def work():
    # A task of arq's own would otherwise end before the loop does.
    asyncio.set_event_loop(asyncio.new_event_loop())
    functions = [func(function) for function in (nothing, retry, fail, hang)]
    Worker(functions, redis_settings=settings, handle_signals=False, poll_delay=0.05).run()


async def enqueue(name, **options):
    pool = await create_pool(settings)
    await pool.enqueue_job(name, **options)
    await pool.aclose()


if __name__ == "__main__":
    if sys.argv[2:] == ["work"]:
        end_with_input()
        work()
    answer_all(
        {
            "enqueue": lambda name: asyncio.run(enqueue(name)),
            "delay": lambda seconds: asyncio.run(enqueue("nothing", _defer_by=timedelta(seconds=float(seconds)))),
            "backdate": lambda seconds: asyncio.run(
                enqueue(
                    "nothing",
                    _defer_until=datetime.now(timezone.utc) - timedelta(seconds=float(seconds)),
                )
            ),
        }
    )
