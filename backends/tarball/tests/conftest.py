"""Archives of every format, and a fetch of them out of a folder on the disk."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import zstandard
from cmp_backend_tarball import fetch
from cmp_backend_tarball.source import TarballSource

from cmp_core import Artifact, BuildEnvironment, Deadline, Settings
from cmp_core.nesting import Nesting

COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": zstandard.compress,
}


class Pack(Protocol):
    """Packs files into an archive."""

    def __call__(self, files: Mapping[str, bytes], kind: str = "tar.gz", *, seconds: int = 0) -> bytes:
        """Return an archive of the kind, its files as old as `seconds` say, in the order given."""


class Fetch(Protocol):
    """Fetches what an archive holds."""

    def __call__(self, archive: bytes | Path, *, limits: Mapping[str, int] | None = None, **values: Any) -> Artifact:
        """Return the artifact; the operator allows `limits`, and `values` are further keys of the trigger file."""


def pack_files(files: Mapping[str, bytes], kind: str = "tar.gz", *, seconds: int = 0) -> bytes:
    """Pack as `Pack` says."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                date = (1980 + seconds % 100, 1, 1, 0, 0, 0)
                archive.writestr(zipfile.ZipInfo(path, date), content, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(content), seconds
            tar.addfile(member, io.BytesIO(content))
    return COMPRESSIONS[kind](buffer.getvalue())


@pytest.fixture(scope="session")
def pack() -> Pack:
    """What packs files."""
    return pack_files


@pytest.fixture(params=[*COMPRESSIONS, "zip"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of archive in turn."""
    return str(request.param)


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """The empty folder that is unpacked into."""
    folder = tmp_path / "destination"
    folder.mkdir()
    return folder


@pytest.fixture
def unpack(tmp_path: Path, destination: Path) -> Fetch:
    """What fetches an archive that lies in a folder by itself, under a name that says nothing."""

    def run(archive: bytes | Path, *, limits: Mapping[str, int] | None = None, **values: Any) -> Artifact:
        folder = archive.parent if isinstance(archive, Path) else tmp_path / "published"
        folder.mkdir(exist_ok=True)
        if isinstance(archive, bytes):
            (folder / "release").write_bytes(archive)
        source = TarballSource.model_validate({"source": {"backend": "local", "path": str(folder)}, **values})
        settings = Settings.model_validate({"limits": limits or {}})
        environment = BuildEnvironment(settings=settings, deadline=Deadline(60))
        return fetch(source, destination, environment, Nesting(source, environment, "tarball-source.yaml"))

    return run
