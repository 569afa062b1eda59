"""The answers that need no source: validity, parameters, schema; nothing is fetched for them."""

from pathlib import Path

import pytest
from host_support import BACKEND, MODEL, FakeSite
from jsonschema import Draft202012Validator

from cmp_core.environment import BuildEnvironment
from cmp_core.errors import (
    BackendConflictError,
    BackendNotFoundError,
    ConfigError,
    DeadlineExceededError,
    SourceValidationError,
    TriggerFileError,
)
from cmp_core.offline import announce, schema_of, validate_sources

NEVER_FETCHED = f"{MODEL}\n@hookimpl\ndef fetch():\n    raise AssertionError('fetched')\n"


def make_app(folder: Path, content: str) -> Path:
    """Make an application's folder with this trigger file."""
    folder.mkdir()
    (folder / "demo-source.yaml").write_text(content, encoding="utf-8")
    return folder


def test_valid_sources_are_told_with_their_locations(fake_site: FakeSite, tmp_path: Path) -> None:
    """Folders and files, in the order in which they were asked for; nothing is fetched."""
    fake_site.install(NEVER_FETCHED)
    paths = [make_app(tmp_path / "b", "bucket: b\n"), make_app(tmp_path / "a", "bucket: a\n") / "demo-source.yaml"]

    valid = validate_sources(paths, BuildEnvironment())

    assert valid == [(paths[0], "demo://b"), (paths[1], "demo://a")]


def test_one_invalid_source_is_told_by_its_own_class(fake_site: FakeSite, tmp_path: Path) -> None:
    """With the exit code that `generate` would have."""
    fake_site.install()
    path = make_app(tmp_path / "a", "buket: b\n")

    with pytest.raises(SourceValidationError) as caught:
        validate_sources([path], BuildEnvironment())

    assert str(caught.value) == "demo-source.yaml:1: unknown key `buket`: did you mean `bucket`?"


def test_all_invalid_sources_are_told_at_once(fake_site: FakeSite, tmp_path: Path) -> None:
    """Each under its path; the valid ones do not count."""
    fake_site.install()
    wrong = make_app(tmp_path / "wrong", "buket: b\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    good = make_app(tmp_path / "good", "bucket: b\n")

    with pytest.raises(ConfigError) as caught:
        validate_sources([wrong, good, empty], BuildEnvironment())

    first, second = str(caught.value).splitlines()
    assert first == f"{wrong}: demo-source.yaml:1: unknown key `buket`: did you mean `bucket`?"
    assert second.startswith(f"{empty}: holds no trigger file (`NAME-source.yaml`), only nothing; ")


def test_a_deadline_is_no_invalid_source(fake_site: FakeSite, tmp_path: Path) -> None:
    """It ends the whole command instead of being counted among the mistakes."""
    code = f"{BACKEND}\n@property\ndef late(self):\n    raise cmp_core.DeadlineExceededError('late')\n"
    fake_site.install(f"{code}\nDemoSource.location = late\n")
    paths = [make_app(tmp_path / name, "bucket: b\n") for name in "ab"]

    with pytest.raises(DeadlineExceededError):
        validate_sources(paths, BuildEnvironment())


def test_parameters_show_the_values_of_the_file(fake_site: FakeSite, tmp_path: Path) -> None:
    """Without fetching anything."""
    fake_site.install(NEVER_FETCHED)
    path = make_app(tmp_path / "a", "bucket: b\nversion: 1.10\n")

    announced = {each["name"]: each.get("string") for each in announce(path, BuildEnvironment())}

    assert (announced["bucket"], announced["version"]) == ("b", "1.10")


def test_parameters_of_no_trigger_file_are_an_error(fake_site: FakeSite, tmp_path: Path) -> None:
    """An empty list would look like a source without fields."""
    with pytest.raises(TriggerFileError):
        announce(tmp_path, BuildEnvironment())


def test_the_schema_of_one_backend_is_its_own(fake_site: FakeSite) -> None:
    """Named after its trigger file."""
    fake_site.install()

    schema = schema_of("demo")

    Draft202012Validator.check_schema(schema)
    assert (schema["title"], schema["properties"]["kind"]["const"]) == ("demo-source.yaml", "DemoSource")


def test_the_schema_of_all_backends_accepts_any_of_them(fake_site: FakeSite) -> None:
    """For an editor that knows only `*-source.yaml`."""
    fake_site.install()
    fake_site.install(BACKEND.replace("bucket", "folder"), name="other", distribution="cmp-backend-other")

    schema = schema_of(None)

    validator = Draft202012Validator(schema)
    validator.check_schema(schema)
    assert [validator.is_valid({key: "x"}) for key in ("bucket", "folder", "url")] == [True, True, False]


def test_no_schema_without_a_backend(fake_site: FakeSite) -> None:
    """A schema that accepts nothing would be no valid one."""
    with pytest.raises(BackendNotFoundError, match=r"^no backend is installed: "):
        schema_of(None)
    with pytest.raises(BackendNotFoundError, match=r"^backend `demo` is not installed; "):
        schema_of("demo")


@pytest.mark.parametrize("name", [None, "demo"])
def test_a_conflict_is_told_also_here(fake_site: FakeSite, name: str | None) -> None:
    """Two schemas of one name would be merged without a word."""
    fake_site.install()
    fake_site.install(distribution="stranger")

    with pytest.raises(BackendConflictError):
        schema_of(name)
