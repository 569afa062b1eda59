"""Own the choice of the files that a source brings: its patterns, its limits, and names that are safe to store."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cmp_core.artifact import byte_order
from cmp_core.bootstrap import variable_name
from cmp_core.errors import IntegrityError, LimitExceededError, SourceValidationError
from cmp_core.models import Limits, Source
from cmp_core.validation import alias_of

_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST_PART = 255
_LONGEST_ECHO = 200


UNKNOWN_SIZE = -1
"""The size of a file of which a listing does not tell how large it is."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file as a remote listing names it.

    Attributes:
        path: Its path below the source's root, with ``/`` between its parts; not to be trusted.
        size: Its bytes, or `UNKNOWN_SIZE` where the listing does not tell.
        etag: What changes when its content changes.
    """

    path: str
    size: int
    etag: str


def filter_paths(paths: Iterable[str], source: Source) -> list[str]:
    """Return the paths that the source's ``include`` and ``exclude`` leave, in the order given.

    Raises:
        SourceValidationError: A pattern is malformed.
    """
    return list(filter(compile_filter(source), paths))


def select_files(files: Iterable[RemoteFile], source: Source, limits: Limits) -> tuple[RemoteFile, ...]:
    """Return the files that the source asks for, sorted by path in byte order, each of them safe to store.

    Empty files whose path ends in ``/`` stand for folders and are left out. The iterable is read no further
    than the limits allow, so it may be a listing without an end.

    Args:
        files: What the remote listing names, in any order.
        source: Says what is included and excluded; what is excluded may be as large and as oddly named as it likes.
        limits: The limits in force: ``source.limits.under(environment.settings.limits)``.

    Raises:
        LimitExceededError: There are too many files or too many bytes.
        IntegrityError: A file's name cannot be stored safely.
        SourceValidationError: A pattern is malformed.
    """
    is_wanted = compile_filter(source)
    selected: list[RemoteFile] = []
    total = 0
    for listed, file in enumerate(files, 1):
        check_listed(listed, source, limits)
        if _is_folder_marker(file) or not is_wanted(file.path):
            continue
        check_path(file.path)
        selected.append(file)
        total += announced_size(file)
        check_limits(file, len(selected), total, source, limits)
    _check_tree(selected)
    return tuple(sorted(selected, key=lambda file: byte_order(file.path)))


def announced_size(file: RemoteFile) -> int:
    """Return the bytes that a listing announces of a file: none where it does not tell."""
    return 0 if file.size == UNKNOWN_SIZE else file.size


def check_totals(objects: int, size: int, source: Source, limits: Limits) -> None:
    """Raise `LimitExceededError` where a source, with all that is inside of it, has brought more than it may.

    Args:
        objects: How many files it has brought.
        size: Their bytes.
        source: The source.
        limits: The limits in force.
    """
    if objects > limits.objects:
        raise LimitExceededError(
            f"{source.location} brings {objects} objects, more than the {limits.objects} that are allowed: "
            f"{_remedy('objects', source, limits)}"
        )
    if size > limits.total_bytes:
        raise LimitExceededError(
            f"{source.location} brings {size} bytes, more than the {limits.total_bytes} that are allowed: "
            f"{_remedy('total_bytes', source, limits)}"
        )


def compile_filter(source: Source) -> Callable[[str], bool]:
    """Return what tells whether the source's ``include`` and ``exclude`` leave a path.

    Raises:
        SourceValidationError: A pattern is malformed.
    """
    included = _compile_patterns("include", source.include) if source.include else lambda _path: True
    excluded = _compile_patterns("exclude", source.exclude) if source.exclude else lambda _path: False
    return lambda path: included(path) and not excluded(path)


def check_listed(listed: int, source: Source, limits: Limits) -> None:
    """Bound the listing itself, of which the filter may leave little."""
    most = most_listed(limits)
    if listed > most:
        raise LimitExceededError(
            f"{source.location} lists more than {most} objects, too many to search for those that are wanted: "
            "name a narrower path"
        )


def check_limits(file: RemoteFile, count: int, total: int, source: Source, limits: Limits) -> None:
    """Raise `LimitExceededError` where a file, or all of them with it, is more than the source may bring.

    Args:
        file: The file that comes next.
        count: How many files there are with it.
        total: Their bytes together.
        source: The source.
        limits: The limits in force.
    """
    size = announced_size(file)
    name = quote_path(file.path) + ("" if file.size == UNKNOWN_SIZE else f" ({size} bytes)")
    if size < 0:
        raise IntegrityError(f"{quote_path(file.path)} in {source.location} is listed with a size below 0: exclude it")
    if size > limits.object_bytes:
        raise LimitExceededError(
            f"{name} in {source.location} is larger than the {limits.object_bytes} bytes that one object may have: "
            f"{_remedy('object_bytes', source, limits)}"
        )
    if count > limits.objects:
        raise LimitExceededError(
            f"{source.location} has more than {limits.objects} objects, {name} is one too many: "
            f"{_remedy('objects', source, limits)}"
        )
    if total > limits.total_bytes:
        raise LimitExceededError(
            f"{source.location} has more than {limits.total_bytes} bytes, {name} brings them to {total}: "
            f"{_remedy('total_bytes', source, limits)}"
        )


def most_listed(limits: Limits) -> int:
    """Return how many objects a listing may name, of which patterns leave no more than the limits allow."""
    return 10 * limits.objects + 10_000


def revision_of(files: Iterable[RemoteFile]) -> str:
    """Return ``sha256:`` over the sorted lines ``path etag``: the state that a listing shows."""
    lines = sorted(byte_order(f"{file.path} {file.etag}\n") for file in files)
    return f"sha256:{hashlib.sha256(b''.join(lines)).hexdigest()}"


def check_path(path: str) -> None:
    """Raise `IntegrityError` if the untrusted `path` cannot be the path of a file below a folder."""
    if fault := _path_fault(path):
        raise IntegrityError(f"{quote_path(path)} cannot be stored ({fault}): rename it at the source, or exclude it")


def quote_path(path: str) -> str:
    """Return an untrusted path as a message may show it: short, in backticks, nothing in it acts on a terminal."""
    shown = path if len(path) <= _LONGEST_ECHO else f"{path[:_LONGEST_ECHO]}…"
    escaped = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in shown)
    return f"`{''.join(escaped)}`"


def folders_of(path: str) -> Iterator[str]:
    """Return the folders above `path`, the outermost first."""
    return (path[: slash.start()] for slash in re.finditer("/", path))


def _path_fault(path: str) -> str | None:
    parts = path.split("/")
    if path.startswith("/"):
        return "it is absolute"
    if "" in parts:
        return "a part of it is empty"
    if "." in parts or ".." in parts:
        return "a part of it is `.` or `..`"
    if _CONTROL_CHARACTER.search(path):
        return "it holds a control character"
    try:
        longest = max(len(part.encode()) for part in parts)
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return f"a part of it is longer than {_LONGEST_PART} bytes" if longest > _LONGEST_PART else None


def _compile_patterns(key: str, patterns: Sequence[str]) -> Callable[[str], bool]:
    """Compile gitignore patterns; pathspec is imported only where a source has any, since it loads slowly."""
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  # see the docstring

    for pattern in patterns:
        try:
            GitIgnoreSpec.from_lines([pattern])
        except (ValueError, re.error) as error:
            raise SourceValidationError(
                f"`{key}`: {quote_path(pattern)} is no gitignore pattern: write one like `*.yaml` or `/drafts/`"
            ) from error
    return GitIgnoreSpec.from_lines(patterns).match_file


def _is_folder_marker(file: RemoteFile) -> bool:
    return file.size == 0 and (not file.path or file.path.endswith("/"))


def _remedy(limit: Literal["objects", "object_bytes", "total_bytes"], source: Source, limits: Limits) -> str:
    key = alias_of(limit, Limits.model_fields[limit])
    own = getattr(source.limits, limit)
    if own is not None and own <= getattr(limits, limit):
        where = "the trigger file"
    else:
        where = f"the operator's settings (CMP_LIMITS_{variable_name(key)})"
    return f"raise `limits.{key}` in {where}, or ask for less with `include` and `exclude`"


def _check_tree(files: Sequence[RemoteFile]) -> None:
    """Refuse two files of one path, and a file that is also a folder."""
    paths: set[str] = set()
    for file in files:
        if file.path in paths:
            raise IntegrityError(f"{quote_path(file.path)} is listed twice: rename one at the source, or exclude it")
        paths.add(file.path)
    for file in files:
        for folder in folders_of(file.path):
            if folder in paths:
                raise IntegrityError(
                    f"{quote_path(folder)} is a file, and a folder too since there is {quote_path(file.path)}: "
                    "rename one at the source, or exclude it"
                )
