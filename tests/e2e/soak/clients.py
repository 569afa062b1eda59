"""Own the clients of the soak: what they ask, in which mix, and how each request is answered, with its moments."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

from e2e import cmp_client
from e2e.cmp_client import CmpClient, CmpError
from e2e.soak.applications import Application

SECONDS = 60.0
"""The deadline of a patient client, which is Argo CD's own by default."""

OK = "OK"

Method = Literal["generate", "match", "announce", "check"]

_METHODS: Mapping[Method, int] = {"generate": 80, "match": 7, "announce": 7, "check": 6}
_IMPATIENT = 0.1  # of all `generate`: those with a short deadline, and as many that are cancelled


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks.

    Attributes:
        method: Which of the four.
        application: For which application.
        seconds: The deadline.
        cancelled_after: The seconds after which the client goes away; None where it stays.
    """

    method: Method
    application: Application
    seconds: float = SECONDS
    cancelled_after: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got.

    Attributes:
        request: What it had asked.
        started: When, in seconds of the monotonic clock.
        finished: When it had the answer.
        code: The status of gRPC.
        text: The error's text.
        value: What the method returns.
    """

    request: Request
    started: float
    finished: float
    code: str
    text: str = ""
    value: Any = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.finished - self.started


class Client:
    """One of those that ask at once: as the repo-server does, over a new connection for every request."""

    def __init__(self, socket: Path, messages: Mapping[str, Any], archive: bytes) -> None:
        """Speak with the server behind the socket, and send it the archive."""
        self._socket = socket
        self._messages = messages
        self._archive = archive

    def send(self, request: Request) -> Answer:
        """Ask, and wait for the answer."""
        started = time.monotonic()
        try:
            with cmp_client.connect(self._socket, self._messages) as client:
                value = self._call(client, request)
        except CmpError as error:
            return Answer(request, started, time.monotonic(), error.code.name, error.text)
        return Answer(request, started, time.monotonic(), OK, value=value)

    def _call(self, client: CmpClient, request: Request) -> Any:
        name = request.application.name
        application = cmp_client.Application(name=name, path=request.application.path)
        if request.method == "check":
            return client.check_plugin_configuration()
        if request.method == "match":
            return client.match_repository(self._archive, application)
        if request.method == "announce":
            return client.announce(self._archive, application)
        return self._generate(client, application, request)

    def _generate(self, client: CmpClient, application: cmp_client.Application, request: Request) -> list[str]:
        cancelled = threading.Event()
        timer = threading.Timer(request.cancelled_after or 0, cancelled.set)
        if request.cancelled_after is not None:
            timer.start()
        try:
            return client.generate(self._archive, application, seconds=request.seconds, cancelled=cancelled)
        finally:
            timer.cancel()
            cancelled.set()


def choose_request(applications: Sequence[Application], choose: Random) -> Request:
    """Return the next request of a client."""
    (method,) = choose.choices(list(_METHODS), list(_METHODS.values()))
    if method == "match":
        return Request(method, choose.choice(applications))
    with_trigger = [application for application in applications if application.trigger is not None]
    (application,) = choose.choices(with_trigger, [application.weight for application in with_trigger])
    if method != "generate":
        return Request(method, application)
    mood = choose.random()
    if mood < _IMPATIENT:
        return Request(method, application, seconds=choose.uniform(0.15, 3.0))
    if mood < 2 * _IMPATIENT:
        return Request(method, application, cancelled_after=choose.uniform(0.0, 3.0))
    return Request(method, application)
