"""Own the result of a fetch: a folder of plain files with a revision and a digest."""

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cmp_core.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Artifact:
    """What one fetch brought, as it lies on the disk.

    Attributes:
        root: The folder that holds the files.
        files: Every file's path below the root, with ``/`` between its parts, in byte order.
        revision: The state of the source that was read, ``sha256:`` and 64 hex digits; the backend defines over what.
        digest: ``sha256:`` over the paths and bytes of all files (`digest_files`).
        size: The bytes of all files together.
    """

    root: Path
    files: tuple[str, ...]
    revision: str
    digest: str
    size: int

    @classmethod
    def from_directory(cls, root: Path, *, revision: str = "") -> "Artifact":
        """Describe the folder `root`, which a backend has filled.

        Args:
            root: A folder that holds regular files and folders only.
            revision: The state of the source; the digest stands in where a source has none.

        Raises:
            IntegrityError: Something below the root is neither a regular file nor a folder.
        """
        files = list_files(root)
        digest, size = digest_files(root, files)
        return cls(root=root, files=files, revision=revision or digest, digest=digest, size=size)


def combine_revisions(revisions: Iterable[str]) -> str:
    """Return one revision that stands for several in their order: that of a source that holds others."""
    whole = hashlib.sha256("".join(f"{revision}\n" for revision in revisions).encode())
    return f"sha256:{whole.hexdigest()}"


def byte_order(path: str) -> bytes:
    """Return the sort key under which S3 lists keys: the bytes of the UTF-8 text."""
    return path.encode("utf-8", "surrogateescape")


def list_files(root: Path) -> tuple[str, ...]:
    """Return the path below `root` of every regular file, in byte order.

    Raises:
        IntegrityError: There is a symbolic link, a device, a socket or a FIFO.
    """
    found: list[str] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                elif entry.is_file(follow_symlinks=False):
                    found.append(path)
                else:
                    kind = stat.filemode(entry.stat(follow_symlinks=False).st_mode)[0]
                    raise IntegrityError(
                        f"`{path}` is neither a file nor a folder (type `{kind}`): a source may hold plain files only"
                    )
    return tuple(sorted(found, key=byte_order))


def digest_files(root: Path, files: tuple[str, ...]) -> tuple[str, int]:
    """Return the digest over the paths and bytes of `files`, and their bytes together.

    Each file enters as its path's length and text, its size, and its bytes, so that no two
    different folders have one digest.
    """
    whole = hashlib.sha256()
    size = 0
    for path in files:
        name = byte_order(path)
        with (root / path).open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            whole.update(b"%d %s %d\n" % (len(name), name, length))
            while chunk := file.read(1 << 20):
                whole.update(chunk)
        size += length
    return f"sha256:{whole.hexdigest()}", size
