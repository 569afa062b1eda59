"""Own the sizes: what each part of the image costs, as it lies there and as a registry keeps it."""

import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tools.image.contents import ENVIRONMENT, PROGRAMS, walk

MEGABYTE = 1e6


class Part(NamedTuple):
    """A part: its name, and which of the image's files it has."""

    name: str
    paths: list[Path]


def table(root: Path, base: Path) -> str:
    """Return a table of the parts, and of the base that the image does without."""
    rows = [
        f"| {part.name} | {megabytes(size(root, part.paths))} | {megabytes(packed(root, part.paths))} |"
        for part in parts(root)
    ]
    every = walk(root)[0]
    rows.append(f"| all | {megabytes(size(root, every))} | {megabytes(packed(root, every))} |")
    others = walk(base)[0]
    rows.append(f"| the whole base | {megabytes(size(base, others))} | {megabytes(packed(base, others))} |")
    return "\n".join(["| Part | MB | MB, packed |", "| --- | --- | --- |", *rows, ""])


def parts(root: Path) -> list[Part]:
    """Return the parts, which have every file once."""
    rest = walk(root)[0]
    found: list[Part] = []

    def take(name: str, paths: Iterable[Path]) -> None:
        chosen = set(paths)
        found.append(Part(name, [path for path in rest if path in chosen]))
        rest[:] = [path for path in rest if path not in chosen]

    for program in PROGRAMS:
        take(Path(program).name, [Path(program)])
    bytecode = [path for path in rest if path.suffix == ".pyc"]
    take("bytecode of the packages", (path for path in bytecode if path.is_relative_to(ENVIRONMENT)))
    take("bytecode of Python", bytecode)
    for name in ("botocore", "zstandard", "_awscrt"):
        take(
            f"the package {name.strip('_')}",
            (path for path in rest if any(part.startswith(name) for part in path.parts)),
        )
    take("the other Python packages", (path for path in rest if path.is_relative_to(ENVIRONMENT)))
    take("Python", (path for path in rest if path.is_relative_to("usr/local")))
    take("Debian's libraries, certificates, tini", list(rest))
    return found


def size(root: Path, paths: Iterable[Path]) -> int:
    """Return how many bytes the files have."""
    return sum((root / path).stat().st_size for path in paths)


def packed(root: Path, paths: Iterable[Path]) -> int:
    """Return how many bytes they have as a layer: an archive, compressed as registries do by default."""
    with tempfile.TemporaryFile() as whole:
        with tarfile.open(fileobj=whole, mode="w:gz", compresslevel=6) as archive:
            for path in paths:
                archive.add(root / path, str(path), recursive=False)
        return whole.tell()


def megabytes(count: int) -> str:
    """Return a number of bytes for a reader."""
    return f"{count / MEGABYTE:.0f}" if count >= 10 * MEGABYTE else f"{count / MEGABYTE:.1f}"
