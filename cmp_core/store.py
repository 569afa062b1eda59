"""Own what outlives a request: the private state folder, and in it a store of objects that need no second download."""

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["Store", "open_store", "store_key"]

STALE_SECONDS = 600
"""The age at which an unfinished file is taken for that of a killed process."""

_KEY = re.compile(r"[0-9a-f]{64}")
_DIGEST_BYTES = 32
_BLOCK_BYTES = 4096
_UNFINISHED = ".tmp"

_log = logging.getLogger(__name__)


class NoStateError(Exception):
    """There is no private folder for what outlives a request; the text says why. Requests do without."""


def state_directory(configured: Path | None, variables: Mapping[str, str]) -> Path | None:
    """Return the private folder for what outlives a request, made if need be, or None if there can be none.

    Private is a real folder that belongs to our user and that nobody else may list, read or write: in a folder
    for temporary files anybody may have put something in its place.

    Args:
        configured: The operator's choice.
        variables: The environment of the process; without a choice, the folder lies in its ``TMPDIR`` or ``/tmp``.
    """
    try:
        return require_state_directory(configured, variables)
    except NoStateError as error:
        _log.debug("%s", error)
        return None


def require_state_directory(configured: Path | None, variables: Mapping[str, str]) -> Path:
    """Return what `state_directory` returns, or say why there is no such folder.

    Raises:
        NoStateError: It cannot be made, or is not private.
    """
    folder = configured or _default_folder(variables)
    if not folder.is_absolute():
        raise NoStateError(f"the state folder {folder} is not used: its path must be absolute")
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
    except (OSError, ValueError) as error:
        raise NoStateError(f"the state folder {folder} cannot be made ({error})") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise NoStateError(f"the state folder {folder} is not used: it must be a folder of our user with mode 0700")
    return folder


def open_store(configured: Path | None, variables: Mapping[str, str], max_bytes: int) -> "Store | None":
    """Return the store in the state folder, or None where it is turned off or there is no private folder for it.

    Args:
        configured: As for `state_directory`.
        variables: As for `state_directory`.
        max_bytes: The operator's ``storeBytes``; 0 turns the store off.
    """
    folder = state_directory(configured, variables) if max_bytes else None
    return Store(folder, max_bytes) if folder else None


def store_key(*parts: str) -> str:
    """Return the key of an object that all `parts` together identify; no two lists of parts share a key."""
    whole = hashlib.sha256()
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        whole.update(b"%d:" % len(text))
        whole.update(text)
    return whole.hexdigest()


class Store:
    """Contents by key, one file for each, safe with any number of processes and after SIGKILL at any point.

    A file holds the SHA-256 of the content and then the content; it appears whole, by rename, and is verified
    whenever it is read. Where there are too many bytes, the entries that were used least recently go first.
    A disk that is full or read-only is no error: what is not stored is downloaded again.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Take the private folder that the store lives in, and the bytes that it may hold."""
        self._objects = folder / "objects"
        self._lock = folder / "eviction.lock"
        self._max_bytes = max_bytes
        self._largest = max_bytes // 8
        # Processes that live for one request begin at random points of the round, so that one in many evicts.
        self._bytes_until_eviction = self._round() * int.from_bytes(os.urandom(2)) >> 16

    def get(self, key: str) -> bytes | None:
        """Return the content that was put under `key`, verified, or None."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                digest = file.read(_DIGEST_BYTES)
                content = file.read(self._largest)
                _mark_as_used(file.fileno())
        except OSError:
            return None
        if hashlib.sha256(content).digest() == digest:
            return content
        _log.debug("the store's file %s is damaged and goes", path)
        _remove(path)
        return None

    def put(self, key: str, content: bytes) -> None:
        """Keep the content under `key`, if the disk takes it and it is no more than an eighth of the store."""
        path = self._path(key)
        if len(content) > self._largest:
            return
        try:
            _write_by_rename(path, content)
        except OSError as error:
            _log.debug("the store did not take an object: %s", error)
            return
        self._bytes_until_eviction -= _on_disk(_DIGEST_BYTES + len(content))
        if self._bytes_until_eviction <= 0:
            self.evict()

    def evict(self) -> None:
        """Bring a store that has outgrown its size to four fifths of it, and remove what killed processes left.

        `put` calls this from time to time. Where another process is at it, nothing is done.
        """
        self._bytes_until_eviction = self._round()
        try:
            with _try_lock(self._lock) as is_locked:
                if is_locked:
                    self._evict()
        except OSError as error:
            _log.debug("nothing was evicted from the store: %s", error)

    def _evict(self) -> None:
        entries = sorted(_list_entries(self._objects))
        total = sum(entry.bytes for entry in entries)
        if total <= self._max_bytes:
            return
        for entry in entries:
            if total <= self._max_bytes * 4 // 5:
                break
            _remove(entry.path)
            total -= entry.bytes

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key of the store: make it with store_key()")
        return self._objects / key[:2] / key[2:]

    def _round(self) -> int:
        """Return how many bytes one process puts between two evictions; others may put as many meanwhile."""
        return self._max_bytes // 16


def _default_folder(variables: Mapping[str, str]) -> Path:
    """Return the folder for a process without settings; a relative TMPDIR would lie in the application's folder."""
    temporary = Path(variables.get("TMPDIR", ""))
    shared = temporary if temporary.is_absolute() else Path("/tmp")  # noqa: S108  # `state_directory` checks what it takes
    return shared / f"cmp-core-{os.geteuid()}"


class _Entry(NamedTuple):
    """One file of the store; entries sort by when they were used."""

    used: int
    bytes: int
    path: Path


def _list_entries(objects: Path) -> Iterator[_Entry]:
    """Yield every file of the store, unfinished ones too, but for those that killed processes left: these go."""
    now = time.time_ns()
    for folder in objects.iterdir():
        with os.scandir(folder) as files:
            for file in files:
                try:
                    status = file.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if file.name.endswith(_UNFINISHED) and now - status.st_mtime_ns > STALE_SECONDS * 10**9:
                    _remove(Path(file.path))
                else:
                    yield _Entry(status.st_mtime_ns, _on_disk(status.st_size), Path(file.path))


def _write_by_rename(path: Path, content: bytes) -> None:
    """Write a file beside `path` and rename it, so that a reader sees all of the content or none."""
    unfinished = path.with_name(f"{path.name}.{os.urandom(8).hex()}{_UNFINISHED}")
    try:  # from here on, since a signal may come as soon as the file is there
        with _create(unfinished) as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
        unfinished.replace(path)
    except BaseException:
        _remove(unfinished)
        raise


def _create(path: Path) -> BinaryIO:
    """Return a new file, and make the two folders above it if need be."""
    try:
        return path.open("xb")
    except FileNotFoundError:
        path.parent.parent.mkdir(mode=0o700, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return path.open("xb")


def _mark_as_used(descriptor: int) -> None:
    """Let the file be the youngest; a store that is read-only serves as it is."""
    with contextlib.suppress(OSError):
        os.utime(descriptor)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _on_disk(size: int) -> int:
    """Return the bytes that a file takes up: small ones take a whole block."""
    return -(-size // _BLOCK_BYTES) * _BLOCK_BYTES


@contextlib.contextmanager
def _try_lock(path: Path) -> Iterator[bool]:
    """Hold a lock that ends with the process, and tell whether it was free."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
