"""Own a storm: a writer that changes a prefix without rest and logs every state of it, and who reads meanwhile."""

import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

State = Mapping[str, int]
"""What a prefix holds: the version of the object under each name."""

_DOCUMENT = re.compile(rb'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: (\S+)\ndata:\n  version: "(\d+)"\n')
_MOST_AT_ONCE = 4
_CONNECTIONS = 4


class Change(NamedTuple):
    """One write: the object's new version, or None where it was deleted; the moments are of the monotonic clock."""

    began: float
    ended: float
    name: str
    version: int | None


@dataclass
class History:
    """Every state that a prefix has had, one after the other."""

    first: State
    changes: list[Change] = field(default_factory=list)

    def states(self, begin: float, end: float) -> Iterator[State]:
        """Yield each state that the prefix may have had at some moment between the two.

        A change takes place somewhere between its beginning and its end, so a state may begin when the change that
        made it began, and lasts at most until the next change has ended.
        """
        state = dict(self.first)
        changes = list(self.changes)
        ends = [change.ended for change in changes] + [float("inf")]
        if ends[0] >= begin:
            yield state
        for change, last in zip(changes, ends[1:], strict=True):
            if change.began > end:
                return
            _apply(change, state)
            if last >= begin:
                yield state

    def had(self, state: State, begin: float, end: float) -> bool:
        """Tell whether the prefix may have been in the state at some moment between the two."""
        return any(state == candidate for candidate in self.states(begin, end))


class Writer:
    """Replaces, adds and deletes objects below a prefix: some at once, then a pause, for as long as it runs."""

    def __init__(self, client: Any, bucket: str, prefix: str, *, objects: int, seed: int) -> None:
        """Put the first objects.

        Args:
            client: Talks to S3.
            bucket: An existing bucket.
            prefix: Ends in a slash.
            objects: How many there are at the beginning, and about how many all the time.
            seed: Of the chance that decides what is written and when.
        """
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._random = random.Random(seed)
        self._version = 0
        self._objects = objects
        self._state = {f"object-{2 * number:05d}": 0 for number in range(objects)}
        self.history = History(dict(self._state))
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            list(pool.map(lambda name: self._put(name, 0), self._state))

    @contextmanager
    def writing(self, *, pause: Callable[[], float]) -> Iterator[None]:
        """Write in a thread of its own until the block is left.

        Args:
            pause: Returns the mean time until the next burst of writes, in seconds.
        """
        over = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self._write_until, over, pause)
            try:
                yield
            finally:
                over.set()
            running.result()

    def _write_until(self, over: threading.Event, pause: Callable[[], float]) -> None:
        while not over.wait(self._random.expovariate(1 / pause())):
            for _ in range(self._random.randint(1, _MOST_AT_ONCE)):
                self._write()

    def _write(self) -> None:
        """Make one change, which nothing else changes meanwhile, and log it."""
        self._version += 1
        name, version = self._choose()
        began = time.monotonic()
        if version is None:
            self._client.delete_object(Bucket=self._bucket, Key=f"{self._prefix}{name}.yaml")
        else:
            self._put(name, version)
        change = Change(began, time.monotonic(), name, version)
        _apply(change, self._state)
        self.history.changes.append(change)

    def _choose(self) -> tuple[str, int | None]:
        if self._random.random() < 0.5:
            return self._random.choice(sorted(self._state)), self._version
        if len(self._state) > self._objects:
            return self._random.choice(sorted(self._state)), None
        return f"object-{2 * self._random.randrange(self._objects) + 1:05d}", self._version

    def _put(self, name: str, version: int) -> None:
        self._client.put_object(Bucket=self._bucket, Key=f"{self._prefix}{name}.yaml", Body=manifest(name, version))


def manifest(name: str, version: int) -> bytes:
    """Return the content of an object in one of its versions; all are of one length."""
    text = f'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  version: "{version:06d}"\n'
    return text.encode()


def state_of(documents: bytes) -> State:
    """Return the state that a stream of manifests shows.

    Raises:
        ValueError: There is something else in it, or an object twice.
    """
    found = [(name.decode(), int(version)) for name, version in _DOCUMENT.findall(documents)]
    rest = _DOCUMENT.sub(b"", documents).replace(b"---\n", b"")
    if rest or len(dict(found)) != len(found):
        raise ValueError(f"no state of a prefix: {rest[:200]!r}")
    return dict(found)


def read_naively(client: Any, bucket: str, prefix: str) -> State:
    """Read a prefix as it comes: page after page, then object after object, with no look back."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page["Contents"]]

    def read(key: str) -> bytes:
        try:
            return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except client.exceptions.NoSuchKey:
            return b""

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return state_of(b"".join(pool.map(read, keys)))


def _apply(change: Change, state: dict[str, int]) -> None:
    if change.version is None:
        del state[change.name]
    else:
        state[change.name] = change.version
