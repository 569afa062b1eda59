"""Own the shape of ``tarball-source.yaml``: where the archive lies, and which part of it is meant."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from cmp_core import IntegrityError, NestedSource, Source, location_of
from cmp_core.transfer import check_path

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_STRIPPED = 32


def _check_subpath(subpath: str | None) -> str | None:
    if subpath is None:
        return None
    folder = subpath.removesuffix("/")
    if not folder:
        raise ValueError("names no folder: write it as in `subpath: deploy/base`, or remove it for the whole archive")
    try:
        check_path(folder)
    except IntegrityError as error:
        raise ValueError("is no folder of an archive: write it as in `subpath: deploy/base`") from error
    return folder


def _check_sha256(sha256: str | None) -> str | None:
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise ValueError("is no SHA-256: write the 64 small hex digits that `sha256sum` prints")
    return sha256


class TarballSource(Source):
    """The files of one archive, which a source of any other backend brings."""

    source: Annotated[
        NestedSource,
        Field(
            description="The source that brings the archive, and nothing beside it: the `backend` that reads it and "
            "that backend's own keys. The archive may be a .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst or .zip; what "
            "it is called does not matter.",
            examples=[{"backend": "s3", "bucket": "test-bucket", "path": "releases/demo-1.0.0.tar.gz"}],
        ),
    ]
    sha256: Annotated[
        str | None,
        AfterValidator(_check_sha256),
        Field(
            description="The SHA-256 of the archive; another archive is refused before anything of it is unpacked.",
            examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        ),
    ] = None
    strip_components: Annotated[
        int,
        Field(
            description="How many leading folders every path in the archive loses; a file with fewer is left out. "
            "A leading `./` does not count.",
            ge=0,
            le=_MOST_STRIPPED,
            examples=[1],
        ),
    ] = 0
    subpath: Annotated[
        str | None,
        AfterValidator(_check_subpath),
        Field(
            description="The folder that is meant, after `stripComponents`; its own path is taken off.",
            examples=["deploy/base"],
        ),
    ] = None

    @property
    def location(self) -> str:
        """Where the archive lies, and the folder in it: ``s3://bucket/demo.tar.gz#deploy``."""
        return f"{location_of(self.source)}{f'#{self.subpath}' if self.subpath else ''}"
