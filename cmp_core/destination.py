"""Own what a copy writes: new files and folders below one folder, whatever their names try, and their removal."""

import contextlib
import errno
import os
import unicodedata
from collections.abc import Callable, Sequence

from cmp_core.errors import CmpError, IntegrityError, OutputError
from cmp_core.selection import check_path, folders_of, quote_path

_NAME_IS_TAKEN = frozenset({errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOTDIR})
_NAME_IS_UNFIT = frozenset({errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG})


class Destination:
    """The folder that a copy fills; every file and folder in it is new, so that no link can lead out of it.

    It works on text and descriptors rather than on `Path` and file objects: ten thousand small files should cost
    little more than their system calls.
    """

    def __init__(self, root: str, paths: Sequence[str]) -> None:
        """Take the existing folder `root`, and the paths that will be created, to tell which two of them collide."""
        self._root = root
        self._paths = paths
        self._folders: set[str] = set()
        self._created: list[tuple[Callable[[str], None], str]] = []

    def create(self, path: str) -> int:
        """Create the file and the folders above it, and return the descriptor to write to.

        Raises:
            IntegrityError: The name is unsafe, or the disk cannot hold it beside the others.
            OutputError: The disk has no room or no right for it.
        """
        check_path(path)
        self._create_folders(path)
        try:
            descriptor = os.open(f"{self._root}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise self._refusal(path, error) from error
        self._created.append((os.unlink, path))
        return descriptor

    def undo(self) -> None:
        """Remove everything that was created."""
        for remove, path in reversed(self._created):
            with contextlib.suppress(OSError):
                remove(f"{self._root}/{path}")

    def _create_folders(self, path: str) -> None:
        if path.rpartition("/")[0] in self._folders:
            return
        for folder in folders_of(path):
            if folder in self._folders:
                continue
            try:
                os.mkdir(f"{self._root}/{folder}", 0o700)  # noqa: PTH102  # see the class
            except OSError as error:
                raise self._refusal(folder, error) from error
            self._folders.add(folder)
            self._created.append((os.rmdir, folder))

    def _refusal(self, path: str, error: OSError) -> CmpError:
        if error.errno in _NAME_IS_TAKEN:
            twin = self._twin_of(path)
            reason = f"the disk takes {quote_path(twin)} for the same name" if twin else "the name is taken already"
        elif error.errno in _NAME_IS_UNFIT:
            reason = str(error.strerror).lower()
        else:
            return _disk_error(path, error)
        return IntegrityError(f"{quote_path(path)} cannot be stored ({reason}): rename it at the source, or exclude it")

    def _twin_of(self, path: str) -> str | None:
        """Return the other path that a disk which folds case or normalises Unicode takes for `path`."""
        depth = path.count("/") + 1
        others = ("/".join(other.split("/")[:depth]) for other in self._paths)
        return next((other for other in others if other != path and fold(other) == fold(path)), None)


def write(descriptor: int, chunk: bytes, path: str) -> None:
    """Write the whole chunk to the file `path`.

    Raises:
        OutputError: The disk did not take it.
    """
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise _disk_error(path, error) from error


def fold(path: str) -> str:
    """Return what two paths share that a disk takes for one, where it folds case or normalises Unicode."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _disk_error(path: str, error: OSError) -> OutputError:
    return OutputError(
        f"the scratch folder did not take {quote_path(path)} ({error.strerror}): give the sidecar's disk more room, "
        "and its user the right to write there"
    )
