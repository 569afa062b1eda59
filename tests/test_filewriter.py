"""Files that come one after the other: counted as they come, path-safe, all or none."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmp_core.deadline import Deadline
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import (
    CmpError,
    DeadlineExceededError,
    IntegrityError,
    LimitExceededError,
    OutputError,
    SourceValidationError,
)
from cmp_core.filewriter import FileWriter
from cmp_core.models import Source
from cmp_core.settings import Settings


class DemoSource(Source):
    """A source of no backend."""

    @property
    def location(self) -> str:
        """A made-up place."""
        return "demo://stream"


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "destination"
    folder.mkdir()
    return folder


def writer_into(
    destination: Path, limits: Mapping[str, int] | None = None, deadline: Deadline | None = None, **values: Any
) -> FileWriter:
    """Return a writer that the operator allows so much."""
    settings = Settings.model_validate({"limits": limits or {}})
    environment = BuildEnvironment(settings=settings, deadline=deadline or Deadline(45))
    return FileWriter(destination, DemoSource.model_validate(values), environment)


def write_all(writer: FileWriter, *files: tuple[str, Iterable[bytes]]) -> None:
    """Write the files one after the other; a path with ``/`` behind it is that of a folder."""
    with writer:
        for path, chunks in files:
            if path.endswith("/"):
                writer.add_folder(path[:-1])
            else:
                writer.write(path, chunks)


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below the folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_files_are_written_as_they_come(destination: Path) -> None:
    """In any order, in any chunks, with their folders."""
    with writer_into(destination) as writer:
        writer.write("d/e/a.yaml", [b"a", b"", b"b"])
        writer.write("d/b.yaml", [], size=0)
        writer.add_folder("empty")

    assert tree(destination) == {"d/e/a.yaml": b"ab", "d/b.yaml": b""}
    assert writer.files == 2
    assert not (destination / "empty").exists()


def test_the_filter_of_the_source_holds(destination: Path) -> None:
    """Files and folders are asked for as in a .gitignore file; an empty path is nobody's."""
    writer = writer_into(destination, include=["*.yaml"], exclude=["drafts/"])

    wanted = [writer.is_wanted(path) for path in ("a.yaml", "a.txt", "drafts/a.yaml", "drafts/", "")]

    assert wanted == [True, False, False, False, False]


def test_a_malformed_pattern_is_told_before_anything_comes(destination: Path) -> None:
    """It is the trigger file's mistake, not the stream's."""
    with pytest.raises(SourceValidationError, match="`include`"):
        writer_into(destination, include=["[z-a]"])


def test_everything_that_comes_is_counted(destination: Path) -> None:
    """A stream without an end is noticed also where nobody wants anything of it."""
    writer = writer_into(destination, {"objects": 1}, include=["*.yaml"])
    for _ in range(10_010):
        writer.is_wanted("a.txt")

    with pytest.raises(LimitExceededError, match="lists more than 10010 objects"):
        writer.is_wanted("a.txt")


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"objects": 1}, r"more than 1 objects, `b` \(0 bytes\) is one too many"),
        ({"objectBytes": 5}, r"`b` \(6 bytes\) in demo://stream is larger than the 5 bytes"),
        ({"totalBytes": 9}, r"more than 9 bytes, `b` \(6 bytes\) brings them to 10"),
    ],
    ids=["objects", "object", "total"],
)
def test_limits_hold_for_the_bytes_that_come(destination: Path, limits: dict[str, int], text: str) -> None:
    """Nobody has announced them; not one more is kept, and the stream is asked for no more."""
    asked: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            asked.append(sum(path.stat().st_size for path in destination.iterdir()))
            yield b"xx"

    with pytest.raises(LimitExceededError, match=text):
        write_all(writer_into(destination, limits), ("a", [b"1234"]), ("b", endless()))

    assert max(asked, default=0) <= 8
    assert list(destination.iterdir()) == []


def test_limits_hold_for_what_is_announced(destination: Path) -> None:
    """What would be too much is not even begun."""
    with pytest.raises(LimitExceededError, match=r"`a` \(9 bytes\)"), writer_into(destination, {"totalBytes": 8}) as w:
        w.write("a", iter(lambda: pytest.fail("was read"), b""), size=9)


def test_exactly_the_limits_are_allowed(destination: Path) -> None:
    """A limit is the largest allowed value."""
    with writer_into(destination, {"objects": 2, "objectBytes": 4, "totalBytes": 6}) as writer:
        writer.write("a", [b"12", b"34"])
        writer.write("b", [b"56"], size=2)

    assert tree(destination) == {"a": b"1234", "b": b"56"}


@pytest.mark.parametrize(("size", "has"), [(1, "more"), (3, "2")])
def test_a_file_of_another_size_than_announced_is_refused(destination: Path, size: int, has: str) -> None:
    """What is announced is not trusted, and neither is the rest then."""
    with pytest.raises(IntegrityError, match=f"with {size} bytes and has {has}:"), writer_into(destination) as writer:
        writer.write("a", [b"12"], size=size)

    assert list(destination.iterdir()) == []


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (["a", "a"], "`a` in demo://stream comes twice"),
        (["a", "a/b"], "`a` in demo://stream is a file and a folder"),
        (["a/b", "a"], "`a` in demo://stream is a file and a folder"),
        (["a/", "a"], "`a` in demo://stream is a file and a folder"),
        (["a", "a/"], "`a` in demo://stream is a file and a folder"),
        (["a", "A"], r"`A` in demo://stream cannot be stored \(some disks take `a` for the same name"),
        (["d/a", "D/b"], "some disks take `d` for the same name"),
        (["é", "e\u0301"], "some disks take `é` for the same name"),
        (["stra\u00dfe", "STRASSE"], "for the same name"),
        (["/a"], "it is absolute"),
        (["../a"], "a part of it is `.` or `..`"),
        (["a//b"], "a part of it is empty"),
        (["a\nb"], "control character"),
        (["a" * 256], "longer than 255 bytes"),
        (["a/" * 64 + "a"], "more than 1024 bytes or 64 parts"),
        ([f"{'a' * 255}/" * 4 + "abcde"], "more than 1024 bytes or 64 parts"),
    ],
    ids=str,
)
def test_a_name_that_cannot_be_stored_is_refused(destination: Path, paths: list[str], text: str) -> None:
    """Whatever the disk would do with it; nothing of what came before is left."""
    with pytest.raises(IntegrityError, match=text):
        write_all(writer_into(destination), *((path, [b"x"]) for path in paths))

    assert list(destination.iterdir()) == []


@pytest.mark.parametrize("path", ["a/" * 63 + "a", f"{'a' * 255}/" * 3 + f"{'b' * 255}", "a b", "é", "…"])
def test_a_long_or_strange_name_that_can_be_stored_is(destination: Path, path: str) -> None:
    """The bounds are the largest allowed values."""
    with writer_into(destination) as writer:
        writer.write(path, [b"x"])

    assert tree(destination) == {path: b"x"}


def test_folders_are_bounded(destination: Path) -> None:
    """A name costs memory and a folder an inode, so that they are no more than the objects could need."""
    writer = writer_into(destination, {"objects": 1})

    with pytest.raises(LimitExceededError, match="more folders than its objects need, `1001`"):
        write_all(writer, *((f"{number}/", []) for number in range(1002)))


def test_a_failure_of_the_block_takes_back_what_was_written(destination: Path) -> None:
    """Whoever reads the stream needs no clean-up of its own."""

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_all(writer_into(destination), ("d/a", [b"x"]), ("d/b", broken()))

    assert list(destination.iterdir()) == []


def test_the_deadline_ends_a_stream_that_does_not(destination: Path) -> None:
    """Bytes that trickle in for ever are no reason to wait for ever."""
    with pytest.raises(DeadlineExceededError), writer_into(destination, deadline=Deadline(0.05)) as writer:
        writer.write("a", iter(lambda: b"", None))

    assert list(destination.iterdir()) == []


def test_the_disk_is_told_apart_from_the_source(tmp_path: Path) -> None:
    """A folder that does not take files is the operator's to mend."""
    with pytest.raises(OutputError), writer_into(tmp_path / "missing") as writer:
        writer.write("a", [b"x"])


PATHS = st.text(alphabet=st.sampled_from("aA/. \\éß"), min_size=1, max_size=6) | st.text(min_size=1, max_size=20)


@settings(deadline=None)  # a busy disk is no failure
@given(st.lists(st.tuples(PATHS, st.binary(max_size=20)), max_size=8))
def test_files_are_written_whole_or_not_at_all(files: list[tuple[str, bytes]]) -> None:
    """Whatever they are called, all of them read back below the destination, or an error leaves nothing."""
    with tempfile.TemporaryDirectory() as sandbox:
        destination = Path(sandbox, "destination")
        destination.mkdir()

        try:
            with writer_into(destination) as writer:
                for path, content in files:
                    writer.write(path, [content])
        except CmpError:
            assert [path.name for path in Path(sandbox).rglob("*")] == ["destination"]
        else:
            assert tree(Path(sandbox)) == {f"destination/{path}": content for path, content in files}
