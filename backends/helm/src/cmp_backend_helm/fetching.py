"""Own the fetch: the chart as a folder, and the files of values that are sources of their own."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cmp_backend_tarball

from cmp_backend_helm.layout import CHART, values_folder
from cmp_backend_helm.source import AppFile, HelmSource
from cmp_core import (
    Artifact,
    BuildEnvironment,
    FetchNested,
    NestedSource,
    SourceValidationError,
    combine_revisions,
)
from cmp_core.transfer import filter_paths, quote_path

MOST_VALUES_BYTES = 2**20
"""The largest file of values that is taken from the application's folder."""

_GZIP = b"\x1f\x8b"


def fetch_chart(
    source: HelmSource, destination: Path, environment: BuildEnvironment, fetch_nested: FetchNested
) -> Artifact:
    """Bring the chart, unpacked, and all files of values; nothing is fetched for the trigger file's own mistakes.

    Raises:
        SourceValidationError: A file of values is missing, or a source brings several files instead of one.
    """
    for file in source.value_files:
        if isinstance(file, AppFile):
            read_app_file(file, environment)
    revisions = [_fetch_chart(source, destination / CHART, environment, fetch_nested)]
    revisions += _fetch_values(source, destination, fetch_nested)
    return Artifact.from_directory(destination, revision=combine_revisions(revisions))


def read_app_file(file: AppFile, environment: BuildEnvironment) -> bytes:
    """Return the content of a file of values in the application's folder.

    Raises:
        SourceValidationError: It cannot be read.
    """
    try:
        return environment.read_file(file.app, max_bytes=MOST_VALUES_BYTES)
    except SourceValidationError as error:
        error.args = (f"`valueFiles`: {error}",)
        raise


def unpack(
    archive: Artifact, destination: Path, values: Mapping[str, Any], source: HelmSource, environment: BuildEnvironment
) -> Artifact:
    """Unpack an archive that is there already, as the backend for archives does, and take its file away.

    Args:
        archive: What was fetched: the one file.
        destination: An existing folder.
        values: Keys for that backend.
        source: Whose chart it is, for messages and limits.
        environment: What surrounds the fetch.
    """
    model = cmp_backend_tarball.source_model()
    limits = source.limits.model_dump(by_alias=True)
    packed = model.model_validate({"source": source.chart.as_values(), "limits": limits, **values})
    return cmp_backend_tarball.fetch(packed, destination, environment, lambda *_arguments, **_keys: archive)


def _fetch_chart(source: HelmSource, folder: Path, environment: BuildEnvironment, fetch_nested: FetchNested) -> str:
    """Fetch the chart into its folder and return its revision."""
    artifact = fetch_nested(source.chart, folder, key="chart")
    if len(artifact.files) == 1 and _is_packed(folder / artifact.files[0]):
        packed = folder.with_name("packed")
        folder.rename(packed)
        folder.mkdir()
        # Helm itself looks behind the first folder of every path, whatever that is called.
        keys = {"stripComponents": 1, "include": source.include, "exclude": source.exclude}
        unpack(replace(artifact, root=packed), folder, keys, source, environment)
        shutil.rmtree(packed, ignore_errors=True)
    else:
        for path in set(artifact.files) - set(filter_paths(artifact.files, source)):
            (folder / path).unlink()
    return artifact.revision


def _is_packed(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(len(_GZIP)) == _GZIP


def _fetch_values(source: HelmSource, destination: Path, fetch_nested: FetchNested) -> Iterator[str]:
    """Fetch every file of values that is a source, and yield its revision."""
    for number, file in enumerate(source.value_files):
        if not isinstance(file, NestedSource):
            continue
        key = f"valueFiles.{number}"
        artifact = fetch_nested(file, destination / values_folder(number), key=key)
        if len(artifact.files) != 1:
            some = ", ".join(quote_path(path) for path in artifact.files[:2])
            raise SourceValidationError(
                f"`{key}` brings {len(artifact.files)} files (among them {some}) and not one: name the file itself"
            )
        yield artifact.revision
