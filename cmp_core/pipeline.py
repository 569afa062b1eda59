"""Own the steps of a request that touch the source: fetch, render, check; `init` and `generate` are made of them."""

import logging
from dataclasses import replace
from pathlib import Path

from cmp_core.artifact import Artifact
from cmp_core.check import check_documents
from cmp_core.environment import BuildEnvironment
from cmp_core.nesting import NestedRender, Nesting
from cmp_core.render import assemble
from cmp_core.request import Request, read_request
from cmp_core.scratch import Scratch
from cmp_core.store import state_directory
from cmp_core.summary import IN_SUMMARY

log = logging.getLogger("cmp_core")


def init(directory: Path, environment: BuildEnvironment) -> None:
    """Fetch what the trigger file in `directory` names, and leave it there for `generate`.

    Raises:
        CmpError: Any step failed; nothing is left.
    """
    environment = replace(environment, folder=directory)
    request = _read_request(directory, environment)
    scratch = _open_scratch(directory, environment)
    with scratch.workspace() as files:
        artifact = _fetch(request, files, environment)
        is_left = scratch.leave(
            files,
            artifact,
            fingerprint=request.fingerprint,
            started=environment.deadline.started,
            seconds=environment.summary.hand_over(),
        )
        if not is_left:
            log.warning("nothing can be kept for `generate`, which will fetch again: set a private `stateDirectory`")


def generate(directory: Path, environment: BuildEnvironment) -> bytes:
    """Return the stream of manifests, whole and checked, from what `init` left or from a fetch of its own.

    Raises:
        CmpError: Any step failed; there is no partial result.
    """
    environment = replace(environment, folder=directory)
    request = _read_request(directory, environment)
    scratch = _open_scratch(directory, environment)
    with scratch.taken(fingerprint=request.fingerprint, max_age=environment.settings.timeout) as handover:
        if handover:
            environment.deadline.use(handover.age)
            environment.summary.take_over(handover.seconds, handover.started)
            _note(handover.artifact, environment)
            return _render(request, handover.artifact, environment)
    with scratch.workspace() as files:
        return _render(request, _fetch(request, files, environment), environment)


def _open_scratch(directory: Path, environment: BuildEnvironment) -> Scratch:
    return Scratch(directory, state_directory(environment.settings.state_directory, environment.variables))


def _read_request(directory: Path, environment: BuildEnvironment) -> Request:
    request = read_request(directory, environment)
    environment.summary.source = request.source.location
    return request


def _fetch(request: Request, destination: Path, environment: BuildEnvironment) -> Artifact:
    location = request.source.location
    environment.deadline.step = f"fetching {location}"
    asker = environment.application.name
    log.info("fetching %s%s", location, f" for application {asker}" if asker else "")
    nested = Nesting(request.source, environment, request.trigger.name)
    with environment.summary.timed("fetch"):
        artifact = request.backend.fetch(request.source, destination, environment, nested)
    _note(artifact, environment)
    log.info(
        "fetched %d files, %s bytes, revision %s, in %.2f s",
        len(artifact.files),
        f"{artifact.size:,}",
        artifact.revision[:19],
        environment.summary.seconds["fetch"],
        extra=IN_SUMMARY,
    )
    return artifact


def _note(artifact: Artifact, environment: BuildEnvironment) -> None:
    summary = environment.summary
    summary.objects, summary.bytes, summary.revision = len(artifact.files), artifact.size, artifact.revision


def _render(request: Request, artifact: Artifact, environment: BuildEnvironment) -> bytes:
    summary = environment.summary
    location = request.source.location
    environment.deadline.step = f"rendering {location}"
    with summary.timed("render"):
        nested = NestedRender(artifact.root, environment, request.trigger.name)
        documents = request.backend.render(artifact, request.source, environment, nested)
        checked = check_documents(documents, environment.application, location)
        stream = assemble(checked)
    environment.deadline.check()
    summary.manifests = len(checked)
    return stream
