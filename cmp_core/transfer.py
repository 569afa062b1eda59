"""Own the copy from a remote store to the disk: bounded, filtered, path-safe, whole or not at all."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmp_core.artifact import Artifact
from cmp_core.destination import Destination, write
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import (
    FetchError,
    IntegrityError,
    SourceAccessError,
    SourceNotFoundError,
    TransientFetchError,
)
from cmp_core.filewriter import FileWriter
from cmp_core.models import Source
from cmp_core.selection import (
    UNKNOWN_SIZE,
    RemoteFile,
    announced_size,
    check_limits,
    check_path,
    filter_paths,
    most_listed,
    quote_path,
    revision_of,
    select_files,
)

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = [
    "CHUNK_BYTES",
    "UNKNOWN_SIZE",
    "FileWriter",
    "Read",
    "RemoteFile",
    "check_path",
    "copy_files",
    "copy_folder",
    "filter_paths",
    "most_listed",
    "quote_path",
    "revision_of",
    "select_files",
]

CHUNK_BYTES = 256 * 1024

Read = Callable[[RemoteFile], AsyncIterator[bytes]]
"""Opens one remote file and yields its bytes, chunk by chunk."""

_SERVICE_TAGS = ("ETag", "etag", "md5", "sha")


async def copy_files(
    files: Sequence[RemoteFile],
    read: Read,
    destination: Path,
    environment: BuildEnvironment,
    source: Source | None = None,
) -> None:
    """Copy all files concurrently; on the first failure take back what was written and raise.

    At most ``environment.settings.max_connections`` files are open at once, and of each no more is held than
    the chunk that `read` has just yielded.

    Args:
        files: What `select_files` returned.
        read: Opens one of them; closed at once where it fails or yields too much.
        destination: An existing folder in which none of the files lies yet.
        environment: Bounds the copy, and hears of its progress.
        source: Whose limits hold for files without a size, whose bytes are counted as they come.

    Raises:
        IntegrityError: A file has more or fewer bytes than were announced, its name cannot be stored, or it has no
            size and there is no `source`.
        LimitExceededError: A file without a size has more bytes than the limits leave; the surplus is not kept.
        DeadlineExceededError: The time ran out.
        OutputError: The disk did not take a file.
        Exception: The first that `read` raised.
    """
    environment.deadline.check()
    environment.progress.set_size(len(files))
    target = Destination(os.fspath(destination), [file.path for file in files])
    account = _Account(files, source, environment)
    queue = iter(files)
    limit = asyncio.timeout(environment.deadline.remaining())
    try:
        async with limit:
            await _run_workers(
                min(environment.settings.max_connections, len(files)),
                lambda: _copy_from(queue, read, target, account, environment),
            )
    except BaseException:
        target.undo()
        if limit.expired():
            raise environment.deadline.error() from None
        raise


def copy_folder(
    filesystem: "AbstractFileSystem", root: str, destination: Path, source: Source, environment: BuildEnvironment
) -> Artifact:
    """Copy a folder, or one file, of any fsspec filesystem; what comes out is a state that it really had.

    The folder is listed before and after. A symbolic link is followed on the local disk only, and only to a
    file below the root. Call it from a thread that runs no event loop.

    Args:
        filesystem: Any filesystem of fsspec; an asynchronous one is used by its synchronous methods.
        root: The folder or file on it.
        destination: An existing empty folder.
        source: Says what is included and excluded, and sets limits of its own.
        environment: Bounds the copy, and hears of its progress.

    Returns:
        The artifact. Its revision is `revision_of` its files where the service gives each of them an ETag or a
        checksum, and otherwise the digest.

    Raises:
        SourceNotFoundError: There is no such folder, or no file in it that the source asks for.
        SourceAccessError: The filesystem denies it.
        TransientFetchError: The folder changed while it was read.
        FetchError: Whatever else `select_files`, `copy_files` or the filesystem has to complain of.
    """
    try:
        folder = _Folder(filesystem, root, source, environment)
        files = folder.select_files()
        with asyncio.Runner() as runner:
            # asyncio's own pool grows with the cores of the machine, whoever needs the threads.
            threads = ThreadPoolExecutor(environment.settings.max_connections, thread_name_prefix="copy")
            runner.get_loop().set_default_executor(threads)
            runner.run(copy_files(files, folder.read, destination, environment, source))
        if folder.select_files() != files:
            raise _changed(source)
    except OSError as error:
        raise _explain(error, source) from error
    return Artifact.from_directory(destination, revision=revision_of(files) if folder.has_tags else "")


class _Account:
    """Counts the bytes of files whose sizes nobody knows before, beside those that were announced."""

    def __init__(self, files: Sequence[RemoteFile], source: Source | None, environment: BuildEnvironment) -> None:
        self._source = source
        self._limits = source.limits.under(environment.settings.limits) if source else None
        self._count = len(files)
        self._total = sum(map(announced_size, files))

    def take(self, file: RemoteFile, received: int, more: int) -> None:
        """Count `more` bytes of a file, of which `received` have come with them, or raise `LimitExceededError`."""
        if self._source is None or self._limits is None:
            raise IntegrityError(f"{quote_path(file.path)} is listed without its size: exclude it")
        self._total += more
        check_limits(replace(file, size=received), self._count, self._total, self._source, self._limits)


async def _run_workers(count: int, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `work` `count` times at once; where one fails, end the others and raise its error by itself."""
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        failure = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if failure is not None:
        raise failure


async def _copy_from(
    queue: Iterator[RemoteFile], read: Read, target: Destination, account: "_Account", environment: BuildEnvironment
) -> None:
    """Copy one file after the other from a queue that all workers share."""
    for file in queue:
        descriptor = target.create(file.path)
        try:
            await _copy_file(file, read(file), descriptor, account, environment)
        finally:
            os.close(descriptor)
        environment.progress.relative_update(1)


async def _copy_file(
    file: RemoteFile,
    chunks: AsyncIterator[bytes],
    descriptor: int,
    account: "_Account",
    environment: BuildEnvironment,
) -> None:
    received = 0
    try:
        environment.deadline.check()
        async for chunk in chunks:
            environment.deadline.check()
            received += len(chunk)
            if file.size == UNKNOWN_SIZE:
                account.take(file, received, len(chunk))
            elif received > file.size:
                break
            write(descriptor, chunk, file.path)
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    if received != file.size != UNKNOWN_SIZE:
        raise IntegrityError(
            f"{quote_path(file.path)} was listed with {file.size} bytes and sent "
            f"{received if received < file.size else 'more'}: try again when nobody writes to it"
        )


class _Folder:
    """A folder of an fsspec filesystem; a single file is the folder that holds only this file."""

    def __init__(
        self, filesystem: "AbstractFileSystem", root: str, source: Source, environment: BuildEnvironment
    ) -> None:
        try:
            entry = filesystem.info(root)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceNotFoundError(f"{source.location} does not exist: check its path") from error
        self._filesystem = filesystem
        self._top = str(entry["name"])
        is_folder = entry["type"] == "directory" and self._top  # the root of some filesystems is the empty path
        self._prefix = f"{self._top.rstrip('/')}/" if is_folder else self._top[: self._top.rfind("/") + 1]
        self._source = source
        self._environment = environment
        self._unusual: set[str] = set()
        self.has_tags = True

    def select_files(self) -> tuple[RemoteFile, ...]:
        """List the folder and return what the source asks for, never nothing."""
        limits = self._source.limits.under(self._environment.settings.limits)
        self._filesystem.invalidate_cache()
        files = select_files(self._list(), self._source, limits)
        if not files:
            asked = " that `include` and `exclude` leave" if self._source.include or self._source.exclude else ""
            raise SourceNotFoundError(f"{self._source.location} holds no file{asked}: put one there, or check its path")
        for file in files:
            if file.path in self._unusual and not self._is_link_to_file_below(file.path):
                raise IntegrityError(
                    f"{quote_path(file.path)} in {self._source.location} is a link to somewhere else, or no file at "
                    "all: put a plain file there, or exclude it"
                )
        return files

    async def read(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """Yield the file's bytes, which are read in a thread."""
        chunks = self._read_chunks(file.path)
        try:
            is_more = True
            while is_more:
                # Two at once: the chunk of a small file, and the end behind it, cost a single change of threads.
                batch = await asyncio.to_thread(list, islice(chunks, 2))
                is_more = len(batch) > 1
                for chunk in batch:
                    yield chunk
        finally:
            # A thread that cannot be interrupted may still be inside: then the last reference to it closes the file.
            with contextlib.suppress(ValueError):
                chunks.close()

    def _read_chunks(self, path: str) -> Generator[bytes]:
        with self._filesystem.open(f"{self._prefix}{path}", "rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk

    def _list(self) -> Iterator[RemoteFile]:
        """List all files. fsspec's own walk would leave out a subfolder that it cannot read, without a word."""
        folders = [self._top]
        while folders:
            self._environment.deadline.check()
            folder = folders.pop()
            for entry in self._filesystem.ls(folder, detail=True):
                if entry["type"] != "directory":
                    yield self._describe(entry)
                elif entry["name"] != folder:
                    folders.append(self._subfolder(entry["name"], folder))

    def _subfolder(self, name: str, folder: str) -> str:
        subfolder = name.rstrip("/")
        if subfolder == folder.rstrip("/"):
            raise IntegrityError(
                f"{quote_path(name)} in {self._source.location} is a folder without a name: rename it at the source"
            )
        return subfolder

    def _describe(self, entry: dict[str, Any]) -> RemoteFile:
        path = entry["name"].removeprefix(self._prefix)
        if entry["type"] != "file" or entry.get("islink"):
            self._unusual.add(path)
        size = UNKNOWN_SIZE if entry["size"] is None else int(entry["size"])
        tag = next((entry[key] for key in _SERVICE_TAGS if entry.get(key)), None)
        if tag is None:
            self.has_tags = False
            tag = f"{entry.get('mtime', entry.get('created'))}-{entry.get('ino')}-{size}"
        return RemoteFile(path, size, str(tag))

    def _is_link_to_file_below(self, path: str) -> bool:
        from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415  # loads slowly, and only links need it

        target = os.path.realpath(f"{self._prefix}{path}")
        base = os.path.realpath(self._prefix)
        return (
            isinstance(self._filesystem, LocalFileSystem)
            and os.path.commonpath([target, base]) == base
            and Path(target).is_file()
        )


def _changed(source: Source) -> TransientFetchError:
    return TransientFetchError(f"{source.location} changed while it was read: try again when nobody writes to it")


def _explain(error: OSError, source: Source) -> FetchError:
    """Return what an error of the filesystem means to the user."""
    name = f" ({quote_path(str(error.filename))})" if error.filename else ""
    if isinstance(error, FileNotFoundError):
        return _changed(source)
    if isinstance(error, PermissionError):
        return SourceAccessError(
            f"access to {source.location} was denied{name}: give the sidecar's identity the right to list and read it"
        )
    return FetchError(f"{source.location} could not be read{name}: {error.strerror or type(error).__name__}")
