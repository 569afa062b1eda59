"""What the tests on a whole Argo CD stand on: servers that come and go, the settings of deploy/, the page of a run."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.binaries import ROOT
from tools.live_argocd import deployed, page
from tools.live_argocd.background import find
from tools.live_argocd.repository import Repository
from tools.live_argocd.server import Server, ServerError
from tools.processes import accepts, free_port, inherited_environment, wait_until

MakeServer = Callable[..., tuple[Server, int]]
LISTEN = (
    "import signal, socket, sys, time; {}; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "
    "print('listening', flush=True); time.sleep(60)"
)
OBSTINATE = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="a whole Argo CD runs on Linux alone")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MakeServer]:
    """A function that describes a small server on a free port."""
    made = []

    def make(extra: str = "pass", *, code: str = LISTEN) -> tuple[Server, int]:
        port = free_port()
        command = [sys.executable, "-c", code.format(extra), str(port)]
        made.append(Server("small", command, inherited_environment(), tmp_path, lambda: accepts(port)))
        return made[-1], port

    yield make
    for each in made:
        each.kill()


@on_linux
def test_a_server_comes_and_goes_and_comes_back(server: MakeServer) -> None:
    """It answers when start returns, nobody answers when stop returns, and its log holds what both said."""
    small, port = server()

    for _ in range(2):
        small.start()
        assert accepts(port)
        small.stop()
        assert not accepts(port)

    assert small.log.read_text() == "listening\n" * 2


@on_linux
def test_a_server_that_ignores_sigterm_is_killed(server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is asked to end stays."""
    monkeypatch.setattr("tools.live_argocd.server.STOP_SECONDS", 0.2)
    small, port = server(OBSTINATE)
    small.start()

    small.stop()

    assert not accepts(port)


@on_linux
def test_a_server_that_ends_at_once_shows_its_log(server: MakeServer) -> None:
    """Whoever waits for it reads why there is nothing to wait for."""
    small, _ = server(code="raise SystemExit('no room{}')")

    with pytest.raises(ServerError, match=r"(?s)small ended with exit code 1; the end of its log:.*no room"):
        small.start()


@on_linux
def test_what_a_server_has_started_ends_with_it(server: MakeServer, tmp_path: Path) -> None:
    """Its session ends as a whole."""
    file = tmp_path / "pid"
    child = f"import subprocess; open({str(file)!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))"
    small, _ = server(child)
    small.start()
    pid = int(file.read_text())

    small.stop()

    assert wait_until(lambda: state_of(pid) in {"", "Z"}, 10)


@on_linux
def test_a_server_does_not_outlive_a_starter_that_is_killed(tmp_path: Path) -> None:
    """The kernel ends it, since nobody else can."""
    port, listening = free_port(), ["-c", LISTEN.format("pass")]
    code = (
        "import os, pathlib, sys, time; from tools.live_argocd.server import Server; "
        f"from tools.processes import accepts; folder = pathlib.Path({str(tmp_path)!r}); "
        f"command = [sys.executable, *{listening!r}, {str(port)!r}]; "
        f"s = Server('small', command, dict(os.environ), folder, lambda: accepts({port})); "
        "s.start(); print(s.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        pid = int(starter.stdout.readline())
        starter.send_signal(signal.SIGKILL)

    assert wait_until(lambda: state_of(pid) in {"", "Z"}, 10)


def test_the_sidecar_has_the_settings_of_deploy() -> None:
    """Two components add to the container, and the test reads them there."""
    assert set(deployed.settings("cmp-core")) == {"CMP_STATE_DIRECTORY", "CMP_TIMEOUT"}


def test_the_plugin_file_names_a_cmp_core_that_is_installed_elsewhere() -> None:
    """Nothing of the image's paths is left."""
    text = deployed.plugin_file(Path("/elsewhere/cmp-core"))

    assert text.count("[/elsewhere/cmp-core, ") == 3
    assert "/opt/" not in text


def test_a_commit_holds_what_was_written(tmp_path: Path) -> None:
    """Each commit is a new one, also where nothing has changed."""
    repository = Repository(tmp_path / "repository")

    first = repository.commit({"app/a.yaml": "a: 1\n"}, "First")
    second = Repository(tmp_path / "repository").commit({"app/a.yaml": "a: 1\n"}, "Second")

    assert len({first, second}) == 2
    assert repository.url == f"file://{tmp_path}/repository"


def test_a_run_is_written_into_the_page() -> None:
    """What stood between the marks gives way to the run, and the prose around them stays."""
    run = page.Run("2026-02-03", 99.6, [page.Row("it rained", "got wet", 1.26)])

    text = page.fill("before\n<!-- a run -->\nold\n<!-- /a run -->\nafter\n", page.Run.from_json(run.to_json()))

    assert "old" not in text
    assert "Run on 2026-02-03 with Argo CD " in text
    assert text.startswith("before\n")
    assert text.endswith("| it rained | got wet | 1.3 s |\n<!-- /a run -->\nafter\n")


def test_nothing_runs_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """The demonstration can say that there is nothing to show it on."""
    assert find(tmp_path / "up") is None


def state_of(pid: int) -> str:
    """Return the state of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
