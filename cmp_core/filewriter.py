"""Own the files that come one after the other, whose sizes nobody knows before: bounded, path-safe, all or none."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from cmp_core.destination import Destination, fold, write
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import IntegrityError, LimitExceededError
from cmp_core.models import Source
from cmp_core.selection import (
    RemoteFile,
    check_limits,
    check_listed,
    check_path,
    compile_filter,
    folders_of,
    quote_path,
)

LONGEST_PATH = 1024
"""The most bytes of a path, as of a key of S3."""

DEEPEST = 64
"""The most parts of a path."""

_FOLDERS_TO_SPARE = 1000


class FileWriter:
    """Writes the files of a stream, such as an archive, as they come; where the block fails, none of them is left.

    What `select_files` and `copy_files` do for a listing, done for a stream: the filter, the limits, counted on the
    bytes that really come, the names, the collisions. A pair of names is refused that some disk takes for one, so
    that the result does not depend on the disk. Memory grows with the names of the files that are wanted, by no more
    than the limits allow, and with nothing else::

        with FileWriter(destination, source, environment) as writer:
            for path, chunks in stream:
                if writer.is_wanted(path):
                    writer.write(path, chunks)

    Attributes:
        files: How many files were written.
    """

    def __init__(self, destination: Path, source: Source, environment: BuildEnvironment) -> None:
        """Write into the existing empty folder `destination` what `source` asks for.

        Raises:
            SourceValidationError: A pattern of the source is malformed.
        """
        self.files = 0
        self._source = source
        self._environment = environment
        self._limits = source.limits.under(environment.settings.limits)
        self._passes_filter = compile_filter(source)
        self._listed = 0
        self._folders = 0
        self._bytes = 0
        self._names: dict[str, tuple[str, bool]] = {}
        self._target = Destination(os.fspath(destination), ())

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take back what was written if the block failed."""
        if kind is not None:
            self._target.undo()

    def is_wanted(self, path: str) -> bool:
        """Tell whether the source's filter leaves the path; ask this of everything that comes, since it is counted.

        Args:
            path: The path of a file, or with ``/`` behind it that of a folder; an empty one is never wanted.

        Raises:
            LimitExceededError: More has come than may be looked through.
        """
        self._environment.deadline.check()
        self._listed += 1
        check_listed(self._listed, self._source, self._limits)
        return bool(path) and self._passes_filter(path)

    def write(self, path: str, chunks: Iterable[bytes], *, size: int | None = None) -> None:
        """Write one file.

        Args:
            path: Its path below the destination; not to be trusted.
            chunks: Its bytes; of more than the limits allow, nothing is kept and nothing further is asked for.
            size: How many bytes were announced, if any were; not to be trusted.

        Raises:
            IntegrityError: The path cannot be stored, came before, or there are more or fewer bytes than announced.
            LimitExceededError: The limits do not allow it.
            OutputError: The disk did not take it.
        """
        self._claim(path, is_folder=False)
        self._check_limits(path, size or 0)
        descriptor = self._target.create(path)
        received = 0
        try:
            for chunk in chunks:
                self._environment.deadline.check()
                received += len(chunk)
                if size is not None and received > size:
                    break
                self._check_limits(path, received)
                write(descriptor, chunk, path)
        finally:
            os.close(descriptor)
        if size is not None and received != size:
            raise IntegrityError(
                f"{quote_path(path)} in {self._source.location} was announced with {size} bytes and has "
                f"{received if received < size else 'more'}: put it there again"
            )
        self.files += 1
        self._bytes += received
        self._environment.progress.relative_update(1)

    def add_folder(self, path: str) -> None:
        """Take note of a folder, so that no file takes its name; it is made only where it has a file.

        Raises:
            IntegrityError: The path cannot be stored, or is that of a file.
            LimitExceededError: There are too many folders.
        """
        self._claim(path, is_folder=True)

    def _check_limits(self, path: str, size: int) -> None:
        file = RemoteFile(path, size, "")
        check_limits(file, self.files + 1, self._bytes + size, self._source, self._limits)

    def _claim(self, path: str, *, is_folder: bool) -> None:
        check_path(path)
        if len(path.encode()) > LONGEST_PATH or path.count("/") >= DEEPEST:
            raise IntegrityError(
                f"{quote_path(path)} cannot be stored (its path has more than {LONGEST_PATH} bytes or {DEEPEST} "
                "parts): rename it at the source, or exclude it"
            )
        parent = path.rpartition("/")[0]
        if self._names.get(fold(parent)) != (parent, True):
            for folder in folders_of(path):
                self._claim_name(folder, is_folder=True)
        self._claim_name(path, is_folder=is_folder)

    def _claim_name(self, name: str, *, is_folder: bool) -> None:
        """Let the name be that of one file, or of one folder that may be named often."""
        before = self._names.get(fold(name))
        if before is None:
            self._folders += is_folder
            if self._folders > self._limits.objects + _FOLDERS_TO_SPARE:
                raise LimitExceededError(
                    f"{self._source.location} has more folders than its objects need, {quote_path(name)} is one too "
                    "many: put its files into fewer, or ask for less with `include` and `exclude`"
                )
            self._names[fold(name)] = name, is_folder
        elif before != (name, True) or not is_folder:
            raise IntegrityError(self._collision(name, *before, is_folder=is_folder))

    def _collision(self, name: str, other: str, other_is_folder: bool, *, is_folder: bool) -> str:  # noqa: FBT001  # a pair that is kept so
        where = f"{quote_path(name)} in {self._source.location}"
        if name != other:
            return f"{where} cannot be stored (some disks take {quote_path(other)} for the same name): rename one"
        if other_is_folder != is_folder:
            return f"{where} is a file and a folder: rename one"
        return f"{where} comes twice: leave one there"
