"""What is the shelf backend's own: its trigger file's keys, where it looks, and its errors."""

import os
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from cmp_core import (
    Artifact,
    BuildEnvironment,
    IntegrityError,
    LimitExceededError,
    SourceAccessError,
    SourceNotFoundError,
    TransientFetchError,
)
from pydantic import ValidationError

import cmp_backend_shelf
from cmp_backend_shelf import ShelfSource, find_folder, find_volume


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Return a volume with one folder, in which lie two manifests and a file beside them."""
    folder = tmp_path / "volume" / "apps" / "demo"
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "service.yaml").write_text("kind: Service\n")
    (folder / "deployment.yaml").write_text("kind: Deployment\n")
    (folder / "values.yaml").write_text("replicas: 2\n")
    return tmp_path / "volume"


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """Return an empty folder."""
    folder = tmp_path / "destination"
    folder.mkdir()
    return folder


def fetch(volume: Path, destination: Path, **values: object) -> Artifact:
    """Fetch what a trigger file with these values names."""
    source = ShelfSource.model_validate(values)
    environment = BuildEnvironment(variables={"SHARED_SHELF": str(volume)})
    return cmp_backend_shelf.fetch(source, destination, environment)


def test_the_entry_point_leads_to_the_backend() -> None:
    """The host finds the backend by the prefix of its trigger file."""
    (entry_point,) = entry_points(group="cmp_core", name="shelf")

    assert entry_point.load() is cmp_backend_shelf
    assert cmp_backend_shelf.source_model() is ShelfSource


def test_a_folder_is_fetched_with_its_subfolders(volume: Path, destination: Path) -> None:
    """All files arrive, and only those that the source asks for."""
    artifact = fetch(volume, destination, path="apps/demo", exclude=["values.yaml"])

    assert artifact.files == ("base/service.yaml", "deployment.yaml")
    assert (destination / "base" / "service.yaml").read_text() == "kind: Service\n"


@pytest.mark.parametrize("path", ["/etc", "..", "../etc", "apps/../../etc", "apps\n", "a\0"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    """Whoever writes a trigger file is not the operator, and reads what the operator shares."""
    with pytest.raises(ValidationError, match="must lie below the shared volume"):
        ShelfSource(path=path)


def test_an_empty_path_is_refused() -> None:
    """The whole volume is nobody's application."""
    with pytest.raises(ValidationError, match="at least 1 character"):
        ShelfSource(path="")


def test_a_missing_folder_is_named(volume: Path, destination: Path) -> None:
    """The error tells which folder does not exist, and where."""
    with pytest.raises(SourceNotFoundError, match=f"other does not exist below {volume}"):
        fetch(volume, destination, path="apps/other")


def test_a_volume_that_is_not_mounted_is_no_missing_folder(tmp_path: Path, destination: Path) -> None:
    """Argo CD tries again, and the operator reads which variable says where the volume is."""
    with pytest.raises(TransientFetchError, match=r"nowhere is not there: .* SHARED_SHELF"):
        fetch(tmp_path / "nowhere", destination, path="apps/demo")


def test_the_volume_has_a_place_by_default() -> None:
    """A sidecar without the variable looks where the README says."""
    if Path(cmp_backend_shelf.MOUNT).is_dir():
        pytest.skip("this machine has the volume")
    with pytest.raises(TransientFetchError, match=r"^/srv/shelf is not there"):
        find_volume(BuildEnvironment())


def test_a_link_to_elsewhere_is_denied(volume: Path, destination: Path) -> None:
    """Who may write to the volume gains no right to read the sidecar's own files."""
    (volume / "etc").symlink_to("/etc")

    with pytest.raises(SourceAccessError, match=f"shelf:etc leads out of {volume}"):
        fetch(volume, destination, path="etc")


def test_a_link_in_the_folder_to_elsewhere_is_refused(volume: Path, destination: Path) -> None:
    """Neither does who may write to one folder of it."""
    (volume / "apps" / "demo" / "token.yaml").symlink_to("/etc/hostname")

    with pytest.raises(IntegrityError, match=r"`token\.yaml`"):
        fetch(volume, destination, path="apps/demo")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_denied(volume: Path) -> None:
    """The operator reads which folder to open for the sidecar's user."""
    (volume / "secret").mkdir(mode=0o000)

    with pytest.raises(SourceAccessError, match="shelf:secret may not be read"):
        find_folder(ShelfSource(path="secret"), volume)


def test_a_limit_of_the_source_is_honoured(volume: Path, destination: Path) -> None:
    """The trigger file may ask for less than the operator allows."""
    with pytest.raises(LimitExceededError, match="limits"):
        fetch(volume, destination, path="apps/demo", limits={"objects": 2})
