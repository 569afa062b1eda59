"""What a `tarball-source.yaml` may say, and what it means for the files of an archive."""

import hashlib
import subprocess
import sys
import tarfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import cmp_backend_tarball
import pytest
from cmp_backend_tarball.source import TarballSource
from pydantic import ValidationError

from cmp_core import BackendError, IntegrityError, LimitExceededError, SourceNotFoundError, SourceValidationError

NESTED = {"backend": "local", "path": "/srv/releases"}
FILES = {
    "demo-1.0.0/README.md": b"# demo\n",
    "demo-1.0.0/deploy/base/service.yaml": b"kind: Service\n",
    "demo-1.0.0/deploy/deployment.yaml": b"kind: Deployment\n",
    "demo-1.0.0/deployment.yaml": b"kind: Other\n",
    "notice": b"\n",
}


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below the folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_entry_point_leads_to_the_backend() -> None:
    """The host finds the backend by the prefix of its trigger file."""
    (entry_point,) = entry_points(group="cmp_core", name="tarball")

    assert entry_point.load() is cmp_backend_tarball
    assert cmp_backend_tarball.source_model() is TarballSource


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"subpath": "/"}, "names no folder"),
        ({"subpath": ""}, "names no folder"),
        ({"subpath": "/deploy"}, "is no folder of an archive"),
        ({"subpath": "../deploy"}, "is no folder of an archive"),
        ({"subpath": "a//b"}, "is no folder of an archive"),
        ({"stripComponents": -1}, "greater than or equal to 0"),
        ({"stripComponents": 33}, "less than or equal to 32"),
        ({"sha256": "sha256:00"}, "is no SHA-256"),
        ({"sha256": "A" * 64}, "is no SHA-256"),
        ({"source": "s3://bucket/key"}, "source"),
    ],
)
def test_a_wrong_value_is_told_with_what_to_write(values: dict[str, Any], text: str) -> None:
    """What can be known to be wrong is refused before anything is fetched."""
    with pytest.raises(ValidationError, match=text):
        TarballSource.model_validate({"source": NESTED, **values})


@pytest.mark.parametrize(
    ("values", "location"),
    [
        ({"source": NESTED}, "file:///srv/releases"),
        ({"source": NESTED, "subpath": "deploy/base/"}, "file:///srv/releases#deploy/base"),
        ({"source": {"backend": "tarball", "source": NESTED, "subpath": "a"}}, "file:///srv/releases#a"),
        ({"source": {"backend": "nobody"}}, "nobody:"),
    ],
)
def test_its_location_is_that_of_the_archive(values: dict[str, Any], location: str) -> None:
    """Messages name the place that somebody can go to."""
    assert TarballSource.model_validate(values).location == location


def test_every_kind_is_told_by_its_content(unpack: Any, pack: Any, kind: str) -> None:
    """What the file is called does not matter."""
    artifact = unpack(pack(FILES, kind))

    assert tree(artifact.root) == FILES
    assert artifact.files == tuple(sorted(FILES))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"stripComponents": 1},
            ["README.md", "deploy/base/service.yaml", "deploy/deployment.yaml", "deployment.yaml"],
        ),
        ({"stripComponents": 2}, ["base/service.yaml", "deployment.yaml"]),
        ({"subpath": "demo-1.0.0/deploy"}, ["base/service.yaml", "deployment.yaml"]),
        ({"stripComponents": 1, "subpath": "deploy"}, ["base/service.yaml", "deployment.yaml"]),
        ({"stripComponents": 1, "subpath": "deploy", "include": ["/*.yaml"]}, ["deployment.yaml"]),
        ({"stripComponents": 1, "subpath": "deploy", "exclude": ["base/"]}, ["deployment.yaml"]),
        ({"include": ["README.md"]}, ["demo-1.0.0/README.md"]),
    ],
    ids=str,
)
def test_a_part_of_the_archive_is_meant(unpack: Any, pack: Any, values: dict[str, Any], expected: list[str]) -> None:
    """First components are stripped, then the subpath is entered, then the patterns hold for what is left."""
    files = {path: content for path, content in FILES.items() if values != {"stripComponents": 2} or "/d" in path}

    assert list(unpack(pack(files), **values).files) == expected


def test_two_files_that_are_stripped_to_one_name_are_refused(unpack: Any, pack: Any, destination: Path) -> None:
    """Nobody could say which of them is meant."""
    with pytest.raises(IntegrityError, match=r"`a\.yaml` in file://\S+ comes twice"):
        unpack(pack({"x/a.yaml": b"1", "y/a.yaml": b"2"}), stripComponents=1)

    assert list(destination.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "holds no file: pack"),
        ({"subpath": "deploy"}, "holds no file that is wanted .`subpath`.: correct"),
        ({"stripComponents": 5, "include": ["*"]}, "holds no file that is wanted .`include`, `stripComponents`"),
    ],
)
def test_an_archive_without_a_wanted_file_is_an_error(
    unpack: Any, pack: Any, kind: str, values: dict[str, Any], text: str
) -> None:
    """An empty result is never a success; which key may be to blame is told."""
    files = FILES if values else {}

    with pytest.raises(SourceNotFoundError, match=text):
        unpack(pack(files, kind), **values)


def test_the_revision_is_that_of_the_archive_and_the_digest_that_of_the_files(
    unpack: Any, pack: Any, tmp_path: Path
) -> None:
    """Packed anew, the archive is another state of the source with the same content."""
    shuffled = dict(reversed(FILES.items()))
    first = unpack(pack(FILES))
    for path in [*first.root.iterdir()]:
        path.rename(tmp_path / path.name)

    second = unpack(pack(shuffled, seconds=86_400))

    assert first.digest == second.digest
    assert first.files == second.files
    assert first.revision != second.revision


def test_the_archive_is_held_against_its_sha256(unpack: Any, pack: Any) -> None:
    """The archive that is meant is unpacked."""
    archive = pack(FILES)

    artifact = unpack(archive, sha256=hashlib.sha256(archive).hexdigest())

    assert tree(artifact.root) == FILES


def test_another_archive_than_the_sha256_names_is_not_looked_into(unpack: Any, destination: Path) -> None:
    """What could not even be read as an archive is told as another one: nothing has looked into it."""
    with pytest.raises(IntegrityError, match=r"has the SHA-256 [0-9a-f]{64} and not the one in `sha256`"):
        unpack(b"no archive", sha256="0" * 64)

    assert list(destination.iterdir()) == []


def test_a_source_of_more_than_one_file_is_refused(unpack: Any, pack: Any, tmp_path: Path, destination: Path) -> None:
    """Which of the files would be the archive is not guessed."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "b.tgz").write_bytes(pack(FILES))

    with pytest.raises(
        SourceValidationError, match=r"^`source`: file://\S+ brings 2 files \(among them `b\.tgz`, `release`\)"
    ):
        unpack(pack(FILES))

    assert list(destination.iterdir()) == []


def test_what_is_wrong_with_the_nested_source_is_told_with_its_place(unpack: Any, tmp_path: Path) -> None:
    """The path to the source stands in front of its complaint."""
    with pytest.raises(SourceNotFoundError, match=r"^tarball-source\.yaml: source: file://\S+missing does not exist"):
        unpack(b"", source={"backend": "local", "path": str(tmp_path / "missing")})


def test_an_archive_in_an_archive_is_reached_through_two_sources(unpack: Any, pack: Any, tmp_path: Path) -> None:
    """A tarball may be the source of a tarball."""
    (tmp_path / "outer").mkdir()
    (tmp_path / "outer" / "outer.zip").write_bytes(pack({"inner": pack(FILES, "tar.xz"), "x": b""}, "zip"))
    outer = {"backend": "local", "path": str(tmp_path / "outer")}

    artifact = unpack(b"", source={"backend": "tarball", "source": outer, "include": ["inner"]})

    assert tree(artifact.root) == FILES


@pytest.mark.parametrize("limits", [{"objects": 4}, {"objectBytes": 200}, {"totalBytes": 200}], ids=str)
def test_limits_hold_for_the_archive_and_for_what_is_unpacked(unpack: Any, pack: Any, limits: dict[str, int]) -> None:
    """Neither may be larger than a source may be."""
    with pytest.raises(LimitExceededError, match=r"limits\."):
        unpack(pack(FILES, "tar"), limits=limits)


def test_a_python_without_the_filter_for_data_is_refused(
    unpack: Any, pack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old one is told by what it lacks, with the remedy, and nothing is unpacked without the filter."""
    monkeypatch.delattr(tarfile, "data_filter")

    with pytest.raises(BackendError, match=r"^Python before 3\.11\.4 cannot unpack archives safely: use a newer one"):
        unpack(pack(FILES))


def test_importing_the_package_loads_no_decoder() -> None:
    """`validate`, `schema` and `parameters` load the backend without ever fetching."""
    code = "import sys, cmp_backend_tarball; print(sorted({'tarfile', 'zstandard'} & set(sys.modules)))"

    answer = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout

    assert answer.strip() == "[]"
