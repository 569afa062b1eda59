"""The s3 backend of cmp-core: its hooks, and nothing that loads the SDK before a fetch begins."""

from collections.abc import Iterable
from pathlib import Path

from cmp_backend_s3.sdk import load_sdk
from cmp_backend_s3.source import S3Source
from cmp_core import Artifact, BuildEnvironment, Finding, hookimpl


@hookimpl
def source_model() -> type[S3Source]:
    """Return the model of ``s3-source.yaml``."""
    return S3Source


@hookimpl
def fetch(source: S3Source, destination: Path, environment: BuildEnvironment) -> Artifact:
    """Bring the objects that `source` names into `destination`."""
    load_sdk()
    from cmp_backend_s3.fetching import fetch_objects  # noqa: PLC0415  # the SDK takes most of a second to load

    return fetch_objects(source, destination, environment)


@hookimpl
def diagnose(source: S3Source | None, environment: BuildEnvironment) -> Iterable[Finding]:
    """Check the way to the service, the credentials, and a small read of what `source` names."""
    load_sdk()
    from cmp_backend_s3.diagnosis import examine  # noqa: PLC0415  # as above

    return examine(source, environment)
