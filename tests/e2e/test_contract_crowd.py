"""Argo CD runs as many of us at once as it likes: a few work, the others wait as small processes, and all are right."""

import logging
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from e2e import cmp_client
from e2e.cmp_server import CmpServer, wait_until
from e2e.contract import Checkout, StartPlugin, config_map, names
from e2e_support import S3Server

from benchmarks.crowd import Memory, read_memory
from cmp_core.slots import default_concurrency

pytestmark = pytest.mark.e2e
log = logging.getLogger(__name__)

REQUESTS = 30
OBJECTS = 100
MOST_BYTES = 10**9
INTERVAL_SECONDS = 0.05


class Moment(NamedTuple):
    """What the server's commands were at one moment.

    Attributes:
        working: How many have a slot, and so have loaded what fetching takes.
        waiting: How many have none yet.
        memory: What all of them hold.
    """

    working: int
    waiting: int
    memory: Memory


def test_thirty_requests_at_once_are_right_and_bounded(
    start_plugin: StartPlugin, checkout: Checkout, s3: S3Server
) -> None:
    """All get their manifests; no more of them work than there are slots, and together they stay below a gigabyte."""
    s3.put({f"apps/demo/{n:03}.yaml": config_map(f"n{n:03}", text="x" * 3000) for n in range(OBJECTS)})
    archive = cmp_client.pack(checkout.root)
    started = time.monotonic()

    with start_plugin(CMP_STORE_BYTES="0", CMP_TIMEOUT="600") as plugin, watching(plugin.server) as moments:

        def generate(_: int) -> tuple[list[str], float]:
            return names(plugin.client.generate(archive, seconds=600)), time.monotonic() - started

        with ThreadPoolExecutor(REQUESTS) as pool:
            answers = list(pool.map(generate, range(REQUESTS)))
        assert wait_until(plugin.server.has_settled), plugin.server.started_processes()

    times = [seconds for _, seconds in answers]
    most = max(moment.memory.resident for moment in moments)
    log.info(
        "%d requests of %d objects: %.1f to %.1f s, median %.1f s; %d worked and %d waited; RSS %.0f, PSS %.0f MB",
        REQUESTS,
        OBJECTS,
        min(times),
        max(times),
        statistics.median(times),
        max(moment.working for moment in moments),
        max(moment.waiting for moment in moments),
        most / 1e6,
        max(moment.memory.proportional for moment in moments) / 1e6,
    )
    assert [found for found, _ in answers] == [[f"n{n:03}" for n in range(OBJECTS)]] * REQUESTS
    assert 1 < max(moment.working for moment in moments) <= default_concurrency()
    assert max(moment.waiting for moment in moments) > REQUESTS / 2
    assert most < MOST_BYTES


@contextmanager
def watching(server: CmpServer) -> Iterator[list[Moment]]:
    """Look at the server's commands until the block is left; gives the list that gets every look."""
    moments: list[Moment] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(INTERVAL_SECONDS):
            moments.append(look_at(server.started_processes()))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(watch)
        try:
            yield moments
        finally:
            over.set()
        running.result()


def look_at(pids: list[int]) -> Moment:
    """Sum up some commands; a waiting one has not loaded pydantic (docs/decisions/0010-slots.md)."""
    working = waiting = 0
    memory = [read_memory(pid) for pid in pids]
    for pid in pids:
        with suppress(OSError):
            maps = Path(f"/proc/{pid}/maps").read_text(errors="replace")
            working += "pydantic_core" in maps
            waiting += "pydantic_core" not in maps and "python" in maps
    return Moment(working, waiting, Memory(sum(m.resident for m in memory), sum(m.proportional for m in memory)))
