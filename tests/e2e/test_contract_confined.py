"""The sidecar as Kubernetes runs it, with Argo CD's own paths: process 1, without rights, nothing writable but /tmp."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from e2e import cmp_client, confinement, image_sandbox
from e2e.cmp_client import Application
from e2e.cmp_server import wait_until
from e2e.conftest import give_up
from e2e.contract import Checkout, Plugin, config_map, failure, names
from e2e_support import S3Server

pytestmark = pytest.mark.e2e

REQUESTS = 200
ROUND = ("manifests", "gone", "matched", "error", "gone", "matched", "announced", "gone", "matched", "error")
"""What requests end with; most of them are of a kind that costs little."""


@pytest.fixture(scope="module")
def confined(tool: Callable[[str], Path], versitygw_endpoint: str, cmp_messages: Mapping[str, Any]) -> Iterator[Plugin]:
    """A confined server; without root and user namespaces the test is skipped, and fails where CI=true."""
    program = tool("argocd")
    image = image_sandbox.image_under_test()
    if not image and (reason := confinement.why_impossible()):
        give_up(reason)
    variables = S3Server(versitygw_endpoint, None).variables
    with (
        image_sandbox.run(image, program, variables) if image else confinement.run(program, variables) as server,
        cmp_client.connect(server.socket, cmp_messages) as client,
    ):
        yield Plugin(server, client)


def test_the_server_is_confined(confined: Plugin) -> None:
    """It is process 1, uid 999 without capabilities, and every file system but /tmp and the sockets' is read-only."""
    process = Path(f"/proc/{confined.server.pid}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    writable = {fields[4] for fields in mounts if "rw" in fields[5].split(",")}

    assert status["NSpid"].split()[-1] == "1"
    assert set(status["Uid"].split()) <= {"999"} or os.geteuid() != 0
    assert {status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert writable == {"/tmp", "/home/argocd/cmp-server/plugins", "/proc", "/dev/null", "/dev/urandom"}  # noqa: S108  # the place that Kubernetes mounts


@pytest.mark.image
def test_a_read_only_root_is_enough(confined: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """Manifests, parameters and errors come out as elsewhere, and /tmp keeps the state folder and nothing else."""
    s3.put({f"apps/demo/{name}.yaml": config_map(name) for name in ("a", "b")})

    manifests = [names(confined.client.generate(checkout.root)) for _ in range(2)]
    announced = confined.client.announce(checkout.root)
    matched = confined.client.match_repository(checkout.root)
    checkout.write({"s3-source.yaml": "bucket: no-such-bucket\npath: apps/demo\n"})
    error = failure(confined.client, checkout.root)

    assert manifests == [["a", "b"], ["a", "b"]]
    assert (announced[0].name, matched) == ("bucket", (True, True))
    assert error.text.startswith(
        "error generating manifests: `/opt/cmp-core/bin/cmp-core init` failed exit status 66: fetching "
    )
    assert wait_until(confined.server.has_settled)
    assert sorted(path.name for path in confined.server.temporary.iterdir()) == ["_cmp_server", "cmp-core-999"]
    assert confined.server.state.stat().st_mode & 0o777 == 0o700


@pytest.mark.image
def test_after_many_requests_nothing_is_left(confined: Plugin, checkout: Checkout, s3: S3Server) -> None:
    """After 200 requests of every kind and end no process, no zombie and no file of theirs is there.

    The server is process 1 and reaps nothing: a single orphan of ours would stay as a zombie for ever.
    """
    s3.put({"apps/demo/a.yaml": config_map("a")})
    requests = make_requests(confined, checkout)
    expected = [each for each, _ in zip(itertools.cycle(ROUND), range(REQUESTS), strict=False)]

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda kind: requests[kind](), expected))

    assert outcomes == expected
    assert wait_until(confined.server.has_settled), confined.server.started_processes()
    assert sorted(path.name for path in confined.server.temporary.iterdir()) == ["_cmp_server", "cmp-core-999"]
    assert not list((confined.server.state / "slots" / "queue").iterdir())
    assert not list(confined.server.state.rglob("*.tmp"))


def make_requests(plugin: Plugin, checkout: Checkout) -> dict[str, Callable[[], str]]:
    """Return one request for each end, which tells in the same word whether it has ended so."""
    broken = Application(path="apps/broken")
    (checkout.root / broken.path).mkdir()
    (checkout.root / broken.path / "s3-source.yaml").write_text("buket: test-bucket\n")
    archive = cmp_client.pack(checkout.root)
    cancelled = threading.Event()
    cancelled.set()

    def fail() -> str:
        return "error" if "did you mean `bucket`" in failure(plugin.client, archive, application=broken).text else "?"

    def go_away() -> str:
        error = failure(plugin.client, archive, cancelled=cancelled)
        return "gone" if error.code == grpc.StatusCode.CANCELLED else error.text

    return {
        "manifests": lambda: "manifests" if names(plugin.client.generate(archive)) == ["a"] else "?",
        "announced": lambda: "announced" if plugin.client.announce(archive)[0].name == "bucket" else "?",
        "matched": lambda: "matched" if plugin.client.match_repository(archive) == (True, True) else "?",
        "error": fail,
        "gone": go_away,
    }
