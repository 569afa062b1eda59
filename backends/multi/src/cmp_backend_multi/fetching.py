"""Own the fetch of several sources at once: all of them, or one error that tells of every failure."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cmp_backend_multi.source import MultiSource, Part
from cmp_core import (
    Artifact,
    BuildEnvironment,
    CmpError,
    DeadlineExceededError,
    FetchNested,
    combine_revisions,
)
from cmp_core.transfer import filter_paths

AT_ONCE = 4
"""How many sources are fetched at once; each may bring what the limits leave at its start."""


def fetch_all(
    source: MultiSource, destination: Path, environment: BuildEnvironment, fetch_nested: FetchNested
) -> Artifact:
    """Bring every source into its folder below the destination.

    Raises:
        CmpError: At least one of them failed; with several failures, all of them are told.
    """
    environment.deadline.step = f"fetching {source.location}"

    def fetch(numbered: tuple[int, Part]) -> Artifact | CmpError:
        number, part = numbered
        try:
            return fetch_nested(part, destination / part.folder, key=f"sources.{number} ({part.name})")
        except CmpError as error:
            return error

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="source") as threads:
        results = list(threads.map(fetch, enumerate(source.sources)))
    _raise_failures([result for result in results if isinstance(result, CmpError)], len(results))
    fetched = [result for result in results if isinstance(result, Artifact)]
    return _leave_what_is_wanted(source, destination, combine_revisions(artifact.revision for artifact in fetched))


def _raise_failures(failures: Sequence[CmpError], total: int) -> None:
    """Raise one error for all: of a class that is worth another try only where each of them is."""
    if not failures:
        return
    late = next((error for error in failures if isinstance(error, DeadlineExceededError)), None)
    if late or len(failures) == 1:
        raise late or failures[0]
    leading = min(failures, key=lambda error: error.retryable)
    told = "".join(f"\n  {error}" for error in failures)
    raise type(leading)(f"{len(failures)} of {total} sources failed:{told}") from leading


def _leave_what_is_wanted(source: MultiSource, destination: Path, revision: str) -> Artifact:
    """Take away what the outer `include` and `exclude` leave out, and describe the rest."""
    whole = Artifact.from_directory(destination, revision=revision)
    unwanted = set(whole.files) - set(filter_paths(whole.files, source))
    for path in unwanted:
        (destination / path).unlink()
    return Artifact.from_directory(destination, revision=revision) if unwanted else whole
