"""Own the answers that need no source: whether trigger files are valid, their parameters, their schema."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmp_core.environment import BuildEnvironment
from cmp_core.errors import BackendError, BackendNotFoundError, CmpError, ConfigError
from cmp_core.installed import find_backend, installed_backends
from cmp_core.manager import load_backend
from cmp_core.parameters import announce_parameters
from cmp_core.request import read_request
from cmp_core.schema import any_trigger_schema, trigger_schema


def validate_sources(paths: Sequence[Path], environment: BuildEnvironment) -> list[tuple[Path, str]]:
    """Return each path with the location that its trigger file names.

    Args:
        paths: Trigger files, or folders that hold one.
        environment: Whose overrides and settings apply.

    Raises:
        ConfigError: At least one is wrong; the message holds what is wrong with each.
    """
    valid: list[tuple[Path, str]] = []
    errors: list[CmpError] = []
    complaints: list[str] = []
    for path in paths:
        try:
            valid.append((path, read_request(path, environment).source.location))
        except (ConfigError, BackendError) as error:
            errors.append(error)
            complaints.append(f"{path}: {error}".replace(f"{path}: {path}: ", f"{path}: "))
    if len(paths) == len(errors) == 1:
        raise errors[0]
    if errors:
        raise ConfigError("\n".join(complaints))
    return valid


def announce(directory: Path, environment: BuildEnvironment) -> list[dict[str, Any]]:
    """Return the parameters that the trigger file in `directory` offers.

    Raises:
        CmpError: There is no valid trigger file.
    """
    request = read_request(directory, environment)
    return announce_parameters(request.backend.model, request.trigger.tree.values)


def schema_of(name: str | None) -> dict[str, Any]:
    """Return the schema of the trigger file of the backend `name`, or of any installed one.

    Raises:
        BackendError: It is not installed or broken.
    """
    backends = installed_backends()
    names = [name] if name else sorted({backend.name for backend in backends})
    if not names:
        raise BackendNotFoundError("no backend is installed: install the distribution of one into the sidecar's image")
    wanted = [find_backend(each, backends) for each in names]
    schemas = [trigger_schema(load_backend(backend).model, backend.trigger_file) for backend in wanted]
    return schemas[0] if name else any_trigger_schema(schemas)
