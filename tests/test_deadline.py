"""The deadline: it comes before Argo CD's, interrupts what blocks, and says which step was running."""

import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmp_core import deadline
from cmp_core.deadline import GRACE_SECONDS, Deadline, terminable
from cmp_core.errors import DeadlineExceededError

SENTENCE = (
    "stopped after 0.05 s while fetching s3://b/p: make the source smaller or nearer, or raise `timeout` in the "
    "operator's settings (CMP_TIMEOUT) and with it Argo CD's own time-out"
)


@pytest.fixture
def pipe() -> Iterator[int]:
    """The reading end of a pipe into which nobody writes."""
    reader, writer = os.pipe()
    yield reader
    os.close(reader)
    os.close(writer)


def block_after(deadline: Deadline, pipe: int) -> None:
    """Use up nearly all the time, then wait for ever."""
    deadline.use(deadline.seconds - 0.05)
    select.select([pipe], [], [])


def silent(_error: DeadlineExceededError) -> None:
    """Say nothing."""


def run(body: str) -> "subprocess.CompletedProcess[str]":
    """Run `body` under a deadline of a twentieth of a second in a process of its own."""
    code = (
        "import os, select, sys, time\nfrom cmp_core.deadline import Deadline\n"
        "deadline = Deadline(0.05)\ndeadline.step = 'fetching s3://b/p'\n"
        "def last_words(error):\n    os.write(1, f'last words: {error}'.encode())\n"
        f"with deadline.enforced(last_words):\n{body}"
    )
    return run_python(code)


def run_python(code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a process of its own, which has half a minute."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)


def test_a_blocking_call_is_interrupted(pipe: int) -> None:
    """Even one that would wait for ever."""
    deadline = Deadline(0.05)
    deadline.step = "fetching s3://b/p"

    with pytest.raises(DeadlineExceededError) as caught, deadline.enforced(silent):
        select.select([pipe], [], [])

    assert str(caught.value) == SENTENCE


def test_a_deadline_that_has_passed_already_interrupts_at_once(pipe: int) -> None:
    """An earlier process of the request may have used all the time."""
    deadline = Deadline(45)
    deadline.use(100)

    with pytest.raises(DeadlineExceededError), deadline.enforced(silent):
        select.select([pipe], [], [])

    assert deadline.remaining() == 0


def test_what_is_quick_is_not_disturbed() -> None:
    """Afterwards no alarm is set and the old handler is back."""
    before = signal.getsignal(signal.SIGALRM)

    with Deadline(30).enforced(silent):
        during = signal.getsignal(signal.SIGALRM)

    assert during is not before
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_error_within_disarms_the_alarm() -> None:
    """The clean-up after an error is not interrupted."""
    with pytest.raises(KeyError), Deadline(30).enforced(silent):
        raise KeyError

    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_time_used_before_shortens_the_rest() -> None:
    """`init` and `generate` share one deadline; time is never given back."""
    deadline = Deadline(45)

    deadline.use(40)
    deadline.use(10)

    assert 4 < deadline.remaining() <= 5


def test_time_used_before_shortens_a_running_alarm(pipe: int) -> None:
    """The handover is found after the alarm was set."""
    deadline = Deadline(45)
    before = time.monotonic()

    with pytest.raises(DeadlineExceededError), deadline.enforced(silent):
        block_after(deadline, pipe)

    assert time.monotonic() - before < 30


def test_a_check_passes_until_the_time_is_up() -> None:
    """What cannot be interrupted asks."""
    deadline = Deadline(45)
    deadline.step = "rendering"

    deadline.check()
    deadline.use(45)

    with pytest.raises(DeadlineExceededError, match="stopped after 45 s while rendering: "):
        deadline.check()


def test_code_that_swallows_the_interruption_is_ended() -> None:
    """A second later the process says its last words and is gone, with the exit code of the error."""
    body = (
        "    while True:\n        try:\n            select.select([], [], [])\n"
        "        except Exception:\n            start = time.monotonic()\n"
        "            os.write(2, b'swallowed')\n"
    )

    result = run(body)

    assert (result.returncode, result.stderr) == (75, "swallowed")
    assert result.stdout == f"last words: {SENTENCE}"
    assert GRACE_SECONDS <= 1


def test_a_clean_up_that_hangs_is_ended() -> None:
    """The interruption came through, but something on the way out blocks."""
    body = "    try:\n        select.select([], [], [])\n    finally:\n        select.select([], [], [])\n"

    result = run(body)

    assert (result.returncode, result.stdout) == (75, f"last words: {SENTENCE}")


def test_a_quick_clean_up_is_not_disturbed() -> None:
    """The error comes out as any other, and the last words stay unsaid."""
    body = "    try:\n        select.select([], [], [])\n    finally:\n        os.write(1, b'clean')\n"

    result = run(body)

    assert result.stdout == "clean"
    assert result.stderr.splitlines()[-1] == f"cmp_core.errors.DeadlineExceededError: {SENTENCE}"


def test_an_import_is_awaited_before_the_deadline_interrupts(tmp_path: Path) -> None:
    """Half a module is of no use to the clean-up, and an extension that imports would panic."""
    (tmp_path / "slow.py").write_text("import select\nselect.select([], [], [], 0.2)\n")

    result = run(
        f"    sys.path.insert(0, {str(tmp_path)!r})\n"
        "    try:\n        import slow\n        print('imported')\n        select.select([], [], [])\n"
        "    finally:\n        print('cleaned up', flush=True)\n"
    )

    assert result.stdout == "imported\ncleaned up\n"
    assert "DeadlineExceededError" in result.stderr


LOSING = """
import asyncio

def is_wakeup(frame):
    return frame.f_code is asyncio.Handle._run.__code__ and "wakeup" in repr(frame.f_locals["self"])

def send_when_a_task_is_woken(frame, event, argument):
    if is_wakeup(frame):
        sys.settrace(None)
        signal.raise_signal(signal.SIGTERM)

async def wait():
    try:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        sys.settrace(send_when_a_task_is_woken)
        await future
        await asyncio.sleep(60)
    finally:
        os.write(1, b"cleaned up")

asyncio.run(wait())
"""
"""SIGTERM comes when an event loop has taken a task's wake-up from its queue, and has not yet done it."""

SWALLOWING = """
while True:
    try:
        signal.raise_signal(signal.SIGTERM)
        select.select([], [], [])
    except BaseException:
        os.write(1, b"swallowed, ")
"""

IMPORTING = """
sys.path.insert(0, {folder!r})
try:
    import slow
    os.write(1, b"imported, ")
    select.select([], [], [])
finally:
    os.write(1, b"cleaned up")
"""


def run_terminable(body: str) -> "subprocess.CompletedProcess[str]":
    """Run `body` where SIGTERM ends it, in a process of its own."""
    code = (
        "import os, select, signal, sys\nfrom cmp_core.deadline import Deadline, terminable\n"
        "def last_words(end):\n    os.write(1, b'last words')\n"
        f"with Deadline(20).enforced(print), terminable(last_words):\n{textwrap.indent(body, '    ')}"
    )
    return run_python(code)


def test_sigterm_in_an_event_loop_loses_no_wake_up() -> None:
    """An exception in the loop's own code would leave a task waiting for what has been, and the process with it."""
    result = run_terminable(LOSING)

    assert (result.returncode, result.stdout) == (143, "cleaned up"), result.stderr


def test_who_swallows_sigterm_is_ended() -> None:
    """A second later the process says its last words and is gone, with the exit code of SIGTERM."""
    result = run_terminable(SWALLOWING)

    assert (result.returncode, result.stdout) == (143, "swallowed, last words"), result.stderr


def test_an_import_is_awaited_before_sigterm_interrupts(tmp_path: Path) -> None:
    """Longer than the deadline would, so that a request that has just begun to load its SDK cleans up too."""
    module = "import select, signal\nsignal.raise_signal(signal.SIGTERM)\nselect.select([], [], [], 1.5)\n"
    (tmp_path / "slow.py").write_text(module)

    result = run_terminable(IMPORTING.format(folder=str(tmp_path)))

    assert (result.returncode, result.stdout) == (143, "imported, cleaned up"), result.stderr


def test_an_import_that_hangs_is_interrupted_by_sigterm(tmp_path: Path) -> None:
    """Before Argo CD kills."""
    (tmp_path / "slow.py").write_text(
        "import select, signal\nsignal.raise_signal(signal.SIGTERM)\nselect.select([], [], [])"
    )
    impatient = "import cmp_core.deadline\ncmp_core.deadline._LONGEST_IMPORT_SECONDS = 0.1\n"

    result = run_terminable(impatient + IMPORTING.format(folder=str(tmp_path)))

    assert (result.returncode, result.stdout) == (143, "cleaned up"), result.stderr
    assert deadline._LONGEST_IMPORT_SECONDS + GRACE_SECONDS <= 5


def test_afterwards_sigterm_is_what_it_was() -> None:
    """The handler is that of before."""
    before = signal.getsignal(signal.SIGTERM)

    with terminable(print):
        during = signal.getsignal(signal.SIGTERM)

    assert during is not before
    assert signal.getsignal(signal.SIGTERM) is before
