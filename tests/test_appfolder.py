"""Files of an application's folder: none that is a trap is opened or followed."""

import os
from pathlib import Path

import pytest

from cmp_core.appfolder import read_regular_file
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import SourceValidationError, TriggerFileError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good file, and traps."""
    app = tmp_path / "app"
    (app / "sub").mkdir(parents=True)
    (app / "sub" / "good.yaml").write_bytes(b"a: 1\n")
    (tmp_path / "secret.yaml").write_bytes(b"secret\n")
    (app / "link").symlink_to("../secret.yaml")
    (app / "up").symlink_to("..")
    os.mkfifo(app / "pipe")
    return app


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_regular_file_is_read_up_to_a_bound(folder: Path) -> None:
    """Nobody needs all of a file that is too large."""
    assert read_regular_file(folder, "sub/good.yaml", max_bytes=3, error_class=TriggerFileError) == b"a: "


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("none", "cannot be read (No such file or directory)"),
        ("link", "is a symbolic link"),
        ("up/secret.yaml", "lies behind a symbolic link or a file"),
        ("sub/good.yaml/x", "lies behind a symbolic link or a file"),
        ("sub", "is not a regular file"),
        ("pipe", "is not a regular file"),
    ],
)
def test_anything_else_is_refused(folder: Path, path: str, reason: str) -> None:
    """At once, with the class that the caller asks for, and nothing stays open."""
    before = descriptors()

    with pytest.raises(TriggerFileError) as raised:
        read_regular_file(folder, path, max_bytes=10, error_class=TriggerFileError)

    assert str(raised.value) == f"{path}: {reason}: put a readable file in its place"
    assert descriptors() == before


@pytest.mark.parametrize(
    "path", ["../secret.yaml", "/etc/passwd", "sub/../../secret.yaml", "", "a\0b", "sub//good.yaml"]
)
def test_a_backend_cannot_be_led_out_of_the_folder(folder: Path, path: str) -> None:
    """The path stands in the trigger file."""
    with pytest.raises(SourceValidationError, match="lies outside of the application's folder"):
        BuildEnvironment(folder=folder).read_file(path, max_bytes=10)


def test_a_backend_is_told_of_a_file_that_is_too_large(folder: Path) -> None:
    """Half of a file is none."""
    environment = BuildEnvironment(folder=folder)

    assert environment.read_file("sub/good.yaml", max_bytes=5) == b"a: 1\n"
    with pytest.raises(SourceValidationError, match="is larger than 4 bytes"):
        environment.read_file("sub/good.yaml", max_bytes=4)
