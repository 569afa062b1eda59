"""Own the scratch folder below the working directory, in which `init` leaves what it fetched for `generate`.

The working directory is somebody's Git repository, so nothing that lies in it is believed for its
name alone. The folder's name is made with a key that never leaves the sidecar, and its record bears
an authentication code made with the same key over what was fetched, for which request and when.
A folder or a link that came with the repository has neither: it is not looked at, and not touched.
"""

import errno
import hashlib
import hmac
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmp_core.artifact import Artifact
from cmp_core.errors import CmpError, OutputError

KEY_BYTES = 32

_RECORD = "record.json"
_FILES = "files"
_PREFIX = ".cmp-core-"
_MOST_RIVALS = 20
_PROMPT_SECONDS = 30.0  # Python alone may take half of it to start on a machine that is overloaded
_UNUSABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, CmpError)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Handover:
    """What `init` left.

    Attributes:
        artifact: What it fetched.
        started: When it began, in seconds of the monotonic clock.
        seconds: How long its steps took, by the names of `cmp_core.summary`.
    """

    artifact: Artifact
    started: float
    seconds: Mapping[str, float | None]

    @property
    def age(self) -> float:
        """The seconds since it began."""
        return time.monotonic() - self.started


class Scratch:
    """The scratch folder of one working directory."""

    def __init__(self, directory: Path, state: Path | None) -> None:
        """Prepare for `directory`.

        Args:
            directory: The application's folder.
            state: The private folder that holds the key; without one nothing can be handed over.
        """
        self._directory = directory
        self._key = _read_key(state) if state else None
        own = self._authenticate(_identity(directory)) if self._key else secrets.token_hex(8)
        self._path = directory / f"{_PREFIX}{own[:16]}"

    def continued_from(self, started: float) -> float | None:
        """Return when `init` began if this process goes on from it, in seconds of the monotonic clock, else None.

        Argo CD runs `generate` as soon as `init` has ended. Who comes later is a person, with a request of their own.

        Args:
            started: When this process started.
        """
        try:
            payload = self._read_record(self._path)
            is_next = started - payload["left"] <= _PROMPT_SECONDS
            return float(payload["started"]) if is_next and payload["boot"] == _boot() else None
        except _UNUSABLE:
            return None

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Make an empty folder for a fetch; whatever is still there at the end is removed.

        Raises:
            OutputError: It cannot be made.
        """
        self._remove_leftovers()
        folder = self._own_folder()
        try:
            yield self._make_workspace(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def leave(
        self,
        files: Path,
        artifact: Artifact,
        *,
        fingerprint: str,
        started: float,
        seconds: Mapping[str, float | None] | None = None,
    ) -> bool:
        """Hand a workspace over to the next process, in one step and in place of any earlier one.

        Args:
            files: What `workspace` gave.
            artifact: What was fetched into it.
            fingerprint: What the request depends on; only an equal one may use it.
            started: When the request began, in seconds of the monotonic clock, which nobody sets back.
            seconds: How long its steps took.

        Returns:
            Whether it was left: not where there is no key.

        Raises:
            OutputError: The disk did not take it.
        """
        if not self._key:
            return False
        payload = json.dumps(
            {
                "fingerprint": fingerprint,
                "started": started,
                "left": time.monotonic(),
                "boot": _boot(),
                "seconds": dict(seconds or {}),
                "root": artifact.root.relative_to(files).as_posix(),
                "revision": artifact.revision,
                "digest": artifact.digest,
            }
        )
        record = json.dumps({"payload": payload, "code": self._authenticate(payload)})
        try:
            (files.parent / _RECORD).write_text(record, encoding="utf-8")
            (files.parent / ".gitignore").write_text("*\n", encoding="utf-8")
            self._put_in_place(files.parent)
        except OSError as error:
            raise OutputError(
                f"{self._directory.absolute()}: cannot keep there what was fetched ({error.strerror}): "
                "leave room on its disk"
            ) from error
        return True

    def _put_in_place(self, folder: Path) -> None:
        """Rename `folder`, again if another process has put its own there between our two steps."""
        aside = self._path.with_name(f"{self._path.name}.old.{os.getpid()}")
        for rivals in range(_MOST_RIVALS + 1):
            with suppress(FileNotFoundError):
                self._path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
            try:
                folder.rename(self._path)
            except OSError as error:
                if rivals == _MOST_RIVALS or error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
            else:
                return

    @contextmanager
    def taken(self, *, fingerprint: str, max_age: float) -> Iterator[Handover | None]:
        """Take what `init` left, if it is ours, whole, fresh and for this very request; remove it afterwards.

        Args:
            fingerprint: What this request depends on.
            max_age: The seconds that may have passed since `init` began.
        """
        folder = self._own_folder()
        try:
            self._path.rename(folder)
        except OSError:
            yield None
            return
        try:
            yield self._verified(folder, fingerprint, max_age)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _verified(self, folder: Path, fingerprint: str, max_age: float) -> Handover | None:
        try:
            if not stat.S_ISDIR(folder.lstat().st_mode):
                folder.unlink()
                return None
            payload = self._read_record(folder)
            artifact = Artifact.from_directory(folder / _FILES / payload["root"], revision=payload["revision"])
            handover = Handover(artifact, payload["started"], payload["seconds"])
            is_ours = (payload["fingerprint"], payload["digest"]) == (fingerprint, artifact.digest)
            is_fresh = payload["boot"] == _boot() and 0 <= handover.age <= max_age
        except _UNUSABLE:
            return None
        return handover if is_ours and is_fresh else None

    def _read_record(self, folder: Path) -> Mapping[str, Any]:
        """Return what a record says, or raise one of `_UNUSABLE` where it is not ours."""
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        if not self._key or not hmac.compare_digest(self._authenticate(record["payload"]), record["code"]):
            raise ValueError("this record was made by nobody who has the key")
        payload: Mapping[str, Any] = json.loads(record["payload"])
        return payload

    def _make_workspace(self, folder: Path) -> Path:
        files = folder / _FILES
        try:
            files.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise OutputError(
                f"{self._directory.absolute()}: cannot make a scratch folder there ({error.strerror}): "
                "make the folder writable and leave room on its disk"
            ) from error
        return files

    def _own_folder(self) -> Path:
        """Return a new name that tells whose it is: a process id alone may come again after a kill."""
        return self._path.with_name(f"{self._path.name}.{os.getpid()}-{secrets.token_hex(4)}")

    def _authenticate(self, text: str) -> str:
        return hmac.new(self._key or b"", text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()

    def _remove_leftovers(self) -> None:
        """Remove what processes of ours that were killed left in this folder."""
        for leftover in self._directory.glob(f"{self._path.name}.*-*"):
            pid = leftover.suffix[1:].partition("-")[0]
            if pid.isdecimal() and not _is_running(int(pid)):
                shutil.rmtree(leftover, ignore_errors=True)


def request_id(directory: Path) -> str:
    """Return eight hex digits that the processes of one request share, and hardly another request has.

    Argo CD makes a new folder for every request, and runs `init` and `generate` in it.
    """
    try:
        identity = _identity(directory)
    except OSError:
        identity = str(directory)
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _identity(directory: Path) -> str:
    status = directory.stat()
    return f"{directory.resolve()}\0{status.st_dev}\0{status.st_ino}"


def _boot() -> str:
    """Return what tells one run of the machine from the next, which begins its monotonic clock anew."""
    try:
        return _BOOT_ID.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _read_key(state: Path) -> bytes | None:
    """Return the sidecar's key, made by whichever process comes first; None where the folder does not take it."""
    path = state / "scratch.key"
    try:
        if not path.exists():
            _create_key(path)
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == KEY_BYTES else None


def _create_key(path: Path) -> None:
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        os.link(new, path)
    except FileExistsError:
        return
    finally:
        new.unlink(missing_ok=True)
