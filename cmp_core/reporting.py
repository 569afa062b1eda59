"""Own what goes to stderr: short redacted lines, all of them together small enough for Argo CD's UI."""

import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from cmp_core.bootstrap import LogFormat, LogLevel
from cmp_core.deadline import INTERRUPTED, TERMINATED, Terminated
from cmp_core.environment import NoProgress, Progress, process_variables
from cmp_core.errors import CmpError
from cmp_core.redact import Redactor, secret_values
from cmp_core.summary import Summary

if TYPE_CHECKING:
    from tqdm import tqdm

MAX_BYTES = 4096
"""All that one process says, unless the level is ``debug``."""

MAX_LINE_BYTES = 512
MAX_ERROR_BYTES = 3072
"""What is kept free for the error, whatever was said before it."""

STDERR = 2

_FIELD_BYTES = {"application": 320, "project": 320, "source": 640, "revision": 128}
"""What the texts of a summary take up in a line of JSON at the most; the rest is for the message."""

_LONGEST_MESSAGE = 16 * 1024


class StderrHandler(logging.Handler):
    """Writes each record as one redacted line, in text or in JSON, and no more than `MAX_BYTES` of them."""

    def __init__(
        self,
        redactor: Redactor,
        log_format: LogFormat = "text",
        summary: Summary | None = None,
        *,
        is_verbose: bool = False,
    ) -> None:
        """Write through `redactor` in `log_format`; verbose is without bounds and with tracebacks.

        Args:
            redactor: What takes the secrets out of every text.
            log_format: How a line is written.
            summary: The request that the lines are about, if they are about one.
            is_verbose: Whether the level is ``debug``.
        """
        super().__init__()
        self._redactor = redactor
        self._format = log_format
        self._summary = summary
        self._is_verbose = is_verbose
        self._room = MAX_BYTES

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a closed stderr is no error of the request."""
        if self._format == "json" and hasattr(record, "is_in_summary"):
            return
        line = self._verbose_line(record) if self._is_verbose else self._bounded_line(record)
        self._room -= len(line)
        try:
            os.write(STDERR, line)
        except OSError:
            return

    def _verbose_line(self, record: logging.LogRecord) -> bytes:
        text = _message(record)
        if not (record.exc_info and record.exc_info[1]):
            return self._line(record, self._redactor(text))
        trace = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        return self._line(record, self._redactor(text), self._redactor(f"\n{trace}"))

    def _bounded_line(self, record: logging.LogRecord) -> bytes:
        is_last = record.levelno >= logging.ERROR or hasattr(record, "outcome")
        room = self._room if is_last else min(MAX_LINE_BYTES, self._room - MAX_ERROR_BYTES)
        whole = self._redactor(_message(record)[:_LONGEST_MESSAGE]).encode("utf-8", "backslashreplace")
        line = self._line(record, whole.decode())
        kept = len(whole)
        while len(line) > room:
            if kept <= 0:
                return b""
            kept = min(kept - 1, kept * max(room, 0) // len(line))
            line = self._line(record, f"{whole[:kept].decode('utf-8', 'ignore')}… ({len(whole) - kept} more bytes)")
        return line

    def _line(self, record: logging.LogRecord, text: str, trace: str = "") -> bytes:
        if self._format == "json":
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
            line = {"time": stamp, "level": record.levelname.lower(), "logger": record.name, "message": text + trace}
            return f"{_as_json(line | self._fields(record))}\n".encode()
        prefix = "error: " if record.levelno >= logging.ERROR else ""
        suffix = f" [request {self._summary.request}]" if self._summary else ""
        return f"{prefix}{text}{suffix}{trace}\n".encode()

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what a line of JSON holds beside the message: which request, and in the end how it went."""
        summary = self._summary
        if summary is None:
            return {}
        if not hasattr(record, "outcome"):
            return {"request": summary.request}
        texts = {key: getattr(summary, key) for key in _FIELD_BYTES}
        told = {key: text and _cut(self._redactor(text), _FIELD_BYTES[key]) for key, text in texts.items()}
        return {
            "request": summary.request,
            "application": told["application"],
            "project": told["project"],
            "source": told["source"],
            "objects": summary.objects,
            "bytes": summary.bytes,
            "revision": told["revision"],
            "manifests": summary.manifests,
            "renderer": summary.renderer,
            "seconds": summary.seconds,
            "outcome": record.outcome,
            "exitCode": getattr(record, "exit_code", 0),
        }


def configure(level: LogLevel = "info", log_format: LogFormat = "text", summary: Summary | None = None) -> None:
    """Send our own messages to stderr, and the libraries' too where the level is ``debug``.

    Args:
        level: How much is said.
        log_format: How a line is written.
        summary: The request that all lines will be about, where there is one.
    """
    is_verbose = level == "debug"
    redactor = Redactor(secret_values(process_variables()))
    handler = StderrHandler(redactor, log_format, summary, is_verbose=is_verbose)
    root = logging.getLogger()
    root.handlers = [handler if is_verbose else logging.NullHandler()]
    root.setLevel(logging.DEBUG if is_verbose else logging.WARNING)
    own = logging.getLogger("cmp_core")
    own.handlers = [] if is_verbose else [handler]
    own.propagate = is_verbose
    own.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_thread_failure


def fail(error: CmpError) -> None:
    """Say the one error that ends the process, with a traceback only where the level is ``debug``."""
    log = logging.getLogger("cmp_core")
    if not log.hasHandlers():
        configure()
    log.error(
        "%s",
        error,
        exc_info=error if log.isEnabledFor(logging.DEBUG) else None,
        extra={"outcome": type(error).__name__, "exit_code": error.exit_code},
    )


def give_up(end: Terminated | KeyboardInterrupt, step: str) -> None:
    """Say that a signal ended the request, and what it was doing."""
    is_terminated = isinstance(end, Terminated)
    logging.getLogger("cmp_core").error(
        "stopped by %s while %s: run it again",
        "SIGTERM" if is_terminated else "SIGINT",
        step,
        extra={
            "outcome": "Terminated" if is_terminated else "Interrupted",
            "exit_code": TERMINATED if is_terminated else INTERRUPTED,
        },
    )


def conclude(summary: Summary) -> None:
    """Say how much a request was that has given all its manifests away; `init` leaves that to `generate`."""
    if summary.manifests is None:
        return
    logging.getLogger("cmp_core").info(
        "rendered %d manifests of %s%s, revision %s, in %.2f s",
        summary.manifests,
        summary.source,
        f" with {summary.renderer}" if summary.renderer else "",
        (summary.revision or "")[:19],
        summary.seconds["render"],
        extra={"outcome": "ok", "exit_code": 0},
    )


@contextmanager
def progress() -> Iterator[Progress]:
    """Show how far a fetch is, where stderr is a terminal."""
    if not os.isatty(STDERR):
        yield NoProgress()
        return
    bar = TerminalProgress()
    try:
        yield bar
    finally:
        bar.close()


class TerminalProgress:
    """A bar on stderr that appears when a fetch takes more than a second."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        self._bar: tqdm[NoReturn] | None = None

    def set_size(self, size: int) -> None:
        """Begin a bar for `size` objects, in place of an earlier one."""
        from tqdm import tqdm  # noqa: PLC0415  # only for people

        self.close()
        tqdm.monitor_interval = 0
        self._bar = tqdm(total=size, unit=" objects", delay=1, leave=False, file=sys.stderr)

    def relative_update(self, inc: int = 1) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.update(inc)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    """Keep a traceback of a library's thread for ``debug``; whoever waits for the thread tells what it means."""
    logging.getLogger("threading").debug("a thread failed: %r", failure.exc_value, exc_info=failure.exc_value)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cut(text: str, most: int) -> str:
    """Return as much of a text as takes up no more than so many bytes in JSON."""
    kept = text
    while (length := len(_as_json(kept).encode())) > most:
        kept = kept[: min(len(kept) - 2, len(kept) * most // length)] + "…"
    return kept


def _message(record: logging.LogRecord) -> str:
    """Return what a record says; a library's record may not fit its own arguments."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)
