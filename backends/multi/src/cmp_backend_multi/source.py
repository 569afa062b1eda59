"""Own the model of ``multi-source.yaml``: a list of named sources, each of any backend and in a folder of its own."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cmp_core import NestedSource, Source

MOST_SOURCES = 50

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_FOLDER = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", re.ASCII)


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > 63:
        raise ValueError("is no name: write small letters, digits, `-` and `.`, for example `base`")
    return name


def _check_folder(folder: str | None) -> str | None:
    if folder is not None and not _FOLDER.fullmatch(folder):
        raise ValueError("is no folder below the others: write it as in `into: apps/base`")
    return folder


class Part(NestedSource):
    """One of the sources: its name, its backend, that backend's own keys, and the folder that it is put into."""

    name: Annotated[
        str,
        AfterValidator(_check_name),
        Field(description="What messages call it; each name stands there once.", examples=["base"]),
    ]
    into: Annotated[
        str | None,
        AfterValidator(_check_folder),
        Field(
            description="The folder that it is put into, which is part of every file's path in messages; "
            "by default its name.",
            examples=["apps/base"],
        ),
    ] = None

    @property
    def folder(self) -> str:
        """The folder that it is put into."""
        return self.into or self.name


def _check_parts(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    for complaint in _complaints(parts):
        raise ValueError(complaint)
    return parts


def _complaints(parts: tuple[Part, ...]) -> Iterator[str]:
    names = [part.name for part in parts]
    for name in names:
        if names.count(name) > 1:
            yield f"has the name `{name}` twice: give each source a name of its own"
    folders = [f"{part.folder}/" for part in parts]
    for number, folder in enumerate(folders):
        for other in folders[:number]:
            if folder.startswith(other) or other.startswith(folder):
                yield (
                    f"puts two sources into one folder, `{other[:-1]}` and `{folder[:-1]}`: give each a folder of its "
                    "own with `into`"
                )


class MultiSource(Source):
    """The keys of a ``multi-source.yaml``, besides those that every source has."""

    sources: Annotated[
        tuple[Part, ...],
        AfterValidator(_check_parts),
        Field(
            description="The sources, in the order in which their manifests are printed: each has a `name`, the "
            "`backend` that reads it, that backend's own keys, and perhaps a folder `into` which it is put.",
            min_length=1,
            max_length=MOST_SOURCES,
            examples=[[{"name": "base", "backend": "s3", "bucket": "test-bucket", "path": "apps/base"}]],
        ),
    ]
    on_duplicate: Annotated[
        Literal["error", "last"],
        Field(
            description="What happens to an object that two of the sources define: `error` refuses it and names both "
            "places, `last` takes the one of the later source."
        ),
    ] = "error"

    @property
    def location(self) -> str:
        """Which sources there are."""
        return f"multi:{'+'.join(part.name for part in self.sources)}"
