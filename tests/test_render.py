"""The plain render and the stream: every manifest of the source once, in one order, and never nothing."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmp_core.artifact import Artifact
from cmp_core.check import check_documents
from cmp_core.documents import Document
from cmp_core.environment import Application
from cmp_core.errors import CmpError, EmptyRenderError, RenderError
from cmp_core.models import Source
from cmp_core.render import assemble, render_plain


class ShelfSource(Source):
    """A source that lies nowhere in particular."""

    @property
    def location(self) -> str:
        """Where it lies."""
        return "shelf://one"


def put(root: Path, files: dict[str, bytes]) -> Artifact:
    """Write the files below the root and describe them as a fetch does."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return Artifact.from_directory(root)


def manifest(name: str) -> bytes:
    """Return a manifest without a last newline."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}".encode()


def test_every_manifest_comes_once_in_byte_order_of_its_path(tmp_path: Path) -> None:
    """Folders at any depth count, other suffixes and capital ones do not, and the order is that of S3."""
    paths = ["b.yaml", "a/z.yml", "a/y/x.json", "a-b.yaml", "Z.yaml", "ü.yaml", ".hidden.yaml", "a.yaml/c.yaml"]
    ignored = ["README.md", "a/notes.txt", "yaml", "b.yaml.bak", "C.YAML", "d.jsonnet"]
    artifact = put(tmp_path, {path: manifest("x") for path in [*paths, *ignored]})

    documents = list(render_plain(artifact, ShelfSource()))

    assert [document.path for document in documents] == sorted(paths, key=str.encode)
    assert {document.content for document in documents} == {manifest("x")}


def test_include_and_exclude_choose_the_manifests(tmp_path: Path) -> None:
    """Only what the patterns leave is rendered."""
    artifact = put(tmp_path, {path: manifest("x") for path in ["a.yaml", "b.yaml", "charts/a.yaml", "values.yaml"]})

    documents = render_plain(artifact, ShelfSource(include=("a.yaml", "values.yaml"), exclude=("/values.yaml",)))

    assert [document.path for document in documents] == ["a.yaml", "charts/a.yaml"]


def test_files_without_a_last_newline_are_not_glued_together(tmp_path: Path) -> None:
    """Each file's documents stay whole when they are joined with the next file's."""
    artifact = put(
        tmp_path, {"a.yaml": manifest("a"), "b.yaml": manifest("b"), "c.json": b'{"c": 1}{"c": 2}', "d.yaml": b"#"}
    )

    stream = assemble(list(render_plain(artifact, ShelfSource())))

    a, b = manifest("a").decode(), manifest("b").decode()
    assert stream.decode() == f'---\n{a}\n---\n{b}\n---\n{{"c": 1}}\n---\n{{"c": 2}}\n'


@pytest.mark.parametrize(
    ("files", "patterns", "told"),
    [
        pytest.param([], (), "there is no file", id="nothing"),
        pytest.param(
            ["README.md", "a.txt", "b.txt"],
            (),
            "3 files, none of them .yaml, .yml or .json: README.md, a.txt, b.txt",
            id="no manifests",
        ),
        pytest.param(
            [f"{number}.md" for number in range(6)],
            (),
            "6 files, none of them .yaml, .yml or .json: 0.md, 1.md, 2.md, 3.md, 4.md, …",
            id="many, but no manifests",
        ),
        pytest.param(
            ["a.yaml"], ("a.yaml",), "1 file, all of them left out by `include` and `exclude`: a.yaml", id="excluded"
        ),
        pytest.param(["a.md", "empty.yaml"], (), "1 file without an object in them: empty.yaml", id="empty manifest"),
    ],
)
def test_an_empty_result_is_never_a_success(
    tmp_path: Path, files: list[str], patterns: tuple[str, ...], told: str
) -> None:
    """A source with nothing to render is an error that tells what there was instead."""
    artifact = put(tmp_path, dict.fromkeys(files, b"# nothing\n---\nnull\n"))

    with pytest.raises(EmptyRenderError) as error:
        list(render_plain(artifact, ShelfSource(exclude=patterns)))

    assert str(error.value) == (
        f"shelf://one: {told}: an empty result is never a success, because Argo CD would keep it and prune what runs"
    )


def test_files_that_cannot_be_split_are_told_together(tmp_path: Path) -> None:
    """One error names every such file, up to ten."""
    broken = {f"{number:02}.yaml": b"kind: A\n---x\n" for number in range(11)}
    artifact = put(tmp_path, {"good.yaml": manifest("x"), **broken})

    with pytest.raises(RenderError) as error:
        list(render_plain(artifact, ShelfSource()))

    lines = str(error.value).splitlines()
    assert lines[0] == "11 problems:"
    assert [line.split(":")[:2] for line in lines[1:11]] == [[f"  {number:02}.yaml", "2"] for number in range(10)]
    assert lines[11] == "  and 1 more"


@pytest.mark.parametrize(
    "contents",
    [
        pytest.param([b"a: 1\n---\nb: 2\n"], id="two as one"),
        pytest.param([b"a: 1\n", b"---\n"], id="a separator as a document"),
        pytest.param([b"a: |\n-----BEGIN\n"], id="a line that begins like a separator"),
        pytest.param([b"---", b"a: 1"], id="a separator without line end"),
    ],
)
def test_the_second_look_finds_what_argo_cd_would_split_otherwise(contents: list[bytes]) -> None:
    """The stream never goes out when Argo CD's rule finds other documents in it than were rendered."""
    documents = [Document(content, "out.yaml", 7) for content in contents]

    with pytest.raises(CmpError, match=r"^out\.yaml:7: Argo CD would not read this document as it is written"):
        assemble(documents)


def test_the_second_look_notices_a_wrong_join(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that is lost, doubled or changed between the render and the stream is a defect that stops all."""
    documents = [Document(b"a: 1\n", "a.yaml", 1), Document(b"b: 2\n", "b.yaml", 1)]
    streams = [
        b"",
        b"---\na: 1\n",
        b"---\na: 1\nb: 2\n",
        b"---\na: 1\n\n---\nb: 2\n",
        b"---\na: 1\n---\nb: 2\n---\nc: 3\n",
    ]

    for stream in streams:
        monkeypatch.setattr("cmp_core.render.join_documents", lambda _, stream=stream: stream)
        with pytest.raises(CmpError):
            assemble(documents)


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=9), max_size=3), min_size=1, max_size=5))
def test_what_is_rendered_is_what_goes_out(objects: list[dict[str, str]]) -> None:
    """Objects of any text go through the check and the stream as they are, each after a separator of its own."""
    documents = [
        Document(json.dumps({"apiVersion": "v1", "kind": "A", "data": data}, ensure_ascii=False).encode(), "a.json", 1)
        for data in objects
    ]
    try:
        checked = check_documents(documents, Application(), "shelf://one")
    except RenderError:
        checked = []

    stream = assemble(checked)

    assert stream == b"".join(b"---\n" + document.content + b"\n" for document in checked)
