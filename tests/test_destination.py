"""What a copy writes, and that it writes nowhere else."""

import os
import resource
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmp_core.destination import Destination, write
from cmp_core.errors import IntegrityError, OutputError

AWKWARD = st.text(alphabet=st.sampled_from("./\\~ aA\0\n\x1b\x85éﬀ\udc80\ud800"), max_size=10)


def fill(root: Path, files: dict[str, bytes]) -> Destination:
    """Write the files below `root`."""
    destination = Destination(str(root), list(files))
    for path, content in files.items():
        descriptor = destination.create(path)
        write(descriptor, content, path)
        os.close(descriptor)
    return destination


def tree(root: Path) -> dict[str, bytes | None]:
    """Return what lies below `root`: the bytes of files, None for folders."""
    return {
        os.path.relpath(path, root): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))
    }


def test_files_and_folders_are_made_as_named(tmp_path: Path) -> None:
    """A file is written where its path says, and every folder above it is made once."""
    fill(tmp_path, {"a/b/c": b"1", "a/b/d": b"2", "a/e": b"3", "f": b""})

    assert tree(tmp_path) == {"a": None, "a/b": None, "a/b/c": b"1", "a/b/d": b"2", "a/e": b"3", "f": b""}


def test_what_is_written_is_for_nobody_else(tmp_path: Path) -> None:
    """Manifests may hold secrets: files are 0600 and folders 0700, both only for our user."""
    fill(tmp_path, {"a/b": b"secret"})

    assert [(tmp_path / path).stat().st_mode & 0o777 for path in ("a", "a/b")] == [0o700, 0o600]


@settings(deadline=None)  # a busy disk is no failure
@given(st.text() | AWKWARD, st.binary(max_size=8))
def test_any_name_is_refused_or_lies_below_the_root(path: str, content: bytes) -> None:
    """Whatever a file is called, it reads back under its name below the root, or nothing is written anywhere."""
    with tempfile.TemporaryDirectory() as sandbox:
        root = Path(sandbox) / "outer" / "root"
        root.mkdir(parents=True)

        try:
            fill(root, {path: content})
        except IntegrityError:
            assert tree(Path(sandbox)) == {"outer": None, "outer/root": None}
        else:
            written = [place for place, data in tree(Path(sandbox)).items() if data is not None]
            assert written == [f"outer/root/{path}"]
            assert (root / path).read_bytes() == content


@pytest.mark.parametrize(
    ("there", "path", "twin"),
    [
        ("app.yaml", "app.yaml", "App.yaml"),
        ("x/straße.yaml", "x/straße.yaml", "x/STRASSE.yaml"),
        ("cafe\u0301", "cafe\u0301", "caf\u00e9"),
        ("apps", "apps/demo.yaml", "APPS"),
    ],
)
def test_two_names_that_a_disk_takes_for_one_are_both_named(tmp_path: Path, there: str, path: str, twin: str) -> None:
    """A disk that folds case or normalises Unicode says that the second file exists: the error names the first."""
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("as such a disk shows the twin")
    destination = Destination(str(tmp_path), [f"{twin}/other.yaml" if twin == "APPS" else twin, path])
    destination._folders.add("x")

    with pytest.raises(IntegrityError, match=f"the disk takes `{twin}` for the same name"):
        destination.create(path)

    assert (tmp_path / there).read_text() == "as such a disk shows the twin"


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, first: str, second: str) -> None:
    """A path is written once, and is a file or a folder, never both."""
    destination = Destination(str(tmp_path), [first, second])
    os.close(destination.create(first))

    with pytest.raises(IntegrityError, match="the name is taken already"):
        destination.create(second)


@pytest.mark.parametrize("path", ["link", "link/file"])
def test_no_link_is_followed(tmp_path: Path, path: str) -> None:
    """A symbolic link that somebody left in the destination leads nowhere."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside" / ("file" if path == "link" else ""))
    destination = Destination(str(tmp_path / "root"), [path])

    with pytest.raises(IntegrityError, match="`link` cannot be stored"):
        destination.create(path)

    assert list((tmp_path / "outside").iterdir()) == []


def test_a_path_too_long_for_the_disk_is_refused(tmp_path: Path) -> None:
    """Parts that are short enough by themselves may still be too long together."""
    path = "/".join(["a" * 200] * 30)

    with pytest.raises(IntegrityError, match="file name too long"):
        fill(tmp_path, {path: b""})


def test_a_full_disk_is_told_apart_from_a_bad_source() -> None:
    """A write that the disk refuses is the operator's to mend."""
    with Path("/dev/full").open("wb") as full, pytest.raises(OutputError, match=r"`a\.yaml`.*No space left"):
        write(full.fileno(), b"x" * 10, "a.yaml")


def test_a_missing_folder_is_told_apart_from_a_bad_source(tmp_path: Path) -> None:
    """A file that cannot even be created is the operator's to mend."""
    with pytest.raises(OutputError, match="scratch folder did not take `a`"):
        Destination(str(tmp_path / "gone"), ["a"]).create("a")


def test_a_short_write_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    """A disk that takes only the first bytes of a chunk is asked for the rest, and then says why not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    with (tmp_path / "a.yaml").open("wb") as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
        try:
            with pytest.raises(OutputError, match="File too large"):
                write(file.fileno(), b"0123456789", "a.yaml")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert (tmp_path / "a.yaml").read_bytes() == b"0123"


def test_undo_removes_what_was_made_and_nothing_else(tmp_path: Path) -> None:
    """What lay there before stays; a folder that somebody else has used since stays with it."""
    (tmp_path / "before").write_text("mine")
    destination = fill(tmp_path, {"a/b/c": b"1", "d/e": b"2", "f": b"3"})
    (tmp_path / "d" / "since").write_text("mine")

    destination.undo()

    assert tree(tmp_path) == {"before": b"mine", "d": None, "d/since": b"mine"}
