"""Own the diagnosis: what the operator allows, whether the library is there, and whether the source can be listed."""

from collections.abc import Iterator

from cmp_backend_fsspec.fetching import list_source
from cmp_backend_fsspec.settings import check_policy, read_settings
from cmp_backend_fsspec.source import FsspecSource
from cmp_core import BuildEnvironment, CmpError, DeadlineExceededError, Finding

NOTHING_ALLOWED = (
    "no URL may be read by `fsspec-source.yaml`, since `backends.fsspec.allow` of the operator's settings is empty"
)


def examine(source: FsspecSource | None, environment: BuildEnvironment) -> Iterator[Finding]:
    """Yield what there is to say, the nearest cause first; what fails ends the diagnosis."""
    settings = read_settings(environment)
    if source is None:
        allowed = f"{len(settings.allow)} entries of `backends.fsspec.allow` say which URLs may be read"
        yield Finding("allow", "ok", allowed) if settings.allow else Finding("allow", "skipped", NOTHING_ALLOWED)
        return
    try:
        check_policy(source, settings)
    except CmpError as error:
        yield Finding.of_error("allow", error)
        return
    yield Finding("allow", "ok", f"the operator's settings allow {source.location}")
    try:
        environment.deadline.step = f"listing {source.location}"
        count = list_source(source, environment)
        files = "1 entry" if count == 1 else f"{count:,} entries"
    except DeadlineExceededError:
        raise
    except CmpError as error:
        yield Finding.of_error("list", error)
    else:
        yield Finding("list", "ok", f"{source.location} can be read, and lists {files}")
