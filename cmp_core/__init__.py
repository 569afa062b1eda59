"""The public names of cmp-core: all that a backend needs, besides `transfer`, `store` and `testing` of this package.

They are looked up when they are first used, because ``cmp-core version`` and ``cmp-core discover``
answer before pydantic alone would be loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmp_core.artifact import Artifact as Artifact
    from cmp_core.artifact import combine_revisions as combine_revisions
    from cmp_core.check import identify_objects as identify_objects
    from cmp_core.deadline import Deadline as Deadline
    from cmp_core.documents import Document as Document
    from cmp_core.documents import split_documents as split_documents
    from cmp_core.environment import Application as Application
    from cmp_core.environment import BuildEnvironment as BuildEnvironment
    from cmp_core.environment import Progress as Progress
    from cmp_core.errors import BackendConflictError as BackendConflictError
    from cmp_core.errors import BackendError as BackendError
    from cmp_core.errors import BackendLoadError as BackendLoadError
    from cmp_core.errors import BackendNotFoundError as BackendNotFoundError
    from cmp_core.errors import CmpError as CmpError
    from cmp_core.errors import ConfigError as ConfigError
    from cmp_core.errors import DeadlineExceededError as DeadlineExceededError
    from cmp_core.errors import EmptyRenderError as EmptyRenderError
    from cmp_core.errors import FetchError as FetchError
    from cmp_core.errors import IntegrityError as IntegrityError
    from cmp_core.errors import LimitExceededError as LimitExceededError
    from cmp_core.errors import OutputError as OutputError
    from cmp_core.errors import PolicyError as PolicyError
    from cmp_core.errors import RenderError as RenderError
    from cmp_core.errors import ResourceError as ResourceError
    from cmp_core.errors import SettingsError as SettingsError
    from cmp_core.errors import SourceAccessError as SourceAccessError
    from cmp_core.errors import SourceNotFoundError as SourceNotFoundError
    from cmp_core.errors import SourceValidationError as SourceValidationError
    from cmp_core.errors import TransientFetchError as TransientFetchError
    from cmp_core.errors import TriggerFileError as TriggerFileError
    from cmp_core.errors import UsageError as UsageError
    from cmp_core.finding import Finding as Finding
    from cmp_core.hookspecs import FetchNested as FetchNested
    from cmp_core.hookspecs import RenderNested as RenderNested
    from cmp_core.hookspecs import hookimpl as hookimpl
    from cmp_core.models import Limits as Limits
    from cmp_core.models import NestedSource as NestedSource
    from cmp_core.models import Source as Source
    from cmp_core.models import SourceLimits as SourceLimits
    from cmp_core.models import StrictModel as StrictModel
    from cmp_core.nesting import location_of as location_of
    from cmp_core.settings import Settings as Settings

_HOMES = {
    "Artifact": "artifact",
    "combine_revisions": "artifact",
    "identify_objects": "check",
    "Deadline": "deadline",
    "Document": "documents",
    "split_documents": "documents",
    "Application": "environment",
    "BuildEnvironment": "environment",
    "Progress": "environment",
    "BackendConflictError": "errors",
    "BackendError": "errors",
    "BackendLoadError": "errors",
    "BackendNotFoundError": "errors",
    "CmpError": "errors",
    "ConfigError": "errors",
    "DeadlineExceededError": "errors",
    "EmptyRenderError": "errors",
    "FetchError": "errors",
    "IntegrityError": "errors",
    "LimitExceededError": "errors",
    "OutputError": "errors",
    "PolicyError": "errors",
    "RenderError": "errors",
    "ResourceError": "errors",
    "SettingsError": "errors",
    "SourceAccessError": "errors",
    "SourceNotFoundError": "errors",
    "SourceValidationError": "errors",
    "TransientFetchError": "errors",
    "TriggerFileError": "errors",
    "UsageError": "errors",
    "Finding": "finding",
    "FetchNested": "hookspecs",
    "RenderNested": "hookspecs",
    "hookimpl": "hookspecs",
    "Limits": "models",
    "NestedSource": "models",
    "Source": "models",
    "SourceLimits": "models",
    "StrictModel": "models",
    "location_of": "nesting",
    "Settings": "settings",
}

__all__ = [
    "Application",
    "Artifact",
    "BackendConflictError",
    "BackendError",
    "BackendLoadError",
    "BackendNotFoundError",
    "BuildEnvironment",
    "CmpError",
    "ConfigError",
    "Deadline",
    "DeadlineExceededError",
    "Document",
    "EmptyRenderError",
    "FetchError",
    "FetchNested",
    "Finding",
    "IntegrityError",
    "LimitExceededError",
    "Limits",
    "NestedSource",
    "OutputError",
    "PolicyError",
    "Progress",
    "RenderError",
    "RenderNested",
    "ResourceError",
    "Settings",
    "SettingsError",
    "Source",
    "SourceAccessError",
    "SourceLimits",
    "SourceNotFoundError",
    "SourceValidationError",
    "StrictModel",
    "TransientFetchError",
    "TriggerFileError",
    "UsageError",
    "combine_revisions",
    "hookimpl",
    "identify_objects",
    "location_of",
    "split_documents",
]


def __getattr__(name: str) -> Any:
    """Import the public name `name` from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return list(__all__)
