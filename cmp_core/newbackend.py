"""Own the writing of a new backend: the rules of its name, and a folder that appears whole or not at all."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from cmp_core.errors import OutputError, UsageError
from cmp_core.installed import TRIGGER_SUFFIX, InstalledBackend

LONGEST_NAME = 30

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TOKEN = re.compile(r"(?P<before>_?)(?P<name>shelf|Shelf|SHELF)(?P<after>_?)")
_LEFTOVERS = ("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache")


@dataclass(frozen=True, slots=True)
class NewBackend:
    """The name of a backend, and what else is called after it."""

    name: str

    @property
    def distribution(self) -> str:
        """The package that is to provide it."""
        return f"cmp-backend-{self.name}"

    @property
    def trigger_file(self) -> str:
        """The name of its trigger file."""
        return f"{self.name}{TRIGGER_SUFFIX}"

    def fill(self, text: str) -> str:
        """Return a text of the template, or a path in it, with this name in place of the template's own."""
        return _TOKEN.sub(self._spelling, text)

    def _spelling(self, token: re.Match[str]) -> str:
        """Return the name as it is written there: in a class, a constant, a module, or for people."""
        words = self.name.split("-")
        if token["name"] == "Shelf":
            spelt = "".join(map(str.capitalize, words))
        elif token["name"] == "SHELF":
            spelt = "_".join(words).upper()
        else:
            spelt = ("_" if token["before"] or token["after"] else "-").join(words)
        return f"{token['before']}{spelt}{token['after']}"


def name_backend(name: str, installed: tuple[InstalledBackend, ...]) -> NewBackend:
    """Return the new backend that may be called `name`.

    Raises:
        UsageError: It cannot be the prefix of a trigger file and a part of a module's name, or it is taken.
    """
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise UsageError(
            f"{name!r} names no backend: write at most {LONGEST_NAME} small letters and digits, "
            "a letter first, with single hyphens between words, as in `artifact-store`"
        )
    backend = NewBackend(name)
    for other in installed:
        if other.name == name or _plain(other.distribution) == backend.distribution:
            raise UsageError(f"{other} is installed already: choose another name, or uninstall {other.distribution}")
    return backend


def write_backend(backend: NewBackend, directory: Path) -> int:
    """Write the new backend's distribution into `directory`, which does not exist or is empty.

    The folder is written beside it and renamed, so that it appears whole, and nothing is ever overwritten.

    Returns:
        The number of files.

    Raises:
        UsageError: The folder cannot be `directory`.
        OutputError: It cannot be written.
    """
    target = _check_target(directory)
    template = files("cmp_core") / "template"
    try:
        with _folder_beside(target) as folder:
            count = 0
            for path, file in _walk(template, ""):
                place = folder / backend.fill(path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(backend.fill(file.read_text(encoding="utf-8")), encoding="utf-8")
                count += 1
            folder.rename(target)
    except OSError as error:
        raise OutputError(
            f"{directory} cannot be written ({error.strerror}): name a folder that you may write, on a disk with room"
        ) from error
    return count


def _plain(distribution: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _check_target(directory: Path) -> Path:
    """Return the folder's real path.

    Raises:
        UsageError: Something is there, its parent is not, or a process is in it: it is going to be replaced.
    """
    target = Path(os.path.realpath(directory))
    if target == Path(os.path.realpath(Path())):
        raise UsageError(f"{directory} is the working directory: name a new folder in it")
    if not target.parent.is_dir():
        raise UsageError(f"{directory} cannot be made, since {target.parent} is no folder: make that one first")
    if os.path.lexists(target) and not target.is_dir():
        raise UsageError(f"{directory} is no folder: name one that does not exist yet")
    try:
        is_full = target.is_dir() and any(target.iterdir())
    except OSError as error:
        raise UsageError(f"{directory} cannot be listed ({error.strerror}): name a new one") from error
    if is_full:
        raise UsageError(f"{directory} is not empty: name a folder that does not exist yet, since none is overwritten")
    return target


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """Make a folder beside `target`, on the same file system; whatever is left of it in the end is removed."""
    folder = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    """Yield every file of the template and its path; what a tool has left behind there is not one of them."""
    for item in sorted(folder.iterdir(), key=lambda each: each.name):
        if item.name in _LEFTOVERS:
            continue
        if item.is_dir():
            yield from _walk(item, f"{prefix}{item.name}/")
        else:
            yield f"{prefix}{item.name}", item
