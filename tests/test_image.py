"""What can be said of the image without building it: its pins, and how Argo CD's server ends in it.

`make image` builds it; `tests/e2e/test_image.py` looks at it.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_support import ROOT

from tools.binaries import TOOLS
from tools.image import contents, stand_ins

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ENTRY = ROOT / "image" / "entry.py"
SERVER = """
import os, signal, subprocess, sys, threading, time
stopped = threading.Event()
def stop(*_):
    stopped.set()
    print("no more requests", flush=True)
signal.signal(signal.SIGTERM, stop)
child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({sys.argv[1]})"])
print("listening", flush=True)
child.wait()
if child.returncode == 0:
    print("answered", flush=True)
if sys.argv[2] == "stays":
    threading.Event().wait(60)
sys.exit(int(sys.argv[2]))
"""


@pytest.mark.parametrize("program", ["helm", "kustomize"])
def test_the_image_holds_what_the_tests_run(program: str) -> None:
    """The Dockerfile names the package and the version that `make tools` builds."""
    package, version = TOOLS[program].package.split("@")

    found = re.search(rf'"{re.escape(package)}@v\$\{{(\w+)\}}"', DOCKERFILE)

    assert found
    assert f"ARG {found[1]}={version.removeprefix('v')}\n" in DOCKERFILE
    assert contents.PROGRAMS[f"usr/local/bin/{program}"] == package.removesuffix("/cmd/helm")


def test_every_base_has_a_stand_in() -> None:
    """A base that is raised in the Dockerfile is one that `make image` can stand in for."""
    bases = set(re.findall(r"^FROM (?:--platform=\S+ )?(\S+)", DOCKERFILE, re.MULTILINE))
    version, debian = re.findall(r":3\.(\d+)-slim-(\w+)$", stand_ins.python_image())[0]

    assert bases == {"scratch", stand_ins.python_image(), stand_ins.go_image()}
    assert stand_ins.MINOR_VERSION[debian] == int(version)


def test_the_image_is_of_no_architecture() -> None:
    """Nothing in the Dockerfile, and nothing that it calls, names one."""
    texts = [DOCKERFILE, (ROOT / "image" / "root_filesystem.py").read_text(), ENTRY.read_text()]

    assert [text for text in texts if re.search(r"amd64|x86|arm64|aarch", text)] == []


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[str]"]:
    """A server that has a request for so many seconds, and then stays or ends, below the entry point."""
    seconds, end = request.param
    command = [sys.executable, "-IS", ENTRY, sys.executable, "-c", SERVER, seconds, end]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "listening\n"
        yield process
        process.kill()


@pytest.mark.parametrize("server", [("2", "stays")], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_lets_the_request_end_and_then_the_server(
    server: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    """The server hears of it at once, its child ends by itself, and the exit code is that of a success."""
    server.send_signal(number)

    output, _ = server.communicate(timeout=20)

    assert output == "no more requests\nanswered\n"
    assert server.returncode == 0


def test_a_request_without_an_end_is_waited_for_no_longer_than_the_patience() -> None:
    """What does not end keeps the server until Kubernetes would soon kill it, and no longer."""
    shorter = f"main = __import__('runpy').run_path({str(ENTRY)!r})['main']; main.__globals__['PATIENCE'] = 1.5; main()"
    command = [sys.executable, "-ISc", shorter, sys.executable, "-c", SERVER, "60", "stays"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "listening\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        grandchildren = Path(f"/proc/{children[0]}/task/{children[0]}/children").read_text().split()
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(20)

        assert 1.0 < time.monotonic() - started < 10
        assert process.returncode == 0
        os.kill(int(grandchildren[0]), signal.SIGKILL)


@pytest.mark.parametrize("server", [("0", "0"), ("0", "7")], indirect=True)
def test_a_server_that_ends_by_itself_gives_its_exit_code(
    server: "subprocess.Popen[str]", request: pytest.FixtureRequest
) -> None:
    """Kubernetes sees why the container has ended."""
    server.communicate(timeout=20)

    assert server.returncode == int(request.node.callspec.params["server"][1])


@pytest.mark.parametrize("server", [("60", "stays")], indirect=True)
def test_a_server_that_is_killed_gives_the_code_of_the_signal(server: "subprocess.Popen[str]") -> None:
    """As a shell says it: 137 for SIGKILL, which is what a lack of memory looks like."""
    child = int(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text())
    grandchild = int(Path(f"/proc/{child}/task/{child}/children").read_text())

    os.kill(child, signal.SIGKILL)
    os.kill(grandchild, signal.SIGKILL)
    server.communicate(timeout=20)

    assert server.returncode == 137


def test_a_server_that_is_not_there_is_named() -> None:
    """Whoever forgets the volume reads what to mount."""
    result = subprocess.run([sys.executable, "-IS", ENTRY, "/no/server"], capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert result.stderr == (
        "/no/server cannot be run (No such file or directory): "
        "mount the volume in which the repo-server's pod keeps it\n"
    )
