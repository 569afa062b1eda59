"""What holds for every tree of files, in every kind of archive, and for every damage to one."""

import random
import tempfile
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmp_backend_tarball import fetch
from cmp_backend_tarball.source import TarballSource
from hypothesis import given, settings
from hypothesis import strategies as st

from cmp_core import Artifact, BuildEnvironment, FetchError
from cmp_core.nesting import Nesting

KINDS = ("tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip")

PARTS = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1, max_size=12)
PATHS = st.lists(PARTS.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=4).map("/".join)


def fits(paths: list[str]) -> bool:
    """Tell whether the paths can lie beside each other on any disk."""
    folded = [unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold()) for path in paths]
    folders = {
        "/".join(path.split("/")[:depth]): "/".join(whole.split("/")[:depth])
        for path, whole in zip(folded, paths, strict=True)
        for depth in range(1, path.count("/") + 1)
    }
    spelt = {"/".join(whole.split("/")[:depth]) for whole in paths for depth in range(1, whole.count("/") + 1)}
    return len(set(folded)) == len(paths) and not folders.keys() & set(folded) and len(spelt) == len(folders)


TREES = st.dictionaries(PATHS, st.binary(max_size=2000), min_size=1, max_size=8).filter(lambda tree: fits(list(tree)))


def unpack(archive: bytes, folder: Path) -> Artifact:
    """Fetch what the archive holds into a subfolder."""
    for name in ("published", "destination"):
        (folder / name).mkdir()
    (folder / "published" / "archive").write_bytes(archive)
    nested = {"backend": "local", "path": str(folder / "published")}
    source, environment = TarballSource.model_validate({"source": nested}), BuildEnvironment()
    return fetch(source, folder / "destination", environment, Nesting(source, environment))


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below the folder."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def shuffled(files: Mapping[str, bytes], chance: random.Random) -> dict[str, bytes]:
    """Return the files in another order."""
    return dict(chance.sample(list(files.items()), len(files)))


@settings(deadline=None, max_examples=60)  # a busy disk is no failure
@given(files=TREES, kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=2), chance=st.randoms())
def test_any_tree_comes_out_byte_for_byte(
    pack: Any, files: dict[str, bytes], kinds: list[str], chance: random.Random
) -> None:
    """In any kind, in any order, of any age: the same files, and one digest."""
    digests = set()
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            artifact = unpack(pack(shuffled(files, chance), kind, seconds=chance.randint(0, 10**9)), Path(folder))

            assert tree(artifact.root) == files
            digests.add(artifact.digest)

    assert len(digests) == 1


@settings(deadline=None, max_examples=150)  # as above
@given(kind=st.sampled_from(KINDS), data=st.data())
def test_a_damaged_archive_brings_all_that_it_can_show_or_nothing(pack: Any, kind: str, data: st.DataObject) -> None:
    """Whatever bytes come: a refusal that leaves nothing, or files; never a defect."""
    archive = bytearray(pack({"a.yaml": b"kind: Demo\n" * 9, "d/b.yaml": b"", "d/é.yaml": b"x" * 700}, kind))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(archive) - 1))
        archive[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        try:
            artifact = unpack(bytes(archive), Path(folder))
        except FetchError:
            assert list(Path(folder, "destination").iterdir()) == []
        else:
            assert tuple(sorted(tree(artifact.root), key=str.encode)) == artifact.files
