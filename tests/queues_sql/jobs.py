"""Writes and works jobs as programs with procrastinate do, as standard input says, a command a line.

jobs.py SOCKET DATABASE QUEUE
"""

import asyncio
import json
import logging
import sys
from datetime import datetime, timedelta, timezone

import procrastinate

socket, database, queue = sys.argv[1:]
logging.disable(logging.CRITICAL)
connector = procrastinate.PsycopgConnector(conninfo=f"host={socket} dbname={database} user=shop")
app = procrastinate.App(connector=connector)
# A job that blocks ends when it is told to.
released = asyncio.Event()


@app.task(name="block")
async def block():
    await released.wait()


@app.task(name="plain")
async def plain():
    pass


@app.task(name="fail")
async def fail():
    raise RuntimeError("the job fails")


@app.task(name="retry", retry=procrastinate.RetryStrategy(max_attempts=1, wait=3600))
async def retry():
    raise RuntimeError("the job fails once, and again")


async def act(command):
    if command["act"] == "setup":
        await app.schema_manager.apply_schema_async()
    elif command["act"] == "release":
        released.set()
    elif command["act"] == "work":
        worker = app.run_worker_async(
            queues=[queue], concurrency=1, install_signal_handlers=False, fetch_job_polling_interval=0.05
        )
        return asyncio.create_task(worker)
    else:
        seconds = command["seconds"]
        at = datetime.now(timezone.utc) + timedelta(seconds=seconds) if seconds else None
        await app.configure_task(command["kind"], queue=queue, schedule_at=at).defer_async()


async def main():
    workers = []
    async with app.open_async():
        while line := await asyncio.to_thread(sys.stdin.readline):
            workers.append(await act(json.loads(line)))
            print("done", flush=True)


asyncio.run(main())
