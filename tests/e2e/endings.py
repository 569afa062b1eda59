"""Own what every run is held to when it is over: it took no longer than it may, and left nothing behind."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from e2e_support import Sidecar

GRACE_SECONDS = 1.0
DIGEST_BYTES = 32


def bound(seconds: float, deadline: float) -> float:
    """Return the seconds within which a row must be over: twice what it promises, and more on a busy machine.

    However busy it is, the answer comes before the deadline, and what starting and ending a process takes.
    """
    load = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    return min(2 * seconds * load, deadline + GRACE_SECONDS * load)


def assert_nothing_left(sidecar: Sidecar, contents: Iterable[bytes]) -> None:
    """Hold folders and processes to what was there before, and the store to whole objects.

    Args:
        sidecar: Where it ran.
        contents: What objects the store may hold.
    """
    assert [path.name for path in sidecar.directory.iterdir()] == ["s3-source.yaml"]
    assert not list(sidecar.state.rglob("*.tmp"))
    assert not list(sidecar.state.glob("cmp-core-*/slots/queue/*"))
    assert_store_is_whole(sidecar, contents)
    assert not sidecar.processes()


def assert_store_is_whole(sidecar: Sidecar, contents: Iterable[bytes]) -> None:
    """Hold each entry of the store, a digest and a content, to one of these contents."""
    digests = {hashlib.sha256(content).digest() for content in contents}
    for entry in stored(sidecar):
        digest, content = entry[:DIGEST_BYTES], entry[DIGEST_BYTES:]
        assert hashlib.sha256(content).digest() == digest
        assert digest in digests


def stored(sidecar: Sidecar) -> list[bytes]:
    """Return what the entries of the store hold; unfinished files are none."""
    entries = sidecar.state.glob("cmp-core-*/objects/*/*")
    return [Path(entry).read_bytes() for entry in entries if entry.suffix != ".tmp"]
