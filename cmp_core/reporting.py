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
from typing import TYPE_CHECKING, Literal, NoReturn

from cmp_core.environment import NoProgress, Progress, process_variables
from cmp_core.errors import CmpError
from cmp_core.redact import Redactor, secret_values

if TYPE_CHECKING:
    from tqdm import tqdm

MAX_BYTES = 4096
"""All that one process says, unless the level is ``debug``."""

MAX_LINE_BYTES = 512
MAX_ERROR_BYTES = 3072
"""What is kept free for the error, whatever was said before it."""

STDERR = 2

_LONGEST_MESSAGE = 16 * 1024


class StderrHandler(logging.Handler):
    """Writes each record as one redacted line, in text or in JSON, and no more than `MAX_BYTES` of them."""

    def __init__(
        self, redactor: Redactor, log_format: Literal["text", "json"] = "text", *, is_verbose: bool = False
    ) -> None:
        """Write through `redactor` in `log_format`; verbose is without bounds and with tracebacks."""
        super().__init__()
        self._redactor = redactor
        self._format = log_format
        self._is_verbose = is_verbose
        self._room = MAX_BYTES

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a closed stderr is no error of the request."""
        line = self._verbose_line(record) if self._is_verbose else self._bounded_line(record)
        self._room -= len(line)
        try:
            os.write(STDERR, line)
        except OSError:
            return

    def _verbose_line(self, record: logging.LogRecord) -> bytes:
        text = _message(record)
        if record.exc_info and record.exc_info[1]:
            text += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        return self._line(record, self._redactor(text))

    def _bounded_line(self, record: logging.LogRecord) -> bytes:
        is_error = record.levelno >= logging.ERROR
        room = self._room if is_error else min(MAX_LINE_BYTES, self._room - MAX_ERROR_BYTES)
        whole = self._redactor(_message(record)[:_LONGEST_MESSAGE]).encode("utf-8", "backslashreplace")
        line = self._line(record, whole.decode())
        kept = len(whole)
        while len(line) > room:
            if kept <= 0:
                return b""
            kept = min(kept - 1, kept * max(room, 0) // len(line))
            line = self._line(record, f"{whole[:kept].decode('utf-8', 'ignore')}… ({len(whole) - kept} more bytes)")
        return line

    def _line(self, record: logging.LogRecord, text: str) -> bytes:
        if self._format == "json":
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
            line = {"time": stamp, "level": record.levelname.lower(), "logger": record.name, "message": text}
            return f"{json.dumps(line, ensure_ascii=False)}\n".encode()
        prefix = "error: " if record.levelno >= logging.ERROR else ""
        return f"{prefix}{text}\n".encode()


def configure(level: str = "info", log_format: Literal["text", "json"] = "text") -> None:
    """Send our own messages to stderr, and the libraries' too where the level is ``debug``."""
    is_verbose = level == "debug"
    handler = StderrHandler(Redactor(secret_values(process_variables())), log_format, is_verbose=is_verbose)
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
    log.error("%s", error, exc_info=error if log.isEnabledFor(logging.DEBUG) else None)


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


def _message(record: logging.LogRecord) -> str:
    """Return what a record says; a library's record may not fit its own arguments."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)
