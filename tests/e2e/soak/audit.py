"""Own what must hold when a soak is over: nothing runs or lies about that nobody needs, and nothing has grown."""

import statistics
from collections.abc import Iterator, Sequence

from e2e.soak.sampling import Sample

from cmp_core.slots import default_concurrency
from cmp_core.store import STALE_SECONDS

STORE_BYTES = 12 * 2**20
"""`CMP_STORE_BYTES` of the sidecar: less than all applications have, so that it always evicts."""

STORE_MARGIN = 1.5
"""What the store may take up, as a multiple of its size: several processes write between two evictions."""

MOST_GROWTH = 1.25
MORE_BYTES = 16 * 2**20
"""The memory of the server in the last third of a soak, against the first: at most this multiple, and this more."""

MORE_DESCRIPTORS = 8
_STALE_MARGIN = 120.0  # seconds until an eviction looks for what killed processes left


def find_leaks(before: Sample, samples: Sequence[Sample], idle: Sample) -> list[str]:
    """Return what is left or has grown, a sentence for each.

    Args:
        before: Taken before the first request.
        samples: Taken while it went on.
        idle: Taken when all clients had gone and one last calm request was answered.
    """
    return [*_find_leftovers(idle), *_find_growth(before, samples, idle)]


def memory_by_thirds(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return the median memory of the server in the first and in the last third, the warm-up left out."""
    warm = samples[len(samples) // 10 :]
    third = max(1, len(warm) // 3)
    first, last = warm[:third], warm[-third:]
    return statistics.median(one.server_rss for one in first), statistics.median(one.server_rss for one in last)


def _find_leftovers(idle: Sample) -> Iterator[str]:
    counts = {
        "processes below the server": idle.processes,
        "zombies": idle.zombies,
        "files in the work folder": idle.work_files,
        "tickets in the queue": idle.tickets,
        "unknown files in the state folder": idle.other_state,
        "files in TMPDIR": idle.temporary,
    }
    for what, number in counts.items():
        if number:
            yield f"{number} {what} are left"
    if idle.slots > default_concurrency():
        yield f"there are {idle.slots} slots, and {default_concurrency()} requests may work at once"
    if idle.oldest_unfinished > STALE_SECONDS + _STALE_MARGIN:
        yield f"an unfinished file of the store is {idle.oldest_unfinished:.0f} s old"


def _find_growth(before: Sample, samples: Sequence[Sample], idle: Sample) -> Iterator[str]:
    largest = max(one.store_bytes for one in [*samples, idle])
    if largest > STORE_BYTES * STORE_MARGIN:
        yield f"the store had {largest:,} bytes, and its size is {STORE_BYTES:,}"
    if idle.server_descriptors > before.server_descriptors + MORE_DESCRIPTORS:
        yield f"the server has {idle.server_descriptors} open files, and had {before.server_descriptors} at first"
    if not samples:
        yield "nothing was measured"
        return
    first, last = memory_by_thirds(samples)
    if last > first * MOST_GROWTH + MORE_BYTES:
        yield f"the server's memory has grown from {first:,.0f} to {last:,.0f} bytes"
