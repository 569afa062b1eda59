"""Sources inside sources: fetched by their own backends, under one set of limits, told with their place."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cmp_core import NestedSource, Source
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import (
    BackendNotFoundError,
    CmpError,
    DeadlineExceededError,
    LimitExceededError,
    SourceNotFoundError,
    SourceValidationError,
)
from cmp_core.nesting import MOST_NESTED, Nesting, location_of, nested_problems
from cmp_core.settings import Settings
from cmp_core.strictyaml import KeyPath

MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\n"


class Part(NestedSource):
    """A source of a list, with a key that is not its backend's."""

    into: str = ""


class OuterSource(Source):
    """A source that holds others."""

    chart: NestedSource | None = None
    parts: tuple[Part, ...] = ()

    @property
    def location(self) -> str:
        """A made-up place."""
        return "outer://demo"


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A folder with two manifests."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text(MANIFEST, encoding="utf-8")
    return folder


def nesting(limits: Mapping[str, int] | None = None, *, depth: int = 1) -> Nesting:
    """Return what a backend is given that may fetch so much."""
    settings = Settings.model_validate({"limits": limits or {}})
    return Nesting(OuterSource(), BuildEnvironment(settings=settings), "outer-source.yaml", depth=depth)


def local(path: Path, **values: Any) -> dict[str, Any]:
    """Return the keys of a source of the example's backend."""
    return {"backend": "local", "path": str(path), **values}


def problems(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong inside of a source, each with the key path at which it stands."""

    def place_of(path: KeyPath) -> str:
        return "/".join(map(str, path))

    source = OuterSource.model_validate(values)
    return [(place, message) for place, message in nested_problems(source, place_of, Settings())]


def test_a_nested_source_is_fetched_by_its_own_backend(manifests: Path, tmp_path: Path) -> None:
    """Sources compose without knowing each other's packages."""
    artifact = nesting()(local(manifests), tmp_path / "inner")

    assert artifact.files == ("a.yaml", "b.yaml")
    assert artifact.root == tmp_path / "inner"


def test_a_field_of_the_source_is_fetched_as_it_is(manifests: Path, tmp_path: Path) -> None:
    """A backend passes on what its model holds; keys of the outer source's own do not reach the inner backend."""
    part = Part.model_validate(local(manifests, into="folder", include=["b.yaml"]))

    artifact = nesting()(part, tmp_path / "inner")

    assert artifact.files == ("b.yaml",)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ({"path": "/srv"}, SourceValidationError, "outer-source.yaml: chart: a nested source lacks `backend`"),
        ({"backend": "nope"}, BackendNotFoundError, "outer-source.yaml: chart: .*`nope` is not installed"),
        ({"backend": "local"}, SourceValidationError, "outer-source.yaml: chart: nested source `local`: `path` is mis"),
        ({"backend": "local", "path": "/no/such"}, SourceNotFoundError, "outer-source.yaml: chart: file:///no/such"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, source: dict[str, str], error: type[CmpError], message: str
) -> None:
    """The path to a nested source stands in front of every complaint about it."""
    with pytest.raises(error, match=f"^{message}"):
        nesting()(source, tmp_path / "inner", key="chart")


def test_the_deadline_is_that_of_the_whole_request(manifests: Path, tmp_path: Path) -> None:
    """It says what was being fetched, and names no part of the tree as the culprit."""
    environment = BuildEnvironment()
    environment.deadline.use(environment.deadline.seconds)

    with pytest.raises(DeadlineExceededError, match=f"^stopped after 45 s while fetching file://{manifests}"):
        Nesting(OuterSource(), environment, "outer-source.yaml")(local(manifests), tmp_path / "inner")


def test_after_a_nested_fetch_the_step_is_the_outer_one_again(manifests: Path, tmp_path: Path) -> None:
    """What the outer backend does next is not told as the fetch of the inner source."""
    environment = BuildEnvironment()
    environment.deadline.step = "rendering"

    Nesting(OuterSource(), environment)(local(manifests), tmp_path / "inner")

    assert environment.deadline.step == "rendering"


def test_nesting_is_bounded(manifests: Path, tmp_path: Path) -> None:
    """A source that holds itself ends."""
    with pytest.raises(SourceValidationError, match="deeper than 4"):
        nesting(depth=MOST_NESTED + 1)(local(manifests), tmp_path / "inner")


@pytest.mark.parametrize("limits", [{"objects": 3}, {"totalBytes": 3 * len(MANIFEST)}], ids=["objects", "bytes"])
def test_limits_count_over_all_sources_of_a_tree(manifests: Path, tmp_path: Path, limits: dict[str, int]) -> None:
    """Two sources of two files each bring four together, and the second is refused before it is read."""
    fetch = nesting(limits)
    fetch(local(manifests), tmp_path / "first")

    with pytest.raises(LimitExceededError, match=r"^outer-source\.yaml: chart: .*raise `limits\."):
        fetch(local(manifests), tmp_path / "second", key="chart")

    assert list((tmp_path / "second").iterdir()) == []


class Crowd(Nesting):
    """Lets three sources begin before any of them is read."""

    barrier = threading.Barrier(3, timeout=60)

    def _environment_with_what_is_left(self) -> BuildEnvironment:
        environment = super()._environment_with_what_is_left()
        self.barrier.wait()
        return environment


def test_limits_hold_for_sources_that_are_fetched_at_once(manifests: Path, tmp_path: Path) -> None:
    """Each of them fits alone; together they do not, and that is noticed."""
    settings = Settings.model_validate({"limits": {"objects": 5}})
    fetch = Crowd(OuterSource(), BuildEnvironment(settings=settings), "outer-source.yaml")

    with ThreadPoolExecutor(3) as pool, pytest.raises(LimitExceededError, match="outer://demo brings 6 objects"):
        list(pool.map(lambda number: fetch(local(manifests), tmp_path / str(number)), range(3)))


def test_what_fits_exactly_is_brought(manifests: Path, tmp_path: Path) -> None:
    """The limits are the most that is allowed, not one more."""
    fetch = nesting({"objects": 4, "totalBytes": 4 * len(MANIFEST)})

    artifacts = [fetch(local(manifests), tmp_path / name) for name in ("first", "second")]

    assert [len(artifact.files) for artifact in artifacts] == [2, 2]


def test_what_is_wrong_inside_is_found_before_anything_is_fetched() -> None:
    """Every problem of every nested source, in lists too, with the key path at which it stands."""
    found = problems(
        {
            "chart": {"backend": "local", "pth": "/srv"},
            "parts": [
                {"backend": "local", "path": "/srv"},
                {"backend": "local", "path": "/srv", "limits": {"objects": "0"}},
            ],
        }
    )

    assert found == [
        ("chart/pth", "`chart`: unknown key `pth`: did you mean `path`?"),
        ("parts/1/limits/objects", "`parts.1`: `limits.objects` must be more than 0, not `0`"),
    ]


def test_a_backend_that_is_not_installed_is_told_with_its_place() -> None:
    """The image lacks it, and the author reads which key asks for it."""
    with pytest.raises(BackendNotFoundError, match=r"^chart: `chart`: .*`nope` is not installed"):
        problems({"chart": {"backend": "nope"}})


def test_a_sound_source_has_no_problem() -> None:
    """Neither have sources without anything inside."""
    assert problems({"chart": {"backend": "local", "path": "/srv"}}) == []
    assert problems({}) == []


def test_a_nested_source_is_located_by_its_own_backend(manifests: Path) -> None:
    """The source around it says where it lies; one that nobody can read is named by its backend."""
    assert location_of(NestedSource.model_validate(local(manifests))) == f"file://{manifests}"
    assert location_of(NestedSource.model_validate({"backend": "local"})) == "local:"
    assert location_of(NestedSource.model_validate({"backend": "nope"})) == "nope:"
