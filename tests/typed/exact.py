"""What a type checker makes of the public names: exactly these types, never `Any`."""

from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

from cmp_core import (
    Application,
    Artifact,
    BuildEnvironment,
    CmpError,
    Deadline,
    Document,
    Finding,
    Limits,
    NestedSource,
    Progress,
    Settings,
    Source,
    SourceLimits,
    SourceNotFoundError,
    combine_revisions,
    location_of,
    split_documents,
)
from cmp_core.store import Store, open_store, store_key
from cmp_core.testing import BackendContract, DiagnosisContract
from cmp_core.transfer import RemoteFile, quote_path


def look_at_the_environment(environment: BuildEnvironment) -> None:
    """Check what a hook is told."""
    assert_type(environment.application, Application)
    assert_type(environment.application.name, str)
    assert_type(environment.deadline, Deadline)
    assert_type(environment.deadline.remaining(), float)
    assert_type(environment.progress, Progress)
    assert_type(environment.settings, Settings)
    assert_type(environment.settings.limits, Limits)
    assert_type(environment.settings.max_connections, int)
    assert_type(environment.variables, Mapping[str, str])


def look_at_a_source(source: Source, nested: NestedSource) -> None:
    """Check what every source has."""
    assert_type(source.version, str | None)
    assert_type(source.location, str)
    assert_type(source.limits, SourceLimits)
    assert_type(source.limits.under(Limits()), Limits)
    assert_type(location_of(nested), str)


def look_at_results(artifact: Artifact, finding: Finding) -> None:
    """Check what hooks return."""
    assert_type(artifact.root, Path)
    assert_type(artifact.files, tuple[str, ...])
    assert_type(artifact.revision, str)
    assert_type(Artifact.from_directory(Path()), Artifact)
    assert_type(combine_revisions(["a"]), str)
    assert_type(split_documents(b"", "a.yaml"), list[Document])
    assert_type(split_documents(b"", "a.yaml")[0].content, bytes)
    assert_type(finding.error, type[CmpError] | None)


def look_at_the_rest(error: SourceNotFoundError) -> None:
    """Check the errors, and the names of the other public modules."""
    assert_type(error.exit_code, int)
    assert_type(error.retryable, bool)
    assert_type(RemoteFile("a", 1, "").size, int)
    assert_type(quote_path("a"), str)
    assert_type(open_store(None, {}, 1), Store | None)
    assert_type(store_key("a"), str)
    assert_type(BackendContract().variables(), dict[str, str])
    assert_type(DiagnosisContract().diagnose(None), list[Finding])
