"""The locked sets in requirements/ are fresh, complete and the same wherever they were made."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
LOCKED = sorted(path.name for path in FOLDER.glob("*.txt") if path.name != "workspace.txt")
MENDED_BY = "run make requirements"


def projects(*patterns: str) -> Iterator[Path]:
    """Give the pyproject.toml files that the patterns name."""
    for pattern in patterns:
        yield from sorted(ROOT.glob(pattern))


def dependencies(paths: Iterable[Path]) -> list[Requirement]:
    """Return the run-time dependencies that the projects declare."""
    return [Requirement(line) for path in paths for line in tomllib.loads(path.read_text())["project"]["dependencies"]]


def group(name: str) -> list[Requirement]:
    """Return what a dependency group of the root declares."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [Requirement(line) for line in content["dependency-groups"][name]]


def inputs(name: str) -> list[Requirement]:
    """Return what a file of inputs asks for."""
    lines = (FOLDER / f"{name}.in").read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def own_names() -> set[str]:
    """Return the names of the workspace's own distributions."""
    paths = projects("pyproject.toml", "backends/*/pyproject.toml", "examples/backend-*/pyproject.toml")
    return {tomllib.loads(path.read_text())["project"]["name"] for path in paths}


def pins(file: str) -> dict[str, set[str]]:
    """Return the versions that a locked set holds, by name; one name may have several, for different Pythons."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)", (FOLDER / file).read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


def declared(file: str) -> list[Requirement]:
    """Return what a locked set was made from, less the workspace's own distributions."""
    runtime = dependencies(projects("pyproject.toml", "backends/*/pyproject.toml"))
    sources = {
        "runtime.txt": runtime,
        "development.txt": [
            *runtime,
            *dependencies(projects("examples/backend-*/pyproject.toml")),
            *group("dev"),
            *inputs("build"),
            *inputs("uv"),
        ],
        "docs.txt": group("docs"),
    }
    requirements = sources[file] if file in sources else inputs(file.removesuffix(".txt"))
    return [requirement for requirement in requirements if canonicalize_name(requirement.name) not in own_names()]


@pytest.mark.parametrize("file", LOCKED)
def test_a_locked_set_satisfies_what_is_declared(file: str) -> None:
    """A dependency that was added or raised after the last locking is named, with what mends it."""
    versions = pins(file)

    stale = [
        str(requirement)
        for requirement in declared(file)
        if not any(
            requirement.specifier.contains(version, prereleases=True)
            for version in versions.get(canonicalize_name(requirement.name), ())
        )
    ]

    assert not stale, f"requirements/{file} has no version for {stale}: {MENDED_BY}"


@pytest.mark.parametrize("file", ["runtime.txt", "build.txt", "uv.txt"])
def test_the_development_set_holds_the_smaller_sets_unchanged(file: str) -> None:
    """What is tested is what is shipped."""
    development = pins("development.txt")

    different = {name: version for name, version in pins(file).items() if development.get(name) != version}

    assert not different, f"requirements/development.txt differs from {file} in {different}: {MENDED_BY}"


@pytest.mark.parametrize("file", LOCKED)
def test_every_pin_has_a_hash(file: str) -> None:
    """An installer that checks hashes has one to check for each distribution."""
    content = (FOLDER / file).read_text().replace("\\\n", "")

    pinned = [line for line in content.splitlines() if line and not line.lstrip().startswith("#")]

    assert pinned
    assert [line for line in pinned if "--hash=sha256:" not in line] == []


@pytest.mark.parametrize("file", LOCKED)
def test_a_locked_set_names_no_host_and_no_place_on_a_disk(file: str) -> None:
    """Whoever installs it chooses the index; where it was made does not matter."""
    content = (FOLDER / file).read_text()

    assert re.findall(r"\S*(?:://|--index|--find-links|\s/)\S*", content) == []
    assert not set(pins(file)) & own_names()
    assert not re.search(r"^-e|^\.", content, re.MULTILINE)


def test_the_workspace_file_installs_every_member() -> None:
    """A new backend is installed for development like the others."""
    members = projects("backends/*/pyproject.toml", "examples/backend-*/pyproject.toml")
    expected = ["-e .", *(f"-e ./{path.parent.relative_to(ROOT)}" for path in members)]

    lines = (FOLDER / "workspace.txt").read_text().splitlines()

    assert [line for line in lines if not line.startswith("#")] == expected


def test_the_build_set_holds_what_every_project_builds_with() -> None:
    """The wheels are built without a network, from pinned tools."""
    names = set(pins("build.txt"))

    for path in projects("pyproject.toml", "backends/*/pyproject.toml", "examples/backend-*/pyproject.toml"):
        requires = tomllib.loads(path.read_text())["build-system"]["requires"]
        assert {canonicalize_name(Requirement(line).name) for line in requires} <= names, path
