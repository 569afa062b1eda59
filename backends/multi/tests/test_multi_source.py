"""Several sources in one: what may be written, what is brought, what comes out, and what is said when one fails."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cmp_core import (
    Application,
    Artifact,
    BuildEnvironment,
    CmpError,
    LimitExceededError,
    RenderError,
    Settings,
    SourceNotFoundError,
    SourceValidationError,
)
from cmp_core.installed import find_backend, installed_backends
from cmp_core.manager import Backend, load_backend
from cmp_core.nesting import NestedRender, Nesting
from cmp_core.pipeline import generate
from cmp_core.trigger import validated


def environment() -> BuildEnvironment:
    """Return what surrounds a request that begins now."""
    return BuildEnvironment(application=Application(name="demo", namespace="default"))


@pytest.fixture
def backend() -> Backend:
    """The installed backend."""
    return load_backend(find_backend("multi", installed_backends()))


def config_map(name: str, state: str = "") -> str:
    """Return a manifest."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{state: '{state}'}}\n"


def folder(path: Path, **manifests: str) -> Path:
    """Write manifests into a folder, each under its own name, and return the folder."""
    path.mkdir(parents=True)
    for name, content in manifests.items():
        (path / f"{name}.yaml").write_text(content, encoding="utf-8")
    return path


def part(name: str, path: Path, **keys: Any) -> dict[str, Any]:
    """Return one of the sources, a folder on the disk."""
    return {"name": name, "backend": "local", "path": str(path), **keys}


def fetch(backend: Backend, parts: Sequence[Mapping[str, Any]], destination: Path, **keys: Any) -> Artifact:
    """Fetch a source made of these parts."""
    limits = keys.pop("settings_limits", {})
    surroundings = BuildEnvironment(settings=Settings.model_validate({"limits": limits}))
    source = validated(backend.model, {"sources": list(parts), **keys}, lambda _path: "multi-source.yaml")
    destination.mkdir()
    return backend.fetch(source, destination, surroundings, Nesting(source, surroundings, "multi-source.yaml"))


def render(backend: Backend, parts: Sequence[Mapping[str, Any]], destination: Path, **keys: Any) -> list[str]:
    """Fetch and render, and return `path: text` of every document."""
    artifact = fetch(backend, parts, destination, **keys)
    source = validated(backend.model, {"sources": list(parts), **keys}, lambda _path: "multi-source.yaml")
    nested = NestedRender(artifact.root, environment(), "multi-source.yaml")
    documents = backend.render(artifact, source, environment(), nested)
    return [f"{document.path}: {document.content.decode()}" for document in documents]


def test_every_source_lies_in_a_folder_of_its_own(backend: Backend, tmp_path: Path) -> None:
    """By its name, or where `into` says."""
    base, other = folder(tmp_path / "1", a=config_map("a")), folder(tmp_path / "2", b=config_map("b"))

    artifact = fetch(backend, [part("base", base), part("other", other, into="x/y")], tmp_path / "out")

    assert artifact.files == ("base/a.yaml", "x/y/b.yaml")


def test_manifests_come_out_in_the_order_written(backend: Backend, tmp_path: Path) -> None:
    """Not in that of names, nor in that in which the fetches end."""
    parts = [
        part("z", folder(tmp_path / "1", b=config_map("b"), a=config_map("a"))),
        part("a", folder(tmp_path / "2", c=config_map("c"))),
    ]

    rendered = render(backend, parts, tmp_path / "out")

    assert [text.partition(":")[0] for text in rendered] == ["z/a.yaml", "z/b.yaml", "a/c.yaml"]


def test_the_outer_patterns_hold_for_all(backend: Backend, tmp_path: Path) -> None:
    """`exclude` of the whole leaves out files of any source, by the path below the whole."""
    base = folder(tmp_path / "1", a=config_map("a"), values="x: 1\n")

    artifact = fetch(backend, [part("base", base)], tmp_path / "out", exclude=["/base/values.yaml"])

    assert artifact.files == ("base/a.yaml",)


def test_a_source_inside_a_source_inside_a_source_works(backend: Backend, tmp_path: Path) -> None:
    """Multi holds multi, and documents are told by their whole path."""
    deep = [part("leaf", folder(tmp_path / "1", a=config_map("a")))]

    rendered = render(backend, [{"name": "outer", "backend": "multi", "sources": deep}], tmp_path / "out")

    assert [text.partition(":")[0] for text in rendered] == ["outer/leaf/a.yaml"]


def test_the_revision_is_that_of_all_sources(backend: Backend, tmp_path: Path) -> None:
    """Other content, or another order of the sources, is another revision."""
    parts = [part("a", folder(tmp_path / "1", a=config_map("a"))), part("b", folder(tmp_path / "2", b=config_map("b")))]
    before = fetch(backend, parts, tmp_path / "before")
    again = fetch(backend, parts, tmp_path / "again")
    turned = fetch(backend, parts[::-1], tmp_path / "turned")
    (tmp_path / "2" / "b.yaml").write_text(config_map("c"))
    after = fetch(backend, parts, tmp_path / "after")

    assert before.revision == again.revision
    assert len({before.revision, turned.revision, after.revision}) == 3


def test_every_failure_is_told(backend: Backend, tmp_path: Path) -> None:
    """Not only the first: whoever mends one thing would meet the next."""
    parts = [
        part("a", tmp_path / "no-a"),
        part("good", folder(tmp_path / "1", a=config_map("a"))),
        part("b", tmp_path / "no-b"),
    ]

    with pytest.raises(SourceNotFoundError) as raised:
        fetch(backend, parts, tmp_path / "out")

    first, *others = str(raised.value).splitlines()
    assert first == "2 of 3 sources failed:"
    assert [line.strip() for line in others] == [
        f"multi-source.yaml: sources.{number} ({name}): file://{tmp_path}/no-{name} does not exist: check its path"
        for number, name in ((0, "a"), (2, "b"))
    ]


def test_one_failure_is_told_as_it_is(backend: Backend, tmp_path: Path) -> None:
    """With the path to the source that has failed."""
    with pytest.raises(SourceNotFoundError, match=r"^multi-source\.yaml: sources\.0 \(a\): file://.* does not exist"):
        fetch(backend, [part("a", tmp_path / "no-a")], tmp_path / "out")


def test_limits_count_over_all_sources(backend: Backend, tmp_path: Path) -> None:
    """Two sources of one file each do not fit where one file is allowed."""
    parts = [part(name, folder(tmp_path / name, a=config_map(name))) for name in ("a", "b")]

    with pytest.raises(LimitExceededError, match="objects"):
        fetch(backend, parts, tmp_path / "out", settings_limits={"objects": 1})


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([], "`sources`"),
        ([{"name": "a", "backend": "s3", "into": "x"}, {"name": "a", "backend": "s3", "into": "y"}], "`a` twice"),
        ([{"name": "a", "backend": "s3", "into": "x"}, {"name": "b", "backend": "s3", "into": "x/y"}], "`x` and `x/y`"),
        ([{"name": "a", "backend": "s3"}, {"name": "b", "backend": "s3", "into": "a"}], "`a` and `a`"),
        ([{"name": "a", "backend": "s3", "into": "../x"}], "is no folder below"),
        ([{"name": "a", "backend": "s3", "into": "/x"}], "is no folder below"),
        ([{"name": "a", "backend": "s3", "into": "."}], "is no folder below"),
        ([{"name": "A b", "backend": "s3"}], "is no name"),
        ([{"backend": "s3"}], "`sources.0.name` is missing"),
        ([{"name": "a"}], "`sources.0.backend` is missing"),
    ],
)
def test_what_cannot_be_meant_is_refused(backend: Backend, parts: list[dict[str, str]], complaint: str) -> None:
    """Two sources in one place, names that are none, folders elsewhere."""
    with pytest.raises(SourceValidationError) as raised:
        validated(backend.model, {"sources": parts}, lambda _path: "multi-source.yaml")

    assert complaint in str(raised.value)


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """An application's folder whose two sources both define `b`."""
    base = folder(tmp_path / "1", a=config_map("a"), b=config_map("b", "old"))
    overlay = folder(tmp_path / "2", b=config_map("b", "new"))
    path = folder(tmp_path / "app")
    lines = "".join(
        f"  - {{name: {name}, backend: local, path: {source}}}\n"
        for name, source in (("base", base), ("over", overlay))
    )
    (path / "multi-source.yaml").write_text(f"sources:\n{lines}")
    return path


def test_an_object_that_two_sources_define_is_an_error_that_names_both(application: Path) -> None:
    """Argo CD would apply the last of them, with a warning that nobody reads."""
    with pytest.raises(RenderError, match=r"over/b\.yaml:1: ConfigMap `default/b` stands at base/b\.yaml:1 already"):
        generate(application, environment())


def test_the_last_source_wins_where_it_may(application: Path) -> None:
    """With `onDuplicate: last` the object comes out once, as the later source has it."""
    with (application / "multi-source.yaml").open("a") as file:
        file.write("onDuplicate: last\n")

    stream = generate(application, environment()).decode()

    assert stream == f"---\n{config_map('a')}---\n{config_map('b', 'new')}"


def test_an_object_in_a_list_cannot_be_replaced(backend: Backend, tmp_path: Path) -> None:
    """A document's bytes go out as they came: a list with one item less would be another document."""
    whole = "apiVersion: v1\nkind: List\nitems:\n" + "".join(
        f"- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}\n" for name in ("a", "b")
    )
    parts = [part("base", folder(tmp_path / "1", l=whole)), part("over", folder(tmp_path / "2", b=config_map("b")))]

    with pytest.raises(RenderError, match=r"base/l\.yaml:1: ConfigMap `b` stands in a list"):
        render(backend, parts, tmp_path / "out", onDuplicate="last")


def test_a_broken_file_is_told_with_its_source(backend: Backend, tmp_path: Path) -> None:
    """The same file name may stand in each of them."""
    parts = [part("base", folder(tmp_path / "1", a="a: |\n---x\n"))]

    with pytest.raises(RenderError, match=r"^multi-source\.yaml: sources\.0 \(base\): a\.yaml:2"):
        render(backend, parts, tmp_path / "out")


def test_what_is_wrong_in_a_source_is_told_by_its_line(application: Path) -> None:
    """Before anything is fetched, with the line of the trigger file."""
    text = (application / "multi-source.yaml").read_text().replace("path:", "pth:", 1)
    (application / "multi-source.yaml").write_text(text)

    with pytest.raises(CmpError, match=r"multi-source\.yaml:2: `sources\.0`: unknown key `pth`: did you mean `path`"):
        generate(application, environment())
