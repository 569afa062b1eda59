"""Reporting: stderr gets short redacted lines, four kilobytes at the most, and a traceback only for who asks for it."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmp_core import reporting
from cmp_core.bootstrap import LogLevel
from cmp_core.environment import NoProgress
from cmp_core.errors import CmpError, FetchError
from cmp_core.redact import Redactor
from cmp_core.reporting import MAX_BYTES, MAX_ERROR_BYTES, MAX_LINE_BYTES, StderrHandler, TerminalProgress
from cmp_core.summary import Summary


@pytest.fixture
def stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that stands for stderr; logging is as before afterwards."""
    path = tmp_path / "stderr"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    monkeypatch.setattr(reporting, "STDERR", descriptor)
    root, own = logging.getLogger(), logging.getLogger("cmp_core")
    before = [(log, log.handlers[:], log.level, log.propagate) for log in (root, own)]
    yield path
    logging.captureWarnings(capture=False)
    for log, handlers, level, propagate in before:
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)
    os.close(descriptor)


def say(handler: StderrHandler, level: int, message: str) -> None:
    """Let the handler write one message."""
    handler.emit(logging.LogRecord("cmp_core", level, "file", 1, message, (), None))


def test_a_message_is_one_line(stderr: Path) -> None:
    """Errors say that they are errors, and the rest speaks for itself."""
    handler = StderrHandler(Redactor())

    say(handler, logging.INFO, "fetching s3://b/p")
    say(handler, logging.ERROR, "broken: mend it")

    assert stderr.read_text(encoding="utf-8") == "fetching s3://b/p\nerror: broken: mend it\n"


def test_every_line_is_redacted(stderr: Path) -> None:
    """By value and by shape, in every format."""
    handler = StderrHandler(Redactor(["known-secret"]), "json")

    say(handler, logging.ERROR, "known-secret at https://user:pass@host")

    assert json.loads(stderr.read_text(encoding="utf-8"))["message"] == "[redacted] at https://[redacted]@host"


def test_a_json_line_holds_time_level_logger_and_message(stderr: Path) -> None:
    """One object a line, quotes and line feeds within it."""
    handler = StderrHandler(Redactor(), "json")

    say(handler, logging.INFO, 'say "é"\nand more')
    say(handler, logging.ERROR, "broken")

    first, second = (json.loads(line) for line in stderr.read_text(encoding="utf-8").splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {"level": "info", "logger": "cmp_core", "message": 'say "é"\nand more'}
    assert (second["level"], second["message"]) == ("error", "broken")


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("text", ["x" * 100_000, '"' * 100_000, "é" * 100_000, "\x1b" * 100_000, "🙂\n" * 50_000])
def test_all_lines_together_are_bounded(stderr: Path, log_format: str, text: str) -> None:
    """However long and however they are escaped, there is room for the error at the end."""
    handler = StderrHandler(Redactor(), "json" if log_format == "json" else "text")

    for _ in range(12):
        say(handler, logging.INFO, text)
    before_error = stderr.stat().st_size
    say(handler, logging.ERROR, text)

    content = stderr.read_bytes()
    content.decode("utf-8")
    assert before_error <= MAX_BYTES - MAX_ERROR_BYTES
    assert len(content) - before_error > MAX_ERROR_BYTES / 2
    assert len(content) <= MAX_BYTES
    assert b"more bytes)" in content[before_error:]


def long_summary(text: str) -> Summary:
    """Return a summary whose texts are all of that text."""
    summary = Summary("3f2a9c1d", application=text, project=text)
    summary.source, summary.revision = text, text
    return summary


@pytest.mark.parametrize("text", ["x" * 100_000, '"' * 100_000, "é" * 100_000, "\x1b" * 100_000, "🙂\n" * 50_000])
def test_the_id_survives_an_error_of_any_length(stderr: Path, text: str) -> None:
    """It stands at the very end, where Argo CD shows it."""
    handler = StderrHandler(Redactor(), "text", Summary("3f2a9c1d"))

    say(handler, logging.ERROR, text)

    content = stderr.read_text(encoding="utf-8")
    assert len(content.encode()) <= MAX_BYTES
    assert content.endswith(" more bytes) [request 3f2a9c1d]\n")


@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR])
@pytest.mark.parametrize("text", ["x" * 20_000, '"' * 20_000, "é" * 20_000, "\x1b" * 20_000, "🙂\n" * 10_000])
def test_a_line_of_json_is_whole_and_bounded(stderr: Path, text: str, level: int) -> None:
    """However long the names and the message are, it parses, holds every key, and a good part of the message."""
    handler = StderrHandler(Redactor(), "json", long_summary(text))
    for _ in range(12):
        say(handler, logging.INFO, text)
    before = stderr.stat().st_size
    record = logging.LogRecord("cmp_core", level, "file", 1, text, (), None)
    vars(record).update(outcome="FetchError", exit_code=69)

    handler.emit(record)

    assert stderr.stat().st_size <= MAX_BYTES
    *_, line = map(json.loads, stderr.read_bytes()[before:].splitlines())
    assert (line["request"], line["outcome"], line["exitCode"]) == ("3f2a9c1d", "FetchError", 69)
    assert all(line[key].endswith("…") for key in ("application", "project", "source", "revision"))
    assert len(json.dumps(line["message"], ensure_ascii=False).encode()) > 1000


def test_short_texts_of_a_summary_are_not_cut(stderr: Path) -> None:
    """The longest names that Kubernetes knows, and a key that is long."""
    handler = StderrHandler(Redactor(), "json", long_summary("n" * 253))
    record = logging.LogRecord("cmp_core", logging.INFO, "file", 1, "said", (), None)
    vars(record).update(outcome="ok")

    handler.emit(record)

    line = json.loads(stderr.read_bytes())
    assert (line["application"], line["project"], line["source"]) == ("n" * 253, "n" * 253, "n" * 253)


def test_one_line_takes_no_more_than_its_share(stderr: Path) -> None:
    """The line that Argo CD shows at its deadline must not be the only one."""
    handler = StderrHandler(Redactor())

    say(handler, logging.INFO, "x" * 5000)

    assert stderr.stat().st_size == MAX_LINE_BYTES


def test_a_short_message_is_not_cut(stderr: Path) -> None:
    """A full kilobyte of error goes out as it is."""
    handler = StderrHandler(Redactor())

    say(handler, logging.ERROR, "y" * 1024)

    assert stderr.read_text(encoding="utf-8") == f"error: {'y' * 1024}\n"


def test_a_closed_stderr_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads it; the manifests still count."""
    monkeypatch.setattr(reporting, "STDERR", 10_000)
    handler = StderrHandler(Redactor())

    say(handler, logging.ERROR, "nobody reads this")

    assert handler._room < MAX_BYTES


def test_a_record_that_does_not_fit_its_arguments_is_still_said(stderr: Path) -> None:
    """A library's mistake in a log line is not worth a failure."""
    handler = StderrHandler(Redactor(), is_verbose=True)

    handler.emit(logging.LogRecord("lib", logging.INFO, "file", 1, "%d objects", ("many",), None))

    assert stderr.read_text(encoding="utf-8") == "%d objects\n"


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_no_traceback_is_shown(stderr: Path, level: LogLevel) -> None:
    """It would be shown in Argo CD's UI to somebody who can do nothing with it."""
    reporting.configure(level)

    reporting.fail(chained_error())

    assert stderr.read_text(encoding="utf-8") == "error: could not fetch: try again\n"


def test_debug_shows_the_traceback_and_redacts_it(stderr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every error behind the error."""
    monkeypatch.setenv("MY_TOKEN", "made-up-token")
    reporting.configure("debug")

    reporting.fail(chained_error())

    told = stderr.read_text(encoding="utf-8")
    assert told.startswith("error: could not fetch: try again\nTraceback (most recent call last):\n")
    assert "KeyError: 'the cause holds [redacted]'" in told
    assert "made-up-token" not in told


def chained_error() -> CmpError:
    """Return an error that was raised because of another."""
    try:
        try:
            raise KeyError("the cause holds made-up-token")
        except KeyError as cause:
            raise FetchError("could not fetch: try again") from cause
    except FetchError as error:
        return error


def test_libraries_are_silent_but_in_debug(stderr: Path) -> None:
    """Their messages are for developers."""
    reporting.configure("info")
    logging.getLogger("botocore").error("a library speaks")
    silent = stderr.read_text(encoding="utf-8")

    reporting.configure("debug")
    logging.getLogger("botocore").debug("a library speaks")

    assert silent == ""
    assert stderr.read_text(encoding="utf-8") == "a library speaks\n"


@pytest.mark.parametrize(("level", "is_told"), [("info", False), ("debug", True)])
def test_warnings_go_the_way_of_libraries_messages(level: str, is_told: bool) -> None:  # noqa: FBT001  # a row
    """Python would print them past the redaction."""
    code = (
        "import sys, warnings; from cmp_core import reporting; reporting.configure(sys.argv[1])\nwarnings.warn('old')"
    )

    result = subprocess.run([sys.executable, "-c", code, level], capture_output=True, check=False)

    assert (b"old" in result.stderr) == is_told


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_decides_what_is_said(stderr: Path, level: LogLevel, count: int) -> None:
    """Each level adds one kind of line, and says each line once."""
    reporting.configure(level)
    log = logging.getLogger("cmp_core")

    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("said")

    assert stderr.read_text(encoding="utf-8").count("said\n") == count


def test_an_error_before_the_settings_are_known_is_said() -> None:
    """The first error may be about the settings themselves."""
    code = "from cmp_core import errors, reporting; reporting.fail(errors.UsageError('no such command'))"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert (result.stdout, result.stderr) == (b"", b"error: no such command\n")


def test_no_bar_is_drawn_where_nobody_looks(stderr: Path) -> None:
    """In Argo CD stderr is a pipe."""
    with reporting.progress() as progress:
        progress.set_size(5)

    assert isinstance(progress, NoProgress)
    assert stderr.read_bytes() == b""


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none is left when the fetch is over."""
    terminal, other_end = os.openpty()
    monkeypatch.setattr(reporting, "STDERR", other_end)

    with reporting.progress() as progress:
        is_bar = isinstance(progress, TerminalProgress)

    os.close(terminal)
    os.close(other_end)
    assert is_bar


def test_a_bar_counts_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second size begins a second bar; updates without one are no mistake."""
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    bar = TerminalProgress()

    bar.relative_update()
    for size in (5, 3):
        bar.set_size(size)
        assert bar._bar is not None
        bar._bar.delay = 0
        bar.relative_update(2)
        bar._bar.refresh()
    bar.close()
    bar.close()

    assert "2/5" in screen.getvalue()
    assert "2/3" in screen.getvalue()
    assert screen.getvalue().endswith("\r")


def test_a_failed_thread_of_a_library_is_told_to_nobody_but_debug(
    stderr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its traceback is no answer to the user, and would go past the redaction."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)

    def told(level: LogLevel) -> str:
        reporting.configure(level)
        thread = threading.Thread(target=lambda: 1 // 0)
        thread.start()
        thread.join()
        return stderr.read_text(encoding="utf-8")

    assert told("info") == ""
    assert "ZeroDivisionError" in told("debug")
