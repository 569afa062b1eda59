"""Other programs: which one runs, what it is told, how much it may say, and that it never outlives its request."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cmp_core.deadline import Deadline
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import BackendError, DeadlineExceededError, LimitExceededError
from cmp_core.programs import MOST_SAID, Output, find_program, run_program
from tools.processes import wait_until

SHELL = Path("/bin/sh")

OUTLIVED = """
import sys
from pathlib import Path
from cmp_core.environment import BuildEnvironment
from cmp_core.programs import run_program
run_program(["/bin/sleep", "300"], Path("."), BuildEnvironment(), variables={sys.argv[1]: "1"}, most_bytes=1)
"""

MINDS_FORKS = """
import os
from pathlib import Path
from cmp_core.environment import BuildEnvironment
from cmp_core.programs import run_program
os.register_at_fork(after_in_child=os.abort)
print(run_program(["/bin/sh", "-c", "echo word >&2"], Path("."), BuildEnvironment(), variables={}, most_bytes=1))
"""


def environment(path: str = "", *, seconds: float = 30) -> BuildEnvironment:
    """Return an environment with a path and so much time."""
    return BuildEnvironment(variables={"PATH": path}, deadline=Deadline(seconds))


def run(script: str, folder: Path, *, seconds: float = 30, most_bytes: int = 1000) -> Output:
    """Run a script of the shell."""
    return run_program(
        [SHELL, "-c", script], folder, environment(seconds=seconds), variables={"A": "b"}, most_bytes=most_bytes
    )


def becomes_true(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds, and tell whether it does in time."""
    return wait_until(condition, 20, pause=0.02)


def processes_with(variable: str) -> list[int]:
    """Return the processes that have a variable."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            is_there = variable.encode() in path.read_bytes().split(b"\0")
        except OSError:
            continue
        if is_there:
            found.append(int(path.parent.name))
    return found


def test_a_program_is_found_on_the_sidecars_path(tmp_path: Path) -> None:
    """The first folder that holds it, as everywhere."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").write_text("#!/bin/sh\n")
        (tmp_path / name / "tool").chmod(0o755)

    found = find_program("tool", environment(f"{tmp_path}/none:{tmp_path}/first:{tmp_path}/second"), purpose="to try")

    assert found == tmp_path / "first" / "tool"


@pytest.mark.parametrize("path", ["", ".", ":bin", "bin"])
def test_the_working_directory_is_never_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """It is somebody's repository, and an empty or relative entry of PATH means it."""
    (tmp_path / "bin").mkdir()
    for place in (tmp_path, tmp_path / "bin"):
        (place / "tool").write_text("#!/bin/sh\n")
        (place / "tool").chmod(0o755)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(BackendError, match="`tool` is needed to try, and is not in "):
        find_program("tool", environment(path), purpose="to try")


def test_a_missing_program_is_told_with_the_places_and_the_remedy() -> None:
    """Who reads it knows what to put into the image, and where."""
    with pytest.raises(BackendError) as raised:
        find_program("no-such-tool", environment("/opt/a:/opt/b"), purpose="to try")

    assert str(raised.value) == (
        "`no-such-tool` is needed to try, and is not in /opt/a, /opt/b: put it into the sidecar's image, into a folder "
        "of its PATH such as /usr/local/bin"
    )


def test_a_program_is_told_nothing_but_what_it_is_given(tmp_path: Path) -> None:
    """No credential of the sidecar reaches it, and it reads nothing."""
    output = run("cat; env | grep -v ^PWD= | grep -v ^_= | sort; pwd >&2; exit 3", tmp_path)

    assert output == Output(3, b"A=b\n", str(tmp_path))


def test_no_library_has_a_say_between_this_process_and_the_program(tmp_path: Path) -> None:
    """What a backend has loaded may not bear a fork: of gRPC with an open channel one in fifty died of it."""
    printed = subprocess.check_output([sys.executable, "-c", MINDS_FORKS], cwd=tmp_path, text=True)

    assert printed == f"{Output(0, b'', 'word')}\n"


def test_much_is_read_from_both_streams(tmp_path: Path) -> None:
    """A program that fills both pipes does not block; of stderr the beginning is kept."""
    output = run("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2", tmp_path, most_bytes=300_000)

    assert (output.code, len(output.content), len(output.said)) == (0, 300_000, MOST_SAID)


def test_too_much_is_refused_and_ends_the_program(tmp_path: Path) -> None:
    """One byte over the limit; a program without an end is killed."""
    with pytest.raises(LimitExceededError, match=r"`sh` writes more than 1000 bytes: raise `limits\.totalBytes`"):
        run("exec cat /dev/zero", tmp_path)


def test_the_deadline_ends_it_and_all_that_it_has_started(tmp_path: Path) -> None:
    """The whole process group is killed, whatever it does with its signals."""
    with pytest.raises(DeadlineExceededError):
        run("trap '' TERM INT; (trap '' TERM; echo $$ >child; sleep 300) & echo $! >pid; wait", tmp_path, seconds=1)

    pid = int((tmp_path / "pid").read_text())
    assert becomes_true(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))


def test_it_dies_with_a_process_that_is_killed() -> None:
    """Argo CD kills the command that it has started, by SIGKILL, and knows nothing of what that has started."""
    mark = f"DIES_WITH_{os.getpid()}"
    command = [sys.executable, "-c", OUTLIVED, mark]

    with subprocess.Popen(command) as process:
        began = becomes_true(lambda: bool(processes_with(f"{mark}=1")))
        process.send_signal(signal.SIGKILL)
        process.wait()
        ended = becomes_true(lambda: not processes_with(f"{mark}=1"))

    assert (began, ended) == (True, True)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
