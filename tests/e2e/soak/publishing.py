"""Own the floating prefix: who keeps publishing into it, and every state that it has had, with its moments."""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from e2e.soak.applications import Application, Manifests, canonical, dump, make_manifest

FLOATING = Application("floating", 20)

_LEAST, _FIRST, _MOST = 30, 60, 90
_LONGEST_REST = 6.0  # seconds between two releases
_LONGEST_PAUSE = 0.08  # seconds between two writes of one release

Put = Callable[[str, bytes], object]
Delete = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class State:
    """What the prefix held for a while.

    Attributes:
        began: The earliest moment, in seconds of the monotonic clock, at which it can have been seen.
        manifests: What it holds, in the order of the keys.
    """

    began: float
    manifests: Manifests


class History:
    """Every state of the prefix, in order; one thread writes, any number read."""

    def __init__(self) -> None:
        """Begin without a state."""
        self._states: list[State] = []
        self._ends: list[float] = []

    @property
    def states(self) -> Sequence[State]:
        """All states so far."""
        return self._states

    def begin(self, manifests: Manifests) -> None:
        """Note a state just before the write that brings it about."""
        self._states.append(State(time.monotonic(), manifests))

    def confirm(self) -> None:
        """Note, just after that write, that the state before cannot be seen any more."""
        if len(self._states) > 1:
            self._ends.append(time.monotonic())

    def between(self, started: float, finished: float) -> Sequence[State]:
        """Return the states that somebody can have seen who looked between two moments."""
        states = self._states[bisect_left(self._ends, started) :]
        return [state for state in states if state.began <= finished]


class Publisher:
    """Writes one release after the other: a few objects replaced, some added, some deleted, one by one.

    Attributes:
        history: Every state that the prefix has had.
        release: The number of the release that was written last.
    """

    def __init__(self, put: Put, delete: Delete, choose: Random) -> None:
        """Write with `put` and `delete`."""
        self.history = History()
        self.release = 0
        self._put = put
        self._delete = delete
        self._choose = choose
        self._held: dict[str, str] = {}

    def publish_first(self) -> None:
        """Fill the prefix before anybody looks; only what it holds then is a state."""
        for number in range(_FIRST):
            self._put(_key(number), self._compose(number))
        self.history.begin(self._manifests())

    def run(self, stopped: threading.Event) -> None:
        """Publish until it is stopped."""
        while not stopped.wait(self._choose.uniform(0, _LONGEST_REST)):
            self.publish(lambda: stopped.wait(self._choose.uniform(0, _LONGEST_PAUSE)))

    def publish(self, pause: Callable[[], object] = lambda: None) -> None:
        """Publish one release, with a pause after every write."""
        self.release += 1
        held = [int(key.rpartition("/")[2].removesuffix(".yaml")) for key in self._held]
        free = sorted(set(range(_MOST)) - set(held))
        removed = self._choose.sample(held, min(self._choose.randint(0, 4), len(held) - _LEAST))
        kept = [number for number in held if number not in removed]
        written = self._choose.sample(kept, self._choose.randint(1, 12))
        written += self._choose.sample(free, min(self._choose.randint(0, 4), len(free)))
        for number in self._choose.sample([*removed, *written], len(removed) + len(written)):
            if number in removed:
                self._remove(number)
            else:
                self._replace(number)
            pause()

    def _replace(self, number: int) -> None:
        content = self._compose(number)
        self.history.begin(self._manifests())
        self._put(_key(number), content)
        self.history.confirm()

    def _remove(self, number: int) -> None:
        del self._held[_key(number)]
        self.history.begin(self._manifests())
        self._delete(_key(number))
        self.history.confirm()

    def _compose(self, number: int) -> bytes:
        manifest = make_manifest(FLOATING.name, number, self.release)
        self._held[_key(number)] = canonical(manifest)
        return dump(manifest)

    def _manifests(self) -> Manifests:
        return tuple(text for _, text in sorted(self._held.items()))


def _key(number: int) -> str:
    return f"{FLOATING.prefix}{number:04}.yaml"
