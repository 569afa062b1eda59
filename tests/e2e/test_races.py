"""Somebody writes while we read: what goes out is a state that the prefix really had at one moment, or an error."""

import logging
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from e2e.conftest import Find
from e2e.endings import assert_nothing_left, bound
from e2e.races import BEFORE, BUCKET, PREFIX, RACES, SECONDS, Prefix, Race, key_of
from e2e.storm import Change, History, State, Writer, manifest, read_naively, state_of
from e2e_support import S3Server, Sidecar

from cmp_core import TransientFetchError
from tools import buckets, versitygw
from tools.fault_server import FaultServer

pytestmark = pytest.mark.e2e
log = logging.getLogger(__name__)

TRIGGER = f"bucket: {BUCKET}\npath: {PREFIX.rstrip('/')}\nversion: v1.0.0\n"
EVER = [manifest(name, version) for name in ("0", "a", "aa", "b", "c", "d") for version in range(1, 10)]
"""Every content that an object has in any of the races."""

DEADLINE = 120
"""Seconds that no row needs, however busy the machine is."""

FASTER_THAN_READ = (
    "s3://test-bucket/apps/demo changes faster than it can be read (3 listings in a row were outdated): publish each "
    "release below a prefix of its own, and let `path` name it"
)


@pytest.fixture
def faults(versitygw_endpoint: str) -> Iterator[FaultServer]:
    """A fault server before versitygw."""
    with FaultServer(versitygw_endpoint) as server:
        yield server


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.name)
def test_a_race_ends_with_one_state_or_one_error(
    race: Race, s3: S3Server, faults: FaultServer, sidecar: Sidecar
) -> None:
    """Whatever changes at whichever moment, nothing of two moments comes out, and nothing stays behind."""
    s3.put({key_of(name): manifest(name, version) for name, version in BEFORE.items()})
    race.plan(faults, Prefix(s3.client))
    sidecar.variables = {**s3.variables, "AWS_ENDPOINT_URL": faults.url, "CMP_TIMEOUT": str(DEADLINE), **race.settings}
    sidecar.write("s3-source.yaml", TRIGGER)
    begin = time.monotonic()

    result = sidecar.run("generate")

    assert time.monotonic() - begin <= bound(SECONDS, DEADLINE)
    error = result.stderr.decode().partition("error: ")[2].partition(" [request")[0].replace(faults.url, "ENDPOINT")
    assert (result.returncode, error) == (race.error.exit_code if race.error else 0, race.text)
    assert (state_of(result.stdout) if result.stdout else None) == race.after
    assert sum(request.is_listing for request in faults.requests) == race.pages
    assert_nothing_left(sidecar, EVER)


@dataclass(frozen=True)
class Storm:
    """A storm over listings of so many pages; its times are in those of a quiet `generate`, however fast that is here.

    Where the machine becomes slower meanwhile, as the reads without care show, the writer becomes so as well: how many
    runs succeed depends on how often they are disturbed, and not on what else the machine has to do.

    Attributes:
        objects: How many objects there are.
        runs: How often `generate` runs.
        calm: The mean pause between two bursts of writes.
        rest: The pause between two reads by somebody who takes no care.
        successes: The part of the runs that must succeed at least.
    """

    pages: int
    objects: int
    runs: int
    calm: float
    rest: float
    successes: float


STORMS = (
    Storm(pages=1, objects=150, runs=75, calm=0.2, rest=0.3, successes=0.5),
    Storm(pages=3, objects=2050, runs=25, calm=0.4, rest=1, successes=0.25),
)
STORM_SECONDS = 60.0
LONGEST_STORM_SECONDS = 300.0
"""How long a storm goes on where nobody has read a mixture yet: it must have been one."""


Read = tuple[State, float, float]
"""What somebody has read who takes no care, and from when to when."""


@dataclass(frozen=True)
class Outcome:
    """How one run ended, and when it ran."""

    began: float
    ended: float
    code: int
    output: bytes
    text: str


@pytest.mark.long
@pytest.mark.parametrize("storm", STORMS, ids=lambda storm: f"{storm.pages}-pages")
def test_in_a_storm_every_output_is_a_state_that_the_prefix_had(storm: Storm, tool: Find, tmp_path: Path) -> None:
    """A writer never rests; what comes out nevertheless is no mixture, while a reader without care gets some."""
    tool("versitygw")
    (tmp_path / "server").mkdir()
    with versitygw.run(tmp_path / "server") as endpoint, _client(endpoint) as client:
        client.create_bucket(Bucket=BUCKET)
        run = _Runner(S3Server(endpoint, client), tmp_path)
        writer = Writer(client, BUCKET, PREFIX, objects=storm.objects, seed=storm.pages)
        with _reading_naively(client, pause=0.1) as undisturbed:
            quiet = statistics.median(outcome.ended - outcome.began for outcome in run.many(6))
        with _reading_naively(client, pause=quiet * storm.rest) as naive:
            pace = quiet * storm.calm / _seconds_of(undisturbed)
            with writer.writing(pause=lambda: pace * _seconds_of(naive[-3:] or undisturbed)):
                outcomes = run.many(
                    storm.runs, seconds=STORM_SECONDS, enough=lambda: any(_mixtures(naive, writer.history))
                )
    history = writer.history

    good = [outcome for outcome in outcomes if outcome.code == 0]
    mixed = list(_mixtures(naive, history))
    told = (
        f"{storm.pages} pages, {len(history.changes)} changes: {len(good)} of {len(outcomes)} runs succeeded, and "
        f"{len(mixed)} of {len(naive)} reads without care were mixtures"
    )
    log.info(told)
    assert all(history.had(state_of(outcome.output), outcome.began, outcome.ended) for outcome in good)
    assert {(outcome.code, outcome.text) for outcome in outcomes} <= {
        (0, ""),
        (TransientFetchError.exit_code, FASTER_THAN_READ),
    }
    assert len(good) >= storm.successes * len(outcomes), told
    assert mixed, told
    assert run.leftovers() == []


_HISTORY = History({"a": 0, "z": 0}, [Change(1.0, 1.5, "a", 1), Change(2.0, 2.5, "z", 2), Change(3.0, 3.5, "a", None)])


@pytest.mark.parametrize(
    ("state", "begin", "end", "expected"),
    [
        ({"a": 0, "z": 0}, 0.0, 0.5, True),
        ({"a": 0, "z": 0}, 1.4, 9.0, True),
        ({"a": 0, "z": 0}, 1.6, 9.0, False),
        ({"a": 1, "z": 0}, 0.0, 0.9, False),
        ({"a": 1, "z": 0}, 0.0, 1.1, True),
        ({"a": 1, "z": 2}, 2.2, 2.3, True),
        ({"z": 2}, 9.0, 9.5, True),
        ({"a": 0, "z": 2}, 0.0, 9.0, False),
        ({"z": 0}, 0.0, 9.0, False),
        ({}, 0.0, 9.0, False),
    ],
)
def test_a_history_tells_states_from_mixtures(state: State, begin: float, end: float, *, expected: bool) -> None:
    """The check of the storm accepts what was there within the time that was asked for, and nothing else."""
    assert _HISTORY.had(state, begin, end) is expected


def test_what_is_no_state_is_refused() -> None:
    """A document more, one twice or half of one is no state of the storm's prefix."""
    whole = manifest("a", 1)

    assert state_of(b"---\n" + whole + b"---\n" + manifest("b", 2)) == {"a": 1, "b": 2}
    for broken in (whole + whole, whole + b"kind: Secret\n", whole[:-4]):
        with pytest.raises(ValueError, match="no state of a prefix"):
            state_of(broken)


class _Runner:
    """Runs `generate` as the processes of one sidecar, each in a folder of its own; two at once."""

    def __init__(self, server: S3Server, folder: Path) -> None:
        self._variables = server.variables
        self._folder = folder
        self._started = 0
        (folder / "state").mkdir(mode=0o700)

    def many(self, runs: int, *, seconds: float = 0.0, enough: Callable[[], bool] = lambda: True) -> list[Outcome]:
        """Run so often and for so long at least, and until it is enough, within bounds."""
        begin = time.monotonic()
        numbers = iter(range(self._started, 10**6))
        first = self._started

        def work() -> list[Outcome]:
            outcomes = []
            for number in numbers:
                passed = time.monotonic() - begin
                if number >= first + runs and passed > seconds and (enough() or passed > LONGEST_STORM_SECONDS):
                    break
                self._started = max(self._started, number + 1)
                outcomes.append(self._run(number))
            return outcomes

        with ThreadPoolExecutor(2) as pool:
            return [outcome for part in pool.map(lambda _: work(), range(2)) for outcome in part]

    def leftovers(self) -> list[Path]:
        """Return what lies in the applications' folders beside trigger files, and what is half-made in the store."""
        folders = self._folder.glob("app-*/*")
        return [path for path in folders if path.name != "s3-source.yaml"] + list(self._folder.rglob("*.tmp"))

    def _run(self, number: int) -> Outcome:
        directory = self._folder / f"app-{number}"
        directory.mkdir()
        sidecar = Sidecar(directory, self._folder / "state", self._variables, patience=600)
        sidecar.write("s3-source.yaml", TRIGGER)
        settings = {"CMP_TIMEOUT": "600"} | ({"CMP_STORE_BYTES": "0"} if number % 5 == 0 else {})
        began = time.monotonic()
        result = sidecar.run("generate", **settings)
        ended = time.monotonic()
        text = result.stderr.decode().partition("error: ")[2].partition(" [request")[0]
        return Outcome(began, ended, result.returncode, result.stdout, text)


@contextmanager
def _client(endpoint: str) -> Iterator[Any]:
    client = buckets.connect(endpoint, config=Config(max_pool_connections=20))
    yield client
    client.close()


def _seconds_of(reads: list[Read]) -> float:
    """Return how long the reads took, by their median."""
    return statistics.median(ended - began for _, began, ended in reads)


def _mixtures(reads: Sequence[Read], history: History) -> Iterator[Read]:
    """Return the reads that show no state which the prefix had.

    What ended after the last change that is logged is left out: another change may have been under way.
    """
    last = history.changes[-1].began if history.changes else 0.0
    return (seen for seen in tuple(reads) if seen[2] < last and not history.had(*seen))


@contextmanager
def _reading_naively(client: Any, *, pause: float) -> Iterator[list[Read]]:
    """Read without care until the block is left; gives the list that gets each result with the time of its reading."""
    seen: list[Read] = []
    over = threading.Event()

    def read() -> None:
        while not over.wait(pause):
            began = time.monotonic()
            state = read_naively(client, BUCKET, PREFIX)
            seen.append((state, began, time.monotonic()))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(read)
        try:
            yield seen
        finally:
            over.set()
        running.result()
