"""The artifact: plain files only, in byte order, with a digest over names and bytes."""

import hashlib
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmp_core.artifact import Artifact, byte_order, digest_files, list_files
from cmp_core.errors import IntegrityError


def write(root: Path, files: dict[str, bytes]) -> Path:
    """Write the files below `root`."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def digest_of(root: Path, files: dict[str, bytes]) -> str:
    """Return the digest of a folder that holds `files`."""
    return Artifact.from_directory(write(root, files)).digest


def test_a_folder_is_described_as_it_lies_there(tmp_path: Path) -> None:
    """Files at any depth, their bytes together, and the digest as the revision where there is none."""
    write(tmp_path, {"b.yaml": b"12", "a/c.yaml": b"345"})
    (tmp_path / "empty").mkdir()

    artifact = Artifact.from_directory(tmp_path)

    assert (artifact.root, artifact.files, artifact.size) == (tmp_path, ("a/c.yaml", "b.yaml"), 5)
    assert artifact.revision == artifact.digest
    assert Artifact.from_directory(tmp_path, revision="sha256:abc").revision == "sha256:abc"


def test_files_are_in_the_byte_order_of_their_whole_path(tmp_path: Path) -> None:
    """As S3 lists keys: `a-b` and `a.b` come before what lies in the folder `a`."""
    names = ["a/b", "a.b", "a-b", "Z", "é", "z", "aa", "\U0001f642", "\uffee"]
    folder = write(tmp_path, dict.fromkeys(names, b""))

    files = list_files(folder)

    assert files == ("Z", "a-b", "a.b", "a/b", "aa", "z", "é", "\uffee", "\U0001f642")


def test_a_name_of_any_bytes_has_its_place(tmp_path: Path) -> None:
    """A file system knows names that are no text."""
    write(tmp_path, {os.fsdecode(b"\xff"): b"x", "a": b"y", "\ue000": b"z"})

    artifact = Artifact.from_directory(tmp_path)

    assert [byte_order(name) for name in artifact.files] == [b"a", "\ue000".encode(), b"\xff"]


@pytest.mark.parametrize("kind", ["l", "p", "s", "l to a folder", "dangling l"])
def test_what_is_no_plain_file_is_refused_by_name(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link may lead anywhere, a FIFO blocks for ever."""
    monkeypatch.chdir(write(tmp_path, {"sub/ok": b""}))
    odd = Path("sub/odd")
    if kind == "p":
        os.mkfifo(odd)
    elif kind == "s":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(odd))
    else:
        odd.symlink_to({"l": "ok", "l to a folder": "/tmp", "dangling l": "nowhere"}[kind])  # noqa: S108  # as any folder

    with pytest.raises(IntegrityError) as caught:
        Artifact.from_directory(Path())

    letter = kind if len(kind) == 1 else "l"
    assert str(caught.value) == (
        f"`sub/odd` is neither a file nor a folder (type `{letter}`): a source may hold plain files only"
    )


def test_the_digest_has_its_form(tmp_path: Path) -> None:
    """It is the same for the same files wherever they lie, and known from outside."""
    files = {"a.yaml": b"x", "b/c": b""}

    first, second = digest_of(tmp_path / "1", files), digest_of(tmp_path / "2", files)

    framed = b"6 a.yaml 1\nx" + b"3 b/c 0\n"
    assert first == second == f"sha256:{hashlib.sha256(framed).hexdigest()}"


NAMES = st.lists(st.text("ab 0", min_size=1, max_size=4), max_size=4, unique=True)


@given(st.data())
def test_no_two_different_folders_have_one_digest(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A byte that moves from a name to a size or to another file changes it."""
    contents = st.binary(max_size=6).map(lambda content: content.replace(b"\xff", b"1 a 1\n"))
    first, second = ({name: data.draw(contents) for name in data.draw(NAMES) if name.strip(". ")} for _ in range(2))

    digests = [digest_of(tmp_path_factory.mktemp("folder"), files) for files in (first, second)]

    assert (digests[0] == digests[1]) == (first == second)


def test_the_digest_follows_the_given_order(tmp_path: Path) -> None:
    """It is over what is listed, not over what lies there."""
    write(tmp_path, {"a": b"1", "b": b"22"})

    one, both = digest_files(tmp_path, ("a",)), digest_files(tmp_path, ("a", "b"))

    assert (one[1], both[1]) == (1, 3)
    assert one[0] != both[0]
