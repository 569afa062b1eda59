"""Own the reading of files in an application's folder, where a hostile repository may have put anything."""

import errno
import os
import stat
from pathlib import Path

from cmp_core.errors import ConfigError

_REASONS = {errno.ELOOP: "is a symbolic link", errno.ENOTDIR: "lies behind a symbolic link or a file"}


def read_regular_file(folder: Path, path: str, *, max_bytes: int, error_class: type[ConfigError]) -> bytes:
    """Return the first bytes of the file `path` below `folder`, if it is a regular file and no link leads to it.

    Args:
        folder: The application's folder.
        path: A path below it, with ``/`` between its parts.
        max_bytes: How many bytes are read at most.
        error_class: Of what class an error is.

    Raises:
        ConfigError: It does not exist, is no regular file, or cannot be read.
    """
    try:
        descriptor = _open_below(folder, path.split("/"))
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or f"cannot be read ({error.strerror})"
        raise error_class(f"{path}: {reason}: put a readable file in its place") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise error_class(f"{path}: is not a regular file: put a readable file in its place")
    with os.fdopen(descriptor, "rb") as file:
        return file.read(max_bytes)


def _open_below(folder: Path, parts: list[str]) -> int:
    """Open one entry after the other, so that none of them can be a link."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(parts, 1):
        kind = os.O_NONBLOCK if number == len(parts) else os.O_DIRECTORY
        try:
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor
