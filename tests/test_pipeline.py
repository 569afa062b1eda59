"""The steps of a request, in the process, with the example's backend for a folder on the disk."""

from pathlib import Path

import pytest

from cmp_core import pipeline
from cmp_core.deadline import Deadline
from cmp_core.environment import Application, BuildEnvironment
from cmp_core.errors import (
    DeadlineExceededError,
    EmptyRenderError,
    RenderError,
    SourceNotFoundError,
)
from cmp_core.settings import Settings

MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\n"


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A folder with one manifest, which the trigger file in `app` names."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "a.yaml").write_text(MANIFEST, encoding="utf-8")
    return folder


@pytest.fixture
def app(tmp_path: Path, manifests: Path) -> Path:
    """An application's folder."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "local-source.yaml").write_text(f"path: {manifests}\n", encoding="utf-8")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> BuildEnvironment:
    """A sidecar's environment with a private state folder."""
    settings = Settings.model_validate({"stateDirectory": tmp_path / "state"})
    return BuildEnvironment(settings=settings, application=Application(name="demo", namespace="default"))


def test_generate_returns_the_stream(app: Path, environment: BuildEnvironment) -> None:
    """Fetch, render, check and join in one call."""
    stream = pipeline.generate(app, environment)

    assert stream == f"---\n{MANIFEST}".encode()


def test_generate_leaves_the_folder_as_it_was(app: Path, environment: BuildEnvironment) -> None:
    """The scratch folder is gone whatever came out."""
    before = sorted(app.iterdir())

    pipeline.generate(app, environment)

    assert sorted(app.iterdir()) == before


def test_generate_uses_what_init_left(app: Path, manifests: Path, environment: BuildEnvironment) -> None:
    """The source is read once for both."""
    pipeline.init(app, environment)
    (manifests / "a.yaml").unlink()

    assert pipeline.generate(app, environment) == f"---\n{MANIFEST}".encode()


def test_init_fails_where_the_source_is_missing(app: Path, manifests: Path, environment: BuildEnvironment) -> None:
    """A bad source fails before anything is rendered, and leaves nothing."""
    (manifests / "a.yaml").unlink()
    before = sorted(app.iterdir())

    with pytest.raises(SourceNotFoundError):
        pipeline.init(app, environment)

    assert sorted(app.iterdir()) == before


def test_an_empty_render_is_never_a_success(app: Path, manifests: Path, environment: BuildEnvironment) -> None:
    """Argo CD would cache nothing as the desired state, and prune."""
    (manifests / "a.yaml").rename(manifests / "a.txt")

    with pytest.raises(EmptyRenderError):
        pipeline.generate(app, environment)


def test_a_broken_document_fails_the_whole(app: Path, manifests: Path, environment: BuildEnvironment) -> None:
    """One bad file among good ones is no partial success."""
    (manifests / "b.yaml").write_text("kind: Broken\n", encoding="utf-8")

    with pytest.raises(RenderError, match=r"b\.yaml:1"):
        pipeline.generate(app, environment)


def test_a_deadline_that_has_passed_ends_the_request(app: Path, environment: BuildEnvironment) -> None:
    """No step goes on after the deadline, and the error names the step."""
    environment.deadline.use(environment.deadline.seconds)

    with pytest.raises(DeadlineExceededError, match="while"):
        pipeline.generate(app, environment)


def test_what_init_used_up_is_gone_for_generate(app: Path, environment: BuildEnvironment) -> None:
    """Both commands share one total time, as they share Argo CD's."""
    pipeline.init(app, environment)
    deadline = Deadline(environment.settings.timeout)
    later = BuildEnvironment(settings=environment.settings, application=environment.application, deadline=deadline)

    pipeline.generate(app, later)

    assert deadline.remaining() < environment.deadline.remaining() + 0.5
