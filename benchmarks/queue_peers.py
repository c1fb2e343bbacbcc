"""Empty jobs through another queue: `queue_peers.py procrastinate|rq URL JOBS WORKERS`.

Runs in the peer's own environment, so it imports nothing of the site. Prints one line: jobs put in
and worked off per second. Called by queue.py.
"""

from __future__ import annotations

import subprocess
import sys
import time

NAME, URL, JOBS, WORKERS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ROLE = sys.argv[5] if len(sys.argv) > 5 else "main"


def nothing() -> None:
    """The job."""


def procrastinate_app():
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=URL))
    return app, app.task(name="nothing")(nothing)


def procrastinate_fill() -> None:
    import asyncio

    async def fill() -> None:
        app, task = procrastinate_app()
        async with app.open_async():
            if not await app.check_connection_async():
                await app.schema_manager.apply_schema_async()
            await app.connector.execute_query_async("TRUNCATE procrastinate_jobs CASCADE")
            for _ in range(JOBS):
                await task.defer_async()

    asyncio.run(fill())


def procrastinate_work() -> None:
    import asyncio
    import logging

    logging.disable(logging.CRITICAL)

    async def work() -> None:
        app, _ = procrastinate_app()
        async with app.open_async():
            print("ready", flush=True)
            sys.stdin.readline()
            await app.run_worker_async(wait=False, concurrency=1, install_signal_handlers=False)

    asyncio.run(work())


def rq_queue():
    import redis
    import rq

    return rq.Queue("bench", connection=redis.Redis.from_url(URL))


def rq_fill() -> None:
    queue = rq_queue()
    queue.empty()
    for _ in range(JOBS):
        queue.enqueue("builtins.int", result_ttl=0)


def rq_work() -> None:
    import logging

    import rq

    logging.disable(logging.CRITICAL)
    queue = rq_queue()
    print("ready", flush=True)
    sys.stdin.readline()
    rq.SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="ERROR")


def main() -> None:
    fill, work = (
        (procrastinate_fill, procrastinate_work) if NAME == "procrastinate" else (rq_fill, rq_work)
    )
    if ROLE == "work":
        work()
        return
    began = time.perf_counter()
    fill()
    filled = time.perf_counter() - began
    workers = [
        subprocess.Popen(
            [sys.executable, "-P", *sys.argv[:5], "work"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(WORKERS)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    began = time.perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.wait(240)
    worked = time.perf_counter() - began
    print(f"enqueue {JOBS / filled:7.0f}/s, drain {JOBS / worked:7.0f}/s")


if __name__ == "__main__":
    main()
