"""Own what is asked for: the trigger file of a folder, read, understood and found valid, before anything is fetched."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from cmp_core.environment import BuildEnvironment
from cmp_core.errors import SourceValidationError
from cmp_core.installed import installed_backends
from cmp_core.manager import Backend
from cmp_core.models import Source
from cmp_core.nesting import nested_problems, render_problems
from cmp_core.policy import load_allowed_backend
from cmp_core.trigger import TriggerFile, find_trigger_file, locate_source, read_trigger_file
from cmp_core.validation import raise_problems


@dataclass(frozen=True, slots=True)
class Request:
    """A trigger file that was read, understood and found valid.

    Attributes:
        trigger: The file as it was read.
        backend: The backend that it names.
        source: What it says, overrides included.
        fingerprint: A hash over everything that the result of a fetch depends on, except the source's content.
    """

    trigger: TriggerFile
    backend: Backend
    source: Source
    fingerprint: str


def read_request(path: Path, environment: BuildEnvironment) -> Request:
    """Read and validate a trigger file, or the one in a folder; nothing is fetched.

    Raises:
        TriggerFileError: There is none, several, or it is malformed.
        BackendError: Its backend is missing or broken.
        PolicyError: The operator does not allow its backend, or that of a source inside of it.
        SourceValidationError: It, a parameter or a variable is wrong.
    """
    place = environment.application.path or str(path if path.name else path.resolve())
    environment.deadline.step = f"reading the trigger file in {place}"
    backends = installed_backends()
    trigger = read_trigger_file(find_trigger_file(path, place, backends) if path.is_dir() else path)
    backend = load_allowed_backend(trigger.backend, environment.settings, backends)
    source, place_of = locate_source(trigger, backend.model, environment)
    problems = [*render_problems(backend, source, place_of), *nested_problems(source, place_of, environment.settings)]
    raise_problems(problems, SourceValidationError)
    return Request(trigger, backend, source, _fingerprint(trigger.content, backend, source, environment))


def _fingerprint(trigger: bytes, backend: Backend, source: Source, environment: BuildEnvironment) -> str:
    installed = backend.installed
    parts = [installed.name, installed.distribution, installed.version, environment.identity]
    parts += [hashlib.sha256(trigger).hexdigest(), json.dumps(source.as_values(), sort_keys=True)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
