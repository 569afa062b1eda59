"""The backend for a folder on the sidecar's disk."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import cmp_backend_local
import pytest
from cmp_backend_local import LocalSource
from pydantic import ValidationError

from cmp_core import Artifact, BuildEnvironment, IntegrityError, SourceNotFoundError


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """Return a folder with two manifests and a file beside them."""
    folder = tmp_path / "origin"
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "service.yaml").write_text("kind: Service\n")
    (folder / "deployment.yaml").write_text("kind: Deployment\n")
    (folder / "values.yaml").write_text("replicas: 2\n")
    return folder


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """Return an empty folder."""
    folder = tmp_path / "destination"
    folder.mkdir()
    return folder


def fetch(destination: Path, **values: object) -> Artifact:
    """Fetch what a trigger file with these values names."""
    source = LocalSource.model_validate(values)
    return cmp_backend_local.fetch(source, destination, BuildEnvironment())


def test_the_entry_point_leads_to_the_backend() -> None:
    """The host finds the backend by the prefix of its trigger file."""
    (entry_point,) = entry_points(group="cmp_core", name="local")

    assert entry_point.load() is cmp_backend_local
    assert cmp_backend_local.source_model() is LocalSource


def test_a_folder_is_fetched_with_its_subfolders(origin: Path, destination: Path) -> None:
    """All files arrive, and only those that the source asks for."""
    artifact = fetch(destination, path=str(origin), exclude=["values.yaml"])

    assert artifact.files == ("base/service.yaml", "deployment.yaml")
    assert (destination / "base" / "service.yaml").read_text() == "kind: Service\n"


def test_the_revision_changes_with_the_content(origin: Path, tmp_path: Path) -> None:
    """One byte more is another revision."""
    revisions = set()
    for attempt in ("first", "second"):
        (tmp_path / attempt).mkdir()
        revisions.add(fetch(tmp_path / attempt, path=str(origin)).revision)
        (origin / "deployment.yaml").write_text("kind: Deployment \n")

    assert len(revisions) == 2


@pytest.mark.parametrize(
    "path", ["", "manifests", "./manifests", "/srv/../etc", "..", "~/manifests", "/srv\n/x", "/a\0"]
)
def test_a_path_that_is_not_plain_and_absolute_is_refused(path: str) -> None:
    """A relative path would lie in the application's folder, which Argo CD renders without a plugin."""
    with pytest.raises(ValidationError, match="must be an absolute path"):
        LocalSource(path=path)


def test_a_missing_folder_is_named(tmp_path: Path, destination: Path) -> None:
    """The error tells which folder does not exist."""
    with pytest.raises(SourceNotFoundError, match=f"file://{tmp_path}/missing does not exist"):
        fetch(destination, path=f"{tmp_path}/missing")


def test_a_link_out_of_the_folder_is_refused(origin: Path, destination: Path) -> None:
    """Who may write to the folder gains no right to read elsewhere."""
    (origin / "token.yaml").symlink_to("/etc/hostname")

    with pytest.raises(IntegrityError, match=r"`token\.yaml`"):
        fetch(destination, path=str(origin))


def test_the_module_loads_nothing_that_it_may_not_need() -> None:
    """`validate`, `schema` and `parameters` load the backend without ever fetching."""
    code = "import sys, cmp_backend_local; print(sorted({'fsspec', 'pathspec'} & set(sys.modules)))"

    answer = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout

    assert answer.strip() == "[]"
