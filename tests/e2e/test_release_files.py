"""What a release publishes is made here as it is there."""

import hashlib
import json
from pathlib import Path

import pytest
from e2e.conftest import give_up

from tools import release

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders, made one after the other."""
    if not release.CYCLONEDX.exists():
        give_up("cyclonedx-py is not here: make release-files installs it")
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    for folder in (first, second):
        release.make_files(folder)
    return first, second


def test_a_release_holds_a_wheel_of_each_distribution(made: tuple[Path, Path]) -> None:
    """And its bill and its sums; the examples are not published."""
    names = [release.read_project(path)["name"].replace("-", "_") for path in release.distributions(release.ROOT)]
    version = release.read_project(release.ROOT)["version"]

    wheels = [f"{name}-{version}-py3-none-any.whl" for name in names]

    assert sorted(path.name for path in made[0].iterdir()) == sorted([*wheels, release.BILL, release.SUMS])


def test_the_same_commit_gives_the_same_files(made: tuple[Path, Path]) -> None:
    """Byte for byte, so that anybody can make them again; the sums are theirs."""
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in made)

    assert first == second
    sums = first.pop(release.SUMS).decode().splitlines()
    assert sums == [f"{hashlib.sha256(first[name]).hexdigest()}  {name}" for name in sorted(first)]


def test_the_bill_names_every_package_and_no_place_on_a_disk(made: tuple[Path, Path]) -> None:
    """All of the locked run-time set, and what is published itself."""
    text = (made[0] / release.BILL).read_text(encoding="utf-8")
    bill = json.loads(text)
    locked = (release.ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")

    listed = {component["name"].lower().replace("_", "-") for component in [*bill["components"]]}

    assert bill["bomFormat"] == "CycloneDX"
    expected = {line.split("==")[0] for line in locked.splitlines() if "==" in line and "sys_platform" not in line}
    assert expected - listed == set()
    assert {"cmp-backend-s3", "cmp-backend-helm"} <= listed
    assert bill["metadata"]["component"]["name"] == "cmp-core"
    assert "file://" not in text


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    """What lies there would be published, too."""
    (tmp_path / "left.whl").touch()

    with pytest.raises(SystemExit, match="is not empty"):
        release.make_files(tmp_path)
