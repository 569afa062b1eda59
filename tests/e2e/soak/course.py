"""Own one soak from its start to its verdict: what runs at once, how it ends, and what is said about it."""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from e2e import cmp_client, cmp_server
from e2e.cmp_server import CmpServer, wait_until
from e2e.soak.applications import BUCKET, Application, bucket_content, make_applications
from e2e.soak.audit import STORE_BYTES, find_leaks
from e2e.soak.clients import Client, Request, choose_request
from e2e.soak.judging import Judge
from e2e.soak.publishing import FLOATING, Publisher
from e2e.soak.results import Results
from e2e.soak.sampling import Sample, Sampler
from e2e.soak.summary import summarise
from e2e.soak.weather import Weather, forecast

from tools import buckets, versitygw
from tools.fault_server import FaultServer
from tools.processes import tell

_SETTLE_SECONDS = 30.0
_TELL_EVERY = 30.0  # seconds

Task = Callable[[threading.Event], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What to run.

    Attributes:
        seconds: How long the clients ask.
        seed: All that is random follows from it, but for the order in which threads come.
        scale: What to multiply the numbers of objects with.
        argocd: The multi-call binary of Argo CD.
        command: The installed console script.
        folder: For the results.
        timeout: `CMP_TIMEOUT` of the sidecar, in seconds; no calm is so long that nothing else explains its end.
        slack: As for the judge.
        clients: How many ask at once.
    """

    seconds: float
    seed: int
    scale: float
    argocd: Path
    command: Path
    folder: Path
    timeout: float = 30.0
    slack: float = 5.0
    clients: int = 8


def soak(options: Options) -> dict[str, Any]:
    """Run a soak, write its results, and return the summary; all is well where its `wrong` and `leaks` are empty."""
    applications = make_applications(options.scale)
    with tempfile.TemporaryDirectory(prefix="soak-") as name, versitygw.run(Path(name)) as endpoint:
        folder = Path(name)
        tell(f"Putting {sum(len(one.objects) for one in applications):,} objects into versitygw")
        with _connect_to_s3(endpoint) as s3:
            publisher = _fill(s3, applications, Random(f"writer {options.seed}"))
            archive = _pack([*applications, FLOATING], folder / "repository")
            with (
                FaultServer(endpoint, remembered=100) as faults,
                cmp_server.run(options.argocd, _sidecar(options, faults.url), command=options.command) as server,
            ):
                client = Client(server.socket, cmp_client.compile_messages(folder), archive)
                stage = _Stage([*applications, FLOATING], server, client, faults, publisher)
                return _Course(options, stage).run()


@dataclass(frozen=True, slots=True)
class _Stage:
    """What a soak runs on."""

    applications: Sequence[Application]
    server: CmpServer
    client: Client
    faults: FaultServer
    publisher: Publisher


class _Course:
    """Everything of one soak that runs at once."""

    def __init__(self, options: Options, stage: _Stage) -> None:
        chance, faults = Random(f"forecast {options.seed}"), Random(f"faults {options.seed}")
        self.options = options
        self.stage = stage
        self.weather = Weather(stage.faults, forecast(options.seconds, chance), faults)
        self.judge = Judge(stage.publisher.history, self.weather.incidents, options.timeout, options.slack)
        self.sampler = Sampler(stage.server, lambda: self.weather.now)
        self.results = Results(options.folder, self.sampler.began)

    def run(self) -> dict[str, Any]:
        """Let it all happen, and sum it up."""
        before = self.sampler.take()
        asking: list[Task] = [self._make_asking(number) for number in range(self.options.clients)]
        beside: list[Task] = [self.stage.publisher.run, self.weather.run, self.sampler.run, self._tell]
        _run_at_once([*asking, *beside], self.options.seconds)
        load = os.getloadavg()
        idle = self._settle()
        leaks = find_leaks(before, self.sampler.samples, idle)
        summary = summarise(self.options.seed, self.results, self.sampler.samples, idle, self.stage.server)
        summary |= {
            "clients": self.options.clients,
            "load": "{:.1f}, {:.1f}, {:.1f} (1, 5, 15 minutes, at the end)".format(*load),
            "incidents": dict(self.weather.incidents.count().most_common()),
            "releases": self.stage.publisher.release,
            "states": len(self.stage.publisher.history.states),
            "leaks": leaks,
        }
        self.results.write(self.sampler.samples, summary, self.stage.server.log_file)
        return summary

    def _make_asking(self, number: int) -> Task:
        choose = Random(f"client {number} {self.options.seed}")

        def ask(stopped: threading.Event) -> None:
            while not stopped.is_set():
                self._ask(choose_request(self.stage.applications, choose))

        return ask

    def _ask(self, request: Request) -> bool:
        """Send a request, judge the answer, and tell whether it was right."""
        answer = self.stage.client.send(request)
        verdict = self.judge.judge(answer)
        self.results.add(answer, verdict)
        if verdict.outcome == "wrong":
            tell(f"WRONG: {request.method} of {request.application.name}: {verdict.reason}")
        return verdict.outcome == "right"

    def _settle(self) -> Sample:
        """Wait until nothing runs any more, and until a last calm request has swept up behind the killed ones."""
        wait_until(self.stage.server.has_settled, seconds=_SETTLE_SECONDS)
        calm = Request("generate", self.stage.applications[0])
        if not wait_until(lambda: self._ask(calm) and not self.sampler.take().tickets, seconds=_SETTLE_SECONDS):
            self.results.complain(f"no request was right and swept up within {_SETTLE_SECONDS:g} s after the end")
        wait_until(self.stage.server.has_settled, seconds=_SETTLE_SECONDS)
        return self.sampler.take()

    def _tell(self, stopped: threading.Event) -> None:
        while not stopped.wait(_TELL_EVERY):
            counts = ", ".join(f"{number} {outcome}" for outcome, number in self.results.count().most_common())
            tell(f"{time.monotonic() - self.sampler.began:.0f} s, {self.weather.now}: {counts}")


def _run_at_once(tasks: Sequence[Task], seconds: float) -> None:
    """Run every task in a thread of its own for so long; one that fails ends them all, and the soak."""
    stopped = threading.Event()
    with ThreadPoolExecutor(len(tasks)) as threads:
        running = [threads.submit(task, stopped) for task in tasks]
        wait(running, seconds, FIRST_EXCEPTION)
        stopped.set()
        for one in running:
            one.result()


def _sidecar(options: Options, endpoint: str) -> Mapping[str, str]:
    """Return what is set in the sidecar's container: little patience with a call, so that there are second tries."""
    return buckets.sidecar_variables(endpoint) | {
        "CMP_LOG_FORMAT": "json",
        "CMP_TIMEOUT": f"{options.timeout:g}",
        "CMP_CONNECT_TIMEOUT": "2",
        "CMP_READ_TIMEOUT": "3",
        "CMP_STORE_BYTES": str(STORE_BYTES),
    }


@contextmanager
def _connect_to_s3(endpoint: str) -> Iterator[Any]:
    """Give a client that goes past the fault server."""
    client = buckets.connect(endpoint)
    try:
        yield client
    finally:
        client.close()


def _fill(s3: Any, applications: Sequence[Application], choose: Random) -> Publisher:
    """Put everything into the bucket, and return who goes on with the floating prefix."""
    s3.create_bucket(Bucket=BUCKET)
    for key, content in bucket_content(applications):
        s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    publisher = Publisher(
        lambda key, content: s3.put_object(Bucket=BUCKET, Key=key, Body=content),
        lambda key: s3.delete_object(Bucket=BUCKET, Key=key),
        choose,
    )
    publisher.publish_first()
    return publisher


def _pack(applications: Sequence[Application], repository: Path) -> bytes:
    for application in applications:
        application.write(repository)
    return cmp_client.pack(repository)
