"""A release has one version everywhere, and a tag that does not fit stops it before anything is built."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import release

ROOT = Path(__file__).resolve().parent.parent


def test_all_distributions_have_one_version() -> None:
    """cmp-core and every backend, the extras that pin them, and the label of the image."""
    versions = dict(release.named_versions(ROOT))

    assert len(set(versions.values())) == 1, versions
    assert {"pyproject.toml", "backends/s3/pyproject.toml", "the extra s3 in pyproject.toml", "Dockerfile"} <= set(
        versions
    )
    assert len(versions) == 2 * len(release.distributions(ROOT))


def test_a_backend_takes_this_host_and_the_next_minor_version_not() -> None:
    """The bound of cmp-core fits the version; before 1.0 a minor version may break things."""
    major, minor, _ = release.read_project(ROOT)["version"].split(".")

    for path in release.distributions(ROOT)[1:]:
        (bound,) = (line for line in release.read_project(path)["dependencies"] if re.match(r"cmp-core\b", line))
        assert re.fullmatch(rf"cmp-core(\[\w+\])?>={major}\.{minor}\.\d+,<{major}\.{int(minor) + 1}", bound), path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which the release of this version has been prepared."""
    for path in release.distributions(ROOT):
        folder = tmp_path / path.relative_to(ROOT)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path / "pyproject.toml", folder)
    (tmp_path / "changes").mkdir()
    shutil.copy(ROOT / "changes" / "README.md", tmp_path / "changes")
    shutil.copy(ROOT / "Dockerfile", tmp_path)
    version = release.read_project(ROOT)["version"]
    text = (
        f"# Changelog\n\n## {version} (2026-01-02)\n\n### Added\n\n- A thing.\n\n## 0.0.1 (2026-01-01)\n\n- Before.\n"
    )
    (tmp_path / "CHANGELOG.md").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_tag_that_fits_is_taken(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where every place says so, nothing is left to collect, and the changelog has a section."""
    version = release.read_project(checkout)["version"]

    release.check(checkout, f"v{version}")

    assert capsys.readouterr().err == f"v{version} is the version everywhere.\n"


def replace(name: str, before: str, after: str) -> Callable[[Path], None]:
    """Return what replaces a text in a file of a checkout."""

    def change(checkout: Path) -> None:
        path = checkout / name
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after, 1), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (replace("pyproject.toml", 'version = "', 'version = "9'), "pyproject.toml says 90.1.0"),
        (
            replace("backends/s3/pyproject.toml", 'version = "', 'version = "9'),
            "backends/s3/pyproject.toml says 90.1.0",
        ),
        (
            replace("pyproject.toml", "cmp-backend-helm==", "cmp-backend-helm==9"),
            "the extra helm in pyproject.toml says 90.1.0",
        ),
        (replace("Dockerfile", "ARG VERSION=", "ARG VERSION=9"), "Dockerfile says 90.1.0"),
        (replace("CHANGELOG.md", "## 0.1.0", "## 0.1.9"), "CHANGELOG.md has no section for 0.1.0"),
        (lambda checkout: (checkout / "changes" / "+a.added.md").touch(), "changes/ still holds 1 fragments"),
    ],
    ids=["host", "backend", "extra", "image", "changelog", "fragment"],
)
def test_a_place_that_does_not_fit_the_tag_is_told(checkout: Path, change: Callable[[Path], None], told: str) -> None:
    """Each of them alone stops the release."""
    change(checkout)

    with pytest.raises(SystemExit) as ended:
        release.check(checkout, "v0.1.0")

    assert told in str(ended.value)
    assert len(str(ended.value).splitlines()) == 2


def test_another_tag_is_told_with_every_place(checkout: Path) -> None:
    """The tag is wrong, or all of them are."""
    with pytest.raises(SystemExit, match=r"pyproject\.toml says 0\.1\.0") as ended:
        release.check(checkout, "v0.2.0")

    assert "CHANGELOG.md has no section for 0.2.0" in str(ended.value)


def test_the_notes_are_the_section_of_this_version(checkout: Path) -> None:
    """Without its heading, and without what belongs to other versions."""
    assert release.notes(checkout) == "### Added\n\n- A thing.\n"


def test_a_version_without_a_section_has_no_notes() -> None:
    """An empty release would be made otherwise."""
    with pytest.raises(SystemExit, match=r"CHANGELOG\.md has no section for"):
        release.notes(ROOT)
