"""Own the faults of the soak: which kinds there are, which errors each excuses, when they come, and which came."""

import contextlib
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle
from random import Random
from typing import Literal, NamedTuple
from urllib.parse import parse_qs

from e2e.soak.applications import Application

from tools.fault_server import Answer, Fault, FaultServer, Request, error, page

OUTAGE = "outage"
NOBODY = "no answer"

_TRANSIENT = frozenset({"TransientFetchError"})
_NO_S3 = _TRANSIENT | {"FetchError", "IntegrityError"}
_DAMAGED = _TRANSIENT | {"IntegrityError"}
_REFUSED = frozenset({"SourceAccessError"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Attributes:
        excuses: The errors that may come of it, beside that of the deadline.
        fault: What goes wrong.
        on: Which requests it can hit.
        weight: How often it is chosen, against others.
    """

    excuses: frozenset[str]
    fault: Fault
    on: Literal["any", "listing", "get"] = "any"
    weight: float = 1.0

    def can_hit(self, request: Request) -> bool:
        """Tell whether this is a request of the right sort."""
        return {"any": True, "listing": request.is_listing, "get": request.is_get}[self.on]


def _without_token(answer: Answer) -> Answer:
    return answer.with_body(_cut_element(answer.body, b"NextContinuationToken"))


def _cut_element(body: bytes, name: bytes) -> bytes:
    before, begin, rest = body.partition(b"<%b>" % name)
    return before + rest.partition(b"</%b>" % name)[2] if begin else body


def _with_flipped_byte(answer: Answer) -> Answer:
    at = len(answer.body) // 2
    return answer.with_body(answer.body[:at] + bytes([answer.body[at] ^ 1]) + answer.body[at + 1 :])


def _with_length(more: int) -> Callable[[Answer], Answer]:
    return lambda answer: answer.with_header("Content-Length", str(max(0, len(answer.body) + more)))


KINDS: Mapping[str, Kind] = {
    "500 InternalError": Kind(_TRANSIENT, Fault(error(500, "InternalError"))),
    "503 SlowDown": Kind(_TRANSIENT, Fault(error(503, "SlowDown", headers=(("Retry-After", "1"),)))),
    "503 without a body": Kind(_TRANSIENT, Fault(Answer(503))),
    "429 TooManyRequests": Kind(_TRANSIENT, Fault(error(429, "TooManyRequests"))),
    "400 RequestTimeout": Kind(_TRANSIENT, Fault(error(400, "RequestTimeout"))),
    "reset before the answer": Kind(_TRANSIENT, Fault(head_bytes=0, then="reset")),
    "reset in the head": Kind(_TRANSIENT, Fault(head_bytes=40, then="reset")),
    "reset in the body": Kind(_TRANSIENT, Fault(body_bytes=200, then="reset")),
    "body cut short": Kind(_TRANSIENT, Fault(body_bytes=200, then="close")),
    "length too long": Kind(_TRANSIENT, Fault(_with_length(7), then="close")),
    "length too short": Kind(_NO_S3, Fault(_with_length(-7))),
    NOBODY: Kind(_TRANSIENT, Fault(head_bytes=0, then="stall"), weight=0.3),
    "trickle of 1 kB/s": Kind(_TRANSIENT, Fault(rate=1000), weight=0.5),
    "late by 1.5 s": Kind(frozenset(), Fault(wait=1.5), weight=0.5),
    "web page, 200": Kind(_NO_S3, Fault(page(200))),
    "web page, 503": Kind(_TRANSIENT, Fault(page(503))),
    "error in a 200": Kind(_NO_S3, Fault(error(200, "InternalError"))),
    "token lost": Kind(_TRANSIENT, Fault(_without_token), "listing"),
    "wrong ETag": Kind(_TRANSIENT, Fault(lambda answer: answer.with_header("ETag", f'"{"0" * 32}"')), "get"),
    "flipped byte": Kind(_DAMAGED, Fault(_with_flipped_byte), "get"),
    "404 NoSuchKey": Kind(_TRANSIENT, Fault(error(404, "NoSuchKey")), "get"),
    "403 AccessDenied": Kind(_REFUSED, Fault(error(403, "AccessDenied")), weight=0.05),
    "403 RequestTimeTooSkewed": Kind(_REFUSED, Fault(error(403, "RequestTimeTooSkewed")), weight=0.05),
}
"""Every kind of fault, by its name."""


class Spell(NamedTuple):
    """A time with one sort of weather.

    Attributes:
        seconds: How long it lasts.
        name: What it is called.
        chance: How likely a request is hit.
        kinds: What can hit it.
    """

    seconds: float
    name: str
    chance: float = 0.0
    kinds: tuple[str, ...] = ()


_ALL = tuple(KINDS)
_DECK = ("calm", "drizzle", "calm", "one kind", "storm", "calm", "drizzle", "one kind", OUTAGE)


def forecast(seconds: float, choose: Random) -> list[Spell]:
    """Return the weather of a whole soak, which begins and ends calm and has every sort about equally often."""
    longest = min(25.0, max(3.0, seconds / 36))
    kinds = cycle(choose.sample(_ALL, len(_ALL)))
    spells = [Spell(longest, "calm")]
    left = seconds - 2 * longest
    for name in chain.from_iterable(choose.sample(_DECK, len(_DECK)) for _ in iter(int, 1)):
        if left <= 0:
            return [*spells, Spell(longest, "calm")]
        spell = _make_spell(name, min(left, choose.uniform(longest / 3, longest)), kinds)
        spells.append(spell)
        left -= spell.seconds
    raise AssertionError("the decks have no end")


def _make_spell(name: str, seconds: float, kinds: Iterator[str]) -> Spell:
    if name == "drizzle":
        return Spell(seconds, name, 0.01, _ALL)
    if name == "storm":
        return Spell(seconds, name, 0.3, _ALL)
    if name == "one kind":
        kind = next(kinds)
        return Spell(seconds, kind, 0.5, (kind,))
    return Spell(min(seconds, 5.0) if name == OUTAGE else seconds, name)


@dataclass(frozen=True, slots=True)
class Incident:
    """One fault that has happened.

    Attributes:
        time: In seconds of the monotonic clock.
        kind: Which.
        bucket: Of the request.
        key: The key, or the prefix of a listing.
    """

    time: float
    kind: str
    bucket: str
    key: str


@dataclass(slots=True)
class Incidents:
    """The faults that have happened so far, and the outages."""

    faults: list[Incident] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)

    def kinds_for(self, application: Application, started: float, finished: float) -> set[str]:
        """Return what an application's request can have met between two moments."""
        met = {
            incident.kind
            for incident in self._faults_between(started, finished)
            if incident.bucket == application.bucket and f"{incident.key}/".startswith(application.prefix)
        }
        return met | ({OUTAGE} if self._has_outage(started, finished) else set())

    def has_any(self, started: float, finished: float) -> bool:
        """Tell whether anything at all went wrong between two moments."""
        return bool(self._faults_between(started, finished)) or self._has_outage(started, finished)

    def count(self) -> Counter[str]:
        """Return how often each kind came."""
        return Counter(incident.kind for incident in self.faults) + Counter({OUTAGE: len(self.outages)})

    def _faults_between(self, started: float, finished: float) -> Sequence[Incident]:
        begin = bisect_left(self.faults, started, key=lambda incident: incident.time)
        return self.faults[begin : bisect_right(self.faults, finished, key=lambda incident: incident.time)]

    def _has_outage(self, started: float, finished: float) -> bool:
        return any(began <= finished and ended >= started for began, ended in self.outages)


class Weather:
    """Lets one spell follow the other on a fault server, and keeps the record."""

    def __init__(self, server: FaultServer, spells: Iterable[Spell], choose: Random) -> None:
        """Take the server over."""
        self.incidents = Incidents()
        self._server = server
        self._spells = list(spells)
        self._choose = choose
        self._spell = Spell(0, "calm")
        self._lock = threading.Lock()
        server.script = self._judge

    def run(self, stopped: threading.Event) -> None:
        """Go through all spells, or until it is stopped; it is calm afterwards."""
        for spell in self._spells:
            if spell.name == OUTAGE:
                self._go_out(spell, stopped)
            else:
                self._spell = spell
                stopped.wait(spell.seconds)
        self._spell = Spell(0, "calm")

    @property
    def now(self) -> str:
        """The name of what is on."""
        return self._spell.name

    def _go_out(self, spell: Spell, stopped: threading.Event) -> None:
        """Close the port for a while; requests over connections that are still open are reset."""
        began = time.monotonic()
        # It counts as lasting on until its end is known.
        self.incidents.outages.append((began, float("inf")))
        self._spell = spell
        self._server.refuse()
        stopped.wait(spell.seconds)
        _retry_for_a_while(self._server.accept)
        self._spell = Spell(0, "calm")
        self.incidents.outages[-1] = (began, time.monotonic())

    def _judge(self, request: Request) -> Fault | None:
        """Choose what goes wrong with a request, and note it before it does."""
        spell = self._spell
        if spell.name == OUTAGE:
            return Fault(head_bytes=0, then="reset")
        with self._lock:
            if self._choose.random() >= spell.chance:
                return None
            kinds = [name for name in spell.kinds if KINDS[name].can_hit(request)]
            if not kinds:
                return None
            (kind,) = self._choose.choices(kinds, [KINDS[name].weight for name in kinds])
            self.incidents.faults.append(Incident(time.monotonic(), kind, request.bucket, _key_of(request)))
        return KINDS[kind].fault


def excused(kinds: Collection[str]) -> set[str]:
    """Return the errors that some faults excuse."""
    of_kinds = (KINDS[kind].excuses for kind in kinds if kind != OUTAGE)
    return set(chain.from_iterable(of_kinds)) | (set(_TRANSIENT) if OUTAGE in kinds else set())


def _key_of(request: Request) -> str:
    return parse_qs(request.query).get("prefix", [""])[0] if request.is_listing else request.key


def _retry_for_a_while(accept: Callable[[], None]) -> None:
    """Open the port again; another connection may have taken its number for a moment."""
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            return accept()
        if time.monotonic() > end:
            return accept()
        time.sleep(0.1)
