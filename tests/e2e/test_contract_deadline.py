"""Argo CD kills at a deadline that it does not tell, and when its caller goes: nothing is left, the next is right."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from e2e.cmp_client import SECONDS
from e2e.cmp_server import wait_until
from e2e.contract import Checkout, Plugin, StartPlugin, config_map, failure, names, without_places
from e2e_support import S3Server

from tools.fault_server import Fault, FaultServer, Matches, Request, is_get, is_listing

pytestmark = [pytest.mark.e2e, pytest.mark.image]

OBJECTS = {f"apps/demo/{n:02}.yaml": config_map(f"n{n:02}", text="x" * 4000) for n in range(40)}
KILLED = re.compile(
    r"`cmp-core init` failed (signal: killed|signal: terminated|exit status 143): "
    r"fetching s3://test-bucket/apps/demo for application demo"
)
"""How a command ends that gets SIGKILL and SIGTERM at once: by the one that is quicker."""

PASSED = 10
"""How many objects come before the first that does not."""


class Stall:
    """A server before S3 that stops in the middle of its answers while it is told to.

    Attributes:
        begun: Set when the first answer has come to a stop.
        endpoint: Its address.
    """

    def __init__(self, faults: FaultServer) -> None:
        """Let everything pass for now."""
        self.begun = threading.Event()
        self.endpoint = faults.url
        self._over = threading.Event()
        self._concerns: Matches = lambda _: False
        self._passed = 0
        faults.script = self._judge

    @contextmanager
    def on(self, concerns: Matches = is_get, *, after: int = PASSED) -> Iterator[None]:
        """Send no more than half of every answer of a kind, but for the first ones, until the block is left."""
        self.begun.clear()
        self._over.clear()
        self._concerns, self._passed = concerns, -after
        try:
            yield
        finally:
            self._concerns = lambda _: False
            self._over.set()

    def _judge(self, request: Request) -> Fault | None:
        if not self._concerns(request):
            return None
        self._passed += 1
        return Fault(during=self._wait) if self._passed > 0 else None

    def _wait(self) -> None:
        self.begun.set()
        self._over.wait(SECONDS)


@pytest.fixture
def stall(versitygw_endpoint: str) -> Iterator[Stall]:
    """A server before versitygw that can stop."""
    with FaultServer(versitygw_endpoint) as faults:
        yield Stall(faults)


@pytest.fixture
def slow_plugin(start_plugin: StartPlugin, stall: Stall, s3: S3Server) -> Iterator[Plugin]:
    """A server whose way to S3 can stall, with forty objects behind it, and one slot for all requests."""
    s3.put(OBJECTS)
    with start_plugin(AWS_ENDPOINT_URL=stall.endpoint, CMP_MAX_CONCURRENCY="1") as plugin:
        yield plugin


def set_after(first: threading.Event, then: threading.Event) -> None:
    """Set one event once another is set."""
    if first.wait(60):
        then.set()


def assert_nothing_is_left(plugin: Plugin) -> None:
    """Assert that no process, no work folder and nothing half-written in the store is left.

    A process that is killed while it writes may leave an unfinished file, which the store takes away later.
    """
    assert wait_until(plugin.server.has_settled), plugin.server.started_processes()
    for path in (path for path in (plugin.server.state / "objects").rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert path.suffix == ".tmp" or hashlib.sha256(content[32:]).digest() == content[:32]
    own = {plugin.server.state, plugin.server.work / "_cmp_server"}
    assert [path for path in plugin.server.temporary.iterdir() if path not in own] == []


@pytest.mark.parametrize("seconds", [1, 4])
def test_at_the_deadline_the_command_is_killed_and_the_next_request_is_right(
    slow_plugin: Plugin, stall: Stall, checkout: Checkout, seconds: float
) -> None:
    """Killed in the middle of its objects, a request leaves nothing, holds no slot, and spoils nothing for the next."""
    with stall.on():
        error = failure(slow_plugin.client, checkout.root, seconds=seconds)

    assert error.code in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN}
    assert_nothing_is_left(slow_plugin)
    assert len(names(slow_plugin.client.generate(checkout.root))) == len(OBJECTS)
    assert_nothing_is_left(slow_plugin)


def test_at_argo_cds_deadline_the_user_reads_what_was_going_on(
    slow_plugin: Plugin, stall: Stall, checkout: Checkout
) -> None:
    """What a command has said by then is all that is told: what it fetches, from where, for whom.

    The server's log always tells it. To the caller it is an answer like any other, and comes too late where the
    caller's own clock is quicker.
    """
    with stall.on(is_listing, after=0):
        error = failure(slow_plugin.client, checkout.root, seconds=10)

    assert wait_until(slow_plugin.server.failed)
    (told,) = map(without_places, slow_plugin.server.failed())
    assert KILLED.match(told)
    assert without_places(error.text) in {f"error generating manifests: {told}", "Deadline Exceeded"}


def test_our_own_deadline_comes_first_and_says_more(
    start_plugin: StartPlugin, stall: Stall, checkout: Checkout, s3: S3Server
) -> None:
    """With the time-out below Argo CD's, the user reads which step took too long, and what to do."""
    s3.put(OBJECTS)

    with start_plugin(AWS_ENDPOINT_URL=stall.endpoint, CMP_TIMEOUT="6") as plugin, stall.on():
        error = failure(plugin.client, checkout.root, seconds=60)
        assert_nothing_is_left(plugin)

    assert (
        "cmp-core init` failed exit status 75: fetching s3://test-bucket/apps/demo for application demo" in error.text
    )
    assert "error: stopped after 6 s while fetching s3://test-bucket/apps/demo: " in error.text


def test_a_caller_that_goes_away_leaves_nothing(slow_plugin: Plugin, stall: Stall, checkout: Checkout) -> None:
    """A browser that is closed ends the command at once, long before any deadline."""
    cancelled = threading.Event()

    with stall.on():
        threading.Thread(target=set_after, args=(stall.begun, cancelled), daemon=True).start()
        error = failure(slow_plugin.client, checkout.root, seconds=120, cancelled=cancelled)
        assert_nothing_is_left(slow_plugin)

    assert error.code == grpc.StatusCode.CANCELLED
    assert stall.begun.is_set()
    assert len(names(slow_plugin.client.generate(checkout.root))) == len(OBJECTS)


def test_a_caller_that_goes_away_while_its_request_waits_leaves_nothing(
    slow_plugin: Plugin, stall: Stall, checkout: Checkout
) -> None:
    """A request that is killed in the queue is no obstacle for those behind it."""
    cancelled = threading.Event()

    with stall.on():
        first = threading.Thread(target=lambda: failure(slow_plugin.client, checkout.root, seconds=8), daemon=True)
        first.start()
        assert stall.begun.wait(60)
        second = threading.Thread(
            target=lambda: failure(slow_plugin.client, checkout.root, cancelled=cancelled), daemon=True
        )
        second.start()
        assert wait_until(lambda: list((slow_plugin.server.state / "slots" / "queue").iterdir()))
        cancelled.set()
        second.join(60)
        first.join(60)

    assert_nothing_is_left(slow_plugin)
    assert len(names(slow_plugin.client.generate(checkout.root))) == len(OBJECTS)


def test_a_call_without_a_deadline_is_served(plugin: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """`controller.repo.server.timeout.seconds: "0"` means none; our own time-out still holds."""
    s3.put({"apps/demo/a.yaml": config_map("a")})

    assert names(plugin.client.generate(checkout.root, seconds=None)) == ["a"]
