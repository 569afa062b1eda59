"""Own the fetch: one archive from the nested source, verified, and of its files those that are wanted."""

import hashlib
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cmp_backend_tarball.bounds import Bounds
from cmp_backend_tarball.decoding import FORMATS, decode
from cmp_backend_tarball.source import TarballSource
from cmp_backend_tarball.tar import Entry, is_tar, read_tar
from cmp_backend_tarball.zip import MAGICS, read_zip
from cmp_core import (
    Artifact,
    BuildEnvironment,
    FetchNested,
    IntegrityError,
    SourceNotFoundError,
    SourceValidationError,
)
from cmp_core.transfer import CHUNK_BYTES, FileWriter, check_path, quote_path

_SET_ID = stat.S_ISUID | stat.S_ISGID
_REMEDY_LINKS = "pack the files themselves (`tar --dereference --hard-dereference`), or exclude it"
_LONGEST_NAME = 4096

_FILTERED = {
    tarfile.AbsoluteLinkError: ("is a link to an absolute path", _REMEDY_LINKS),
    tarfile.LinkOutsideDestinationError: ("is a link that leads out of the archive", _REMEDY_LINKS),
    tarfile.SpecialFileError: (
        "is a device, a FIFO, or of no known kind",
        "leave it out of the archive, or exclude it",
    ),
}
"""What the standard library's filter for data refuses of a name that is in order, and what to do."""


def fetch_archive(
    source: TarballSource, destination: Path, environment: BuildEnvironment, fetch_nested: FetchNested
) -> Artifact:
    """Bring the files of the archive into `destination`, all that are wanted or none.

    The revision is the archive's. What else decides on the content are the trigger file's own keys.

    Raises:
        SourceNotFoundError: The archive holds no file that is wanted.
        SourceValidationError: The nested source brings more than one file.
        IntegrityError: It is no archive, not the one that `sha256` names, damaged, or holds what cannot be stored.
        LimitExceededError: It holds more than the limits allow.
    """
    bounds = Bounds(source, environment)
    archive, revision = _fetch_file(source, destination / "archive", fetch_nested)
    with archive:
        environment.deadline.step = f"unpacking {source.location}"
        _verify(archive, source, bounds)
        with FileWriter(destination, source, environment) as writer:
            for member, content in _read_entries(archive, bounds):
                _unpack(member, content, writer, source, destination)
            if not writer.files:
                raise _nothing_in(source)
    return Artifact.from_directory(destination, revision=revision)


def _fetch_file(source: TarballSource, folder: Path, fetch_nested: FetchNested) -> tuple[BinaryIO, str]:
    """Fetch the archive and return it open; on the disk it has no name any more, so nothing can collide with it."""
    try:
        artifact = fetch_nested(source.source, folder, key="source")
        if len(artifact.files) != 1:
            some = ", ".join(quote_path(path) for path in artifact.files[:2])
            raise SourceValidationError(
                f"`source`: {source.location} brings {len(artifact.files)} files (among them {some}) and not one "
                "archive: name the archive itself"
            )
        return (artifact.root / artifact.files[0]).open("rb"), artifact.revision
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _verify(archive: BinaryIO, source: TarballSource, bounds: Bounds) -> None:
    """Hold the whole archive against its SHA-256, before anything looks into it."""
    if source.sha256 is None:
        return
    digest = hashlib.sha256()
    while chunk := archive.read(CHUNK_BYTES):
        bounds.take(0)
        digest.update(chunk)
    archive.seek(0)
    if digest.hexdigest() != source.sha256:
        raise IntegrityError(
            f"the archive {source.location} has the SHA-256 {digest.hexdigest()} and not the one in `sha256`: find out "
            "who has replaced it, or correct the trigger file"
        )


def _read_entries(archive: BinaryIO, bounds: Bounds) -> Iterator[Entry]:
    """Read an archive by what it begins with, whatever it is called."""
    head = archive.read(tarfile.BLOCKSIZE)
    archive.seek(0)
    if is_tar(head):  # asked first: it begins with a name, which may be anything
        return read_tar(_read_plain(archive, bounds), bounds)
    if head.startswith(MAGICS):
        return read_zip(archive, bounds)
    magic = next(filter(head.startswith, FORMATS), None)
    if magic is not None:
        return read_tar(decode(archive, magic, bounds), bounds)
    raise bounds.broken("is of no known kind", "pack it as .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst or .zip")


def _read_plain(archive: BinaryIO, bounds: Bounds) -> Iterator[bytes]:
    while chunk := archive.read(CHUNK_BYTES):
        bounds.take(len(chunk))
        bounds.give(len(chunk))
        yield chunk


def _unpack(
    member: tarfile.TarInfo, content: Iterator[bytes], writer: FileWriter, source: TarballSource, destination: Path
) -> None:
    """Write an entry that is wanted, if it can be stored."""
    name = member.name.removeprefix("./")
    if len(name) > _LONGEST_NAME:
        raise IntegrityError(f"{quote_path(name)} in {source.location} has too long a name: rename it in the archive")
    path = _place(name, source)
    if not writer.is_wanted(f"{path}/" if path and member.isdir() else path):
        return
    check_path(name)
    _check_kind(member, source, destination)
    if member.isdir():
        writer.add_folder(path)
    else:
        writer.write(path, content, size=member.size)


def _place(name: str, source: TarballSource) -> str:
    """Return the path below the destination that a name in the archive has, or nothing if it has none."""
    if name in {"", "."}:
        return ""
    if name.startswith("/"):
        return name  # never stripped to something harmless: it is refused
    path = "/".join(name.split("/")[source.strip_components :])
    if source.subpath is None:
        return path
    below = path.removeprefix(f"{source.subpath}/")
    return below if below != path else ""


def _check_kind(member: tarfile.TarInfo, source: TarballSource, destination: Path) -> None:
    """Refuse whatever is not a plain file or a folder, by the standard library's filter and beyond it."""
    try:
        tarfile.data_filter(member, str(destination))
    except (tarfile.FilterError, OSError, ValueError) as error:
        what, remedy = _FILTERED.get(type(error), ("is refused by the filter for data", "leave it out"))
        raise _refused(member, what, source, remedy) from error
    if member.issym() or member.islnk():
        raise _refused(member, "is a link", source, _REMEDY_LINKS)
    if member.isreg() and member.mode & _SET_ID:
        raise _refused(member, "has a set-id bit", source, "take it away (`chmod ug-s`), or exclude it")


def _refused(member: tarfile.TarInfo, what: str, source: TarballSource, remedy: str) -> IntegrityError:
    return IntegrityError(f"{quote_path(member.name)} in {source.location} {what}: {remedy}")


def _nothing_in(source: TarballSource) -> SourceNotFoundError:
    asked = [
        f"`{key}`"
        for key, is_asked in (
            ("include", source.include),
            ("exclude", source.exclude),
            ("stripComponents", source.strip_components),
            ("subpath", source.subpath),
        )
        if is_asked
    ]
    if not asked:
        return SourceNotFoundError(f"the archive {source.location} holds no file: pack the manifests into it")
    return SourceNotFoundError(
        f"the archive {source.location} holds no file that is wanted ({', '.join(asked)}): correct these keys, or "
        "the archive"
    )
