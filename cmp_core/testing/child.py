"""Own what a suite's own process does: fetch once, fetch with little time, or fetch where no file may grow.

`cmp_core.testing.processes` runs this file as a script. The request on stdin is a JSON object, and so is the answer.
"""

import ctypes.util  # noqa: F401  # loaded now, so that nothing which loads it later seems to leave a file open
import gc
import hashlib
import json
import locale
import os
import re
import resource
import shutil
import site
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from cmp_core.artifact import Artifact
from cmp_core.deadline import GRACE_SECONDS, Deadline
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import CmpError, DeadlineExceededError, RenderError
from cmp_core.installed import find_backend, installed_backends
from cmp_core.manager import load_backend
from cmp_core.nesting import NestedRender, Nesting
from cmp_core.settings import Settings
from cmp_core.trigger import validated

_ANSWER = 1  # the descriptor, as it is when the process starts
_MOST_MOMENTS = 12
_STALLED_SECONDS = 1.0
_IN_POOL = re.compile(r"asyncio_[0-9]+")
_ANOTHER_TIME = 10 * 24 * 3600  # seconds


class CountedDeadline(Deadline):
    """A deadline that passes when it was asked so often how much time is left: at the same step in every run."""

    def __init__(self, questions: int | None = None) -> None:
        """Pass after so many `questions`, or never."""
        super().__init__(3600)
        self.asked = 0
        self._questions = questions
        self._asking = threading.Lock()

    def remaining(self) -> float:
        """Return the seconds that are left."""
        with self._asking:
            self.asked += 1
            is_over = self._questions is not None and self.asked > self._questions
        return 0.0 if is_over else super().remaining()


class Task:
    """One source that is fetched in this process."""

    def __init__(self, request: dict[str, Any], values: dict[str, Any]) -> None:
        """Load the backend, and validate the source."""
        self.backend = load_backend(find_backend(request["backend"], installed_backends()))
        self.source = validated(self.backend.model, values, lambda _path: "contract")
        settings = Settings.model_validate(request["settings"])
        self.environment = BuildEnvironment(settings=settings, variables=request["variables"])

    def fetch(self, destination: Path, deadline: Deadline) -> Artifact:
        """Fetch the source into a new folder."""
        destination.mkdir(parents=True)
        environment = replace(self.environment, deadline=deadline)
        return self.backend.fetch(self.source, destination, environment, Nesting(self.source, environment, "contract"))

    def render(self, artifact: Artifact) -> list[tuple[str, int, str]] | str:
        """Return what is rendered, in short, or the class of the error."""
        nested = NestedRender(artifact.root, self.environment)
        try:
            documents = self.backend.render(artifact, self.source, self.environment, nested)
        except RenderError as error:
            return type(error).__name__
        return [(each.path, each.line, hashlib.sha256(each.content).hexdigest()) for each in documents]

    def outcome(self, destination: Path, deadline: Deadline) -> str:
        """Fetch, remove what there is, as the host does, and return the digest or the error's class."""
        try:
            return self.fetch(destination, deadline).digest
        except CmpError as error:
            return type(error).__name__
        finally:
            shutil.rmtree(destination)


def produce(request: dict[str, Any]) -> dict[str, Any]:
    """Fetch and render, on a disk that lists by name; with `is_shuffled` the other way round, at another time."""
    is_shuffled = request["is_shuffled"]
    _list_by_name(is_reversed=is_shuffled)
    locale.setlocale(locale.LC_ALL, "")
    if is_shuffled:
        os.umask(0o077)
        now = time.time
        time.time = lambda: now() + _ANOTHER_TIME
    task = Task(request, request["values"])
    artifact = task.fetch(Path(request["destination"]), Deadline(60))
    return {
        "files": artifact.files,
        "revision": artifact.revision,
        "digest": artifact.digest,
        "documents": task.render(artifact),
    }


def bound(request: dict[str, Any]) -> dict[str, Any]:
    """Fetch where the kernel lets no file of this process grow beyond `most_bytes`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["most_bytes"], request["most_bytes"]))
    task = Task(request, request["values"])
    return {"outcome": task.outcome(Path(request["destination"]), Deadline(60))}


def interrupt(request: dict[str, Any]) -> dict[str, Any]:
    """Fetch with a deadline that passes at each step in turn, and tell how that ended and what was left behind."""
    folder = Path(request["destination"])
    task = Task(request, request["values"])
    task.outcome(folder / "first", Deadline(60))  # libraries keep what they need once
    whole = CountedDeadline()
    answer: dict[str, Any] = {"whole": task.outcome(folder / "whole", whole), "asked": whole.asked, "outcomes": {}}
    before = {**_belongings(), "process": []}
    for questions in _moments(whole.asked):
        answer["outcomes"][questions] = task.outcome(folder / str(questions), CountedDeadline(questions))
    if request["stalled"] is not None:
        answer["stalled"] = _stall(Task(request, request["stalled"]), folder / "stalled", answer)
    answer["left"] = _left_behind(before, request["patience"])
    answer["files"] = [str(path) for path in folder.iterdir()]
    return answer


def _stall(task: Task, destination: Path, answer: dict[str, Any]) -> dict[str, Any]:
    """Fetch what falls silent, under the host's own alarm; if that has to end the process, this is told instead."""
    deadline = Deadline(_STALLED_SECONDS)

    def last_words(_error: DeadlineExceededError) -> None:
        told = {"outcome": "goes on a second after its deadline, and is killed", "seconds": 0}
        _tell({**answer, "stalled": told, "left": [], "files": []})
        os._exit(0)

    started = time.monotonic()
    with deadline.enforced(last_words):
        outcome = task.outcome(destination, deadline)
    seconds = time.monotonic() - started
    return {"outcome": outcome, "is_late": seconds > _STALLED_SECONDS + GRACE_SECONDS}


def _moments(asked: int) -> list[int]:
    """Return after how many questions the time runs out: each of few, some of many, always the first and the last."""
    if asked <= _MOST_MOMENTS:
        return list(range(asked))
    return sorted({round(moment * (asked - 1) / (_MOST_MOMENTS - 1)) for moment in range(_MOST_MOMENTS)})


def _belongings() -> dict[str, list[str]]:
    """Return the threads, open files and child processes of this process."""
    descriptors = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")
    opened = []
    for descriptor in sorted(os.listdir(descriptors)):  # noqa: PTH208  # a `Path` for each is not needed
        try:
            opened.append(os.readlink(descriptors / descriptor))  # noqa: PTH115  # it may be gone, or be no link
        except OSError:
            continue
    # asyncio gives a loop that lives as long as its process a pool, which grows up to its bound when it is needed.
    threads = [thread.name for thread in threading.enumerate() if not _IN_POOL.fullmatch(thread.name)]
    return {"thread": threads, "file": opened, "process": ["one that runs, or was never waited for"] * _has_child()}


def _has_child() -> bool:
    """Tell whether there is a child process, without waiting for it."""
    if not hasattr(os, "waitid"):  # on macOS before Python 3.13
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _left_behind(before: dict[str, list[str]], patience: float) -> list[str]:
    """Wait for some seconds until there is no more than before, and return what there is more."""
    end = time.monotonic() + patience
    while True:
        gc.collect()
        now = _belongings()
        more = [kind for kind, held in now.items() if len(held) > len(before[kind])]
        if not more:
            return []
        if time.monotonic() > end:
            return [f"a {kind} of {now[kind]}, where there was {before[kind]}" for kind in more]
        time.sleep(0.05)


def _list_by_name(*, is_reversed: bool) -> None:
    """Let the disk list every folder by name, or the other way round."""
    listdir, scandir = os.listdir, os.scandir

    class Entries:
        """What `os.scandir` returns, in order."""

        def __init__(self, *arguments: Any) -> None:
            with scandir(*arguments) as entries:
                self._entries = iter(sorted(entries, key=lambda entry: entry.name, reverse=is_reversed))

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            """Leave nothing open."""

        def __iter__(self) -> Iterator[Any]:
            return self._entries

        def __next__(self) -> Any:
            return next(self._entries)

        def close(self) -> None:
            """Leave nothing open."""

    os.listdir = lambda *arguments: sorted(listdir(*arguments), reverse=is_reversed)  # type: ignore[assignment]  # one of its overloads
    os.scandir = Entries  # type: ignore[assignment]  # it has the same methods


def _tell(answer: dict[str, Any]) -> None:
    os.write(_ANSWER_TO, json.dumps(answer).encode())


_TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "bound": bound,
    "interrupt": interrupt,
    "produce": produce,
}

if __name__ == "__main__":
    _ANSWER_TO = os.dup(_ANSWER)
    os.dup2(os.open(os.devnull, os.O_WRONLY), _ANSWER)  # what a backend prints is no part of the answer
    asked = json.load(sys.stdin)
    sys.path[:] = asked["path"]
    site.getsitepackages = lambda *_: asked["sites"]
    _tell(_TASKS[asked["task"]](asked))
    os._exit(0)
