"""The request: a trigger file read and understood, with a fingerprint of everything that the result depends on."""

from pathlib import Path

import pytest
from host_support import BACKEND, FakeSite

from cmp_core.environment import Application, BuildEnvironment
from cmp_core.errors import BackendLoadError, BackendNotFoundError, TriggerFileError
from cmp_core.request import read_request


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An application's folder with a trigger file."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "demo-source.yaml").write_text("bucket: b\n", encoding="utf-8")
    return folder


def environment_of(**variables: str) -> BuildEnvironment:
    """Return the environment that these variables make."""
    return BuildEnvironment.from_environ(variables)


def test_a_folder_or_its_file_gives_the_same_request(fake_site: FakeSite, app: Path) -> None:
    """`validate` takes either."""
    fake_site.install()
    environment = environment_of()

    by_folder, by_file = (read_request(path, environment) for path in (app, app / "demo-source.yaml"))

    assert by_folder.source == by_file.source
    assert by_folder.fingerprint == by_file.fingerprint
    assert (by_folder.trigger.name, by_folder.backend.installed.name) == ("demo-source.yaml", "demo")
    assert by_folder.source.location == "demo://b"


def test_the_step_is_told_before_the_reading(fake_site: FakeSite, app: Path) -> None:
    """A deadline in a slow file system says where, in the Application's words."""
    fake_site.install()
    environment = BuildEnvironment(application=Application(path="apps/demo"))

    read_request(app, environment)

    assert environment.deadline.step == "reading the trigger file in apps/demo"


def test_a_backend_that_is_not_installed_is_told(fake_site: FakeSite, app: Path) -> None:
    """What is asked for, what is there, what to do."""
    fake_site.install(name="other")

    with pytest.raises(BackendNotFoundError, match=r"^backend `demo` is not installed; installed are other \("):
        read_request(app, environment_of())


def test_a_broken_neighbour_does_no_harm(fake_site: FakeSite, app: Path) -> None:
    """Only the backend that the trigger file names is loaded."""
    fake_site.install()
    fake_site.install("1 / 0", name="broken", distribution="cmp-backend-broken")

    request = read_request(app, environment_of())

    assert request.backend.installed.name == "demo"


def test_a_broken_backend_is_told(fake_site: FakeSite, app: Path) -> None:
    """Before its trigger file is judged."""
    fake_site.install("1 / 0")

    with pytest.raises(BackendLoadError):
        read_request(app, environment_of())


def test_a_missing_folder_is_told_as_that(fake_site: FakeSite, tmp_path: Path) -> None:
    """Not as a file of the wrong name."""
    with pytest.raises(TriggerFileError, match="absent: does not exist"):
        read_request(tmp_path / "absent", environment_of())


def test_everything_that_matters_changes_the_fingerprint(fake_site: FakeSite, app: Path) -> None:
    """Another trigger file, parameter, variable, setting or backend: what `init` left for one is not for another."""
    fake_site.install()
    base = {"ARGOCD_APP_NAME": "demo", "ARGOCD_APP_PARAMETERS": "null"}
    environments = [
        base,
        base | {"ARGOCD_APP_PARAMETERS": '[{"name": "bucket", "string": "c"}]'},
        base | {"ARGOCD_ENV_CMP_BUCKET": "c"},
        base | {"ARGOCD_ENV_ANYTHING": "x"},
        base | {"ARGOCD_APP_NAME": "other"},
        base | {"AWS_ENDPOINT_URL": "https://elsewhere.example.com"},
        base | {"CMP_TIMEOUT": "9"},
    ]

    prints = [read_request(app, environment_of(**variables)).fingerprint for variables in environments]
    again = read_request(app, environment_of(**base)).fingerprint
    (app / "demo-source.yaml").write_text("bucket: b\n# another comment\n", encoding="utf-8")
    prints.append(read_request(app, environment_of(**base)).fingerprint)

    assert again == prints[0]
    assert len(set(prints)) == len(prints)


def test_another_version_of_the_backend_changes_the_fingerprint(
    fake_site: FakeSite, app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade may read the same file in another way."""
    fake_site.install(version="1.0")
    before = read_request(app, environment_of()).fingerprint
    newer = FakeSite(tmp_path / "newer")
    newer.directory.mkdir()
    monkeypatch.syspath_prepend(newer.directory)
    newer.install(BACKEND, version="2.0")
    monkeypatch.setattr("site.getsitepackages", lambda: [str(newer.directory)])

    after = read_request(app, environment_of()).fingerprint

    assert before != after
