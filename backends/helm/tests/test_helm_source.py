"""What a ``helm-source.yaml`` may say, what is fetched for it, and what of a chart is refused before Helm sees it."""

import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cmp_core import (
    Application,
    Artifact,
    BackendError,
    BuildEnvironment,
    Deadline,
    Document,
    IntegrityError,
    LimitExceededError,
    RenderError,
    Settings,
    SourceNotFoundError,
    SourceValidationError,
)
from cmp_core.installed import find_backend, installed_backends
from cmp_core.manager import load_backend
from cmp_core.nesting import NestedRender, Nesting
from cmp_core.trigger import validated

CHART = {
    "Chart.yaml": b"apiVersion: v2\nname: demo\nversion: 1.0.0\n",
    "values.yaml": b"tag: v1\n",
    "values-prod.yaml": b"tag: v2\n",
    "templates/web.yaml": b"apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {tag: {{ .Values.tag }}}}\n",
}
"""The smallest chart."""

Write = Callable[..., dict[str, Any]]


class Helm:
    """The backend, asked as the host asks it."""

    def __init__(self, folder: Path, application: str = "demo", path: str = "/nonexistent") -> None:
        """Work in a folder, for an application, with the programs of a path."""
        self.folder, self.application, self.path = folder, application, path
        self.backend = load_backend(find_backend("helm", installed_backends()))

    def environment(self, limits: Mapping[str, int] | None = None) -> BuildEnvironment:
        """Return what surrounds a request."""
        return BuildEnvironment(
            application=Application(name=self.application, namespace="prod"),
            folder=self.folder / "app",
            variables={"PATH": self.path},
            settings=Settings.model_validate({"limits": limits or {}}),
            deadline=Deadline(60),
        )

    def fetch(self, *, limits: Mapping[str, int] | None = None, **values: Any) -> Artifact:
        """Fetch what the keys of a trigger file say."""
        destination = self.folder / "destination"
        destination.mkdir(parents=True, exist_ok=True)
        source = validated(self.backend.model, values, lambda _path: "helm-source.yaml")
        environment = self.environment(limits)
        return self.backend.fetch(source, destination, environment, Nesting(source, environment, "helm-source.yaml"))

    def render(self, *, limits: Mapping[str, int] | None = None, **values: Any) -> list[Document]:
        """Fetch and render."""
        artifact = self.fetch(limits=limits, **values)
        source = validated(self.backend.model, values, lambda _path: "helm-source.yaml")
        environment = self.environment(limits)
        return self.backend.render(artifact, source, environment, NestedRender(artifact.root, environment))


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    """The backend, with an empty folder of an application."""
    (tmp_path / "app").mkdir()
    return Helm(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """What writes files into a folder, and returns the keys of a source that brings them."""

    def run(files: Mapping[str, bytes], name: str = "published") -> dict[str, Any]:
        for path, content in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(content)
        return {"backend": "local", "path": str(tmp_path / name)}

    return run


def pack(files: Mapping[str, bytes], folder: str = "demo") -> bytes:
    """Pack a chart as ``helm package`` does: below one folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_the_chart(helm: Helm, write: Write) -> None:
    """It is brought as it is."""
    artifact = helm.fetch(chart=write(CHART))

    assert contents(artifact.root / "chart") == CHART


@pytest.mark.parametrize("name", ["demo-1.0.0.tgz", "whatever"])
def test_a_packed_chart_is_unpacked(helm: Helm, write: Write, name: str) -> None:
    """Without the folder that every packed chart has around it, whatever the file is called."""
    artifact = helm.fetch(chart=write({name: pack(CHART)}))

    assert contents(artifact.root) == {f"chart/{path}": content for path, content in CHART.items()}


@pytest.mark.parametrize("is_packed", [False, True])
def test_the_filter_is_for_the_charts_own_paths(helm: Helm, write: Write, is_packed: bool) -> None:  # noqa: FBT001  # one of two ways
    """Packed or not."""
    chart = write({"demo.tgz": pack(CHART)} if is_packed else CHART)

    artifact = helm.fetch(chart=chart, exclude=["values-*.yaml"])

    assert set(contents(artifact.root / "chart")) == set(CHART) - {"values-prod.yaml"}


def test_a_chart_out_of_an_archive_may_have_its_folder_around_it(helm: Helm, write: Write) -> None:
    """Who unpacks it by `tarball` need not know how helm packs."""
    inner = {"backend": "tarball", "source": write({"demo.tgz": pack(CHART, "demo-1.0.0")})}

    with pytest.raises(BackendError, match="`helm` is needed to render a chart"):
        helm.render(chart=inner)


def test_limits_hold_for_what_is_unpacked(helm: Helm, write: Write) -> None:
    """A packed chart may be small."""
    chart = write({"demo.tgz": pack({**CHART, "big.txt": b"0" * 200_000})})

    with pytest.raises(LimitExceededError, match=r"limits\.totalBytes"):
        helm.fetch(chart=chart, limits={"totalBytes": 100_000})


def test_what_is_no_chart_is_refused(helm: Helm, write: Write) -> None:
    """Before Helm is looked for."""
    with pytest.raises(RenderError, match=r"holds no Chart\.yaml: name the folder of a chart"):
        helm.render(chart=write({"deployment.yaml": b"kind: Deployment\n"}))


def test_values_come_from_other_sources(helm: Helm, write: Write) -> None:
    """Each into a folder of its own; another content is another revision."""
    chart = write(CHART)
    values = write({"prod.yaml": b"tag: v3\n"}, "config")

    first = helm.fetch(chart=chart, valueFiles=["values-prod.yaml", values])
    (Path(values["path"]) / "prod.yaml").write_bytes(b"tag: v4\n")
    second = Helm(helm.folder / "again").fetch(chart=chart, valueFiles=["values-prod.yaml", values])

    assert (first.root / "values" / "1" / "prod.yaml").read_bytes() == b"tag: v3\n"
    assert first.revision != second.revision


def test_a_source_of_values_brings_one_file(helm: Helm, write: Write) -> None:
    """Which of two would be meant."""
    with pytest.raises(SourceValidationError, match=r"`valueFiles\.0` brings 4 files .* name the file itself"):
        helm.fetch(chart=write(CHART), valueFiles=[write(CHART)])


def test_a_missing_source_of_values_is_told_with_its_place(helm: Helm, write: Write) -> None:
    """By the trigger file's key."""
    with pytest.raises(SourceNotFoundError, match=r"^helm-source\.yaml: valueFiles\.0: .*missing"):
        helm.fetch(chart=write(CHART), valueFiles=[{"backend": "local", "path": str(helm.folder / "missing")}])


def _app_files(app: Path) -> None:
    (app / "there.yaml").write_text("tag: git\n")
    (app / "sub").mkdir()
    (app / "sub" / "there.yaml").write_text("tag: git\n")
    (app.parent / "outside.yaml").write_text("tag: secret\n")
    (app / "link.yaml").symlink_to("../outside.yaml")
    (app / "folder").symlink_to("..")
    (app / "big.yaml").write_bytes(b"#" * (2**20 + 1))
    os.mkfifo(app / "pipe.yaml")


@pytest.mark.parametrize("name", ["there.yaml", "sub/there.yaml"])
def test_a_file_of_the_application_is_found(helm: Helm, write: Write, name: str) -> None:
    """Beside the trigger file, in Git."""
    _app_files(helm.folder / "app")

    with pytest.raises(BackendError, match="`helm` is needed"):
        helm.render(chart=write(CHART), valueFiles=[{"app": name}])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.yaml", "cannot be read (No such file or directory)"),
        ("link.yaml", "is a symbolic link"),
        ("folder/outside.yaml", "lies behind a symbolic link or a file"),
        ("there.yaml/x", "lies behind a symbolic link or a file"),
        ("../outside.yaml", "lies outside of the application's folder"),
        ("sub/../../outside.yaml", "lies outside of the application's folder"),
        ("/etc/passwd", "lies outside of the application's folder"),
        ("sub", "is not a regular file"),
        ("pipe.yaml", "is not a regular file"),
        ("big.yaml", "is larger than 1048576 bytes"),
    ],
)
def test_a_file_of_the_application_lies_in_its_folder(helm: Helm, write: Write, name: str, reason: str) -> None:
    """Nothing else on the sidecar's disk is read, and nothing is fetched before that is known."""
    _app_files(helm.folder / "app")
    missing = {"backend": "local", "path": "/nonexistent"}

    with pytest.raises(SourceValidationError) as raised:
        helm.fetch(chart=missing, valueFiles=[{"app": name}])

    assert str(raised.value).startswith(f"`valueFiles`: {name}: {reason}")


@pytest.mark.parametrize("path", ["values-dev.yaml", "../chart/values.yaml", "/etc/passwd"])
def test_a_file_of_values_in_the_chart_is_there(helm: Helm, write: Write, path: str) -> None:
    """A path out of the chart is none in it."""
    program = helm.folder / "bin" / "helm"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    with pytest.raises(RenderError, match=r"holds no `.*`, there are values-prod\.yaml, values\.yaml: name"):
        Helm(helm.folder, path=str(program.parent)).render(chart=write(CHART), valueFiles=[path])


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"releaseName": "No_Release"}, "`releaseName` is no name of a release"),
        ({"releaseName": "a" * 54}, "`releaseName` is no name of a release"),
        ({"namespace": "a.b"}, "`namespace` is no name of a namespace"),
        ({"kubeVersion": "newest"}, "`kubeVersion` is no version of Kubernetes"),
        ({"apiVersions": ["a b"]}, "`apiVersions.0` is no API"),
        ({"set": {"a=b": "c"}}, "is no name of a value"),
        ({"set": {"a": "b\0"}}, "holds a NUL character"),
        ({"parameters": [{"name": "a"}]}, "`parameters.0.value` is missing: add `value: v2`"),
        ({"valueFiles": [{"app": "a", "x": "y"}]}, "unknown key `x`: remove it; known are app"),
        ({"valueFiles": [{"path": "y"}]}, "`valueFiles.0.backend` is missing: add `backend: …`"),
        ({"values": ["a"]}, "`values` must be a mapping of keys to values, or the text of one"),
        ({"values": "a: [\n"}, "`values` is not valid YAML"),
    ],
)
def test_a_wrong_key_is_told(helm: Helm, write: Write, keys: Mapping[str, Any], complaint: str) -> None:
    """With what to write."""
    with pytest.raises(SourceValidationError) as raised:
        helm.fetch(chart=write(CHART), **keys)

    assert complaint in str(raised.value)


SCHEMAS = {
    "file": {"$ref": "file:///etc/passwd"},
    "path": {"properties": {"a": {"$ref": "other.json"}}},
    "network": {"allOf": [{"$ref": "http://169.254.169.254/latest"}]},
    "dynamic": {"$dynamicRef": "https://example.com/a"},
    "dialect": {"$schema": "https://example.com/dialect"},
    "text": {"$defs": {"a": [{"$ref": ""}]}},
}


def schema_refusal(helm: Helm, write: Write, files: Mapping[str, bytes]) -> str:
    """Return why a chart is refused before Helm is looked for; empty where it is not."""
    try:
        helm.render(chart=write({**CHART, **files}))
    except RenderError as error:
        return str(error)
    except BackendError:
        return ""
    raise AssertionError("a program was found")


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("place", ["chart", "subchart", "packed", "packed twice", "packed under a name of its own"])
def test_a_schema_names_no_other(helm: Helm, write: Write, name: str, place: str) -> None:
    """Helm would read it from wherever it lies, the sidecar's disk or the cloud's metadata."""
    schema = {"values.schema.json": json.dumps(SCHEMAS[name]).encode()}
    packed = pack({**CHART, **schema}, "sub")
    files = {
        "chart": schema,
        "subchart": {f"charts/sub/{path}": content for path, content in {**CHART, **schema}.items()},
        "packed": {"charts/sub-1.0.0.tgz": packed},
        "packed twice": {"charts/a.tgz": pack({**CHART, "charts/sub.tgz": packed}, "a")},
        "packed under a name of its own": {"charts/a.tgz": pack(schema, "..a")},
    }[place]

    refusal = schema_refusal(helm, write, files)

    assert "values.schema.json: `$" in refusal
    assert refusal.endswith("put that one into `$defs` of this file")


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "https://json-schema.org/draft-07/schema#", "$ref": "#/$defs/a", "$defs": {"a": {}}},
        {"properties": {"$ref": {"type": "string"}, "$schema": {"type": "string"}}},
    ],
)
def test_a_schema_by_itself_is_left_to_helm(helm: Helm, write: Write, schema: dict[str, Any]) -> None:
    """Only what leads elsewhere is refused."""
    assert schema_refusal(helm, write, {"values.schema.json": json.dumps(schema).encode()}) == ""


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000])
def test_a_schema_that_cannot_be_looked_through_is_refused(helm: Helm, write: Write, content: bytes) -> None:
    """Another reader might find a reference in it."""
    assert "values.schema.json: is no JSON" in schema_refusal(helm, write, {"values.schema.json": content})


@pytest.mark.parametrize("file", ["Chart.yaml", "requirements.yaml"])
def test_a_missing_subchart_is_told_with_the_command(helm: Helm, write: Write, file: str) -> None:
    """Helm would have to fetch it."""
    wanted = b"dependencies: [{name: redis, version: 1.0.0, repository: 'https://charts.example.com'}]\n"
    files = {file: CHART.get(file, b"") + wanted}

    refusal = schema_refusal(helm, write, files)

    assert f"{file}: the chart needs the subchart `redis`, which is not in its folder `charts`" in refusal
    assert "run `helm dependency build`" in refusal


@pytest.mark.parametrize("subchart", ["charts/redis-1.0.0.tgz", "charts/redis/Chart.yaml", "charts/other/Chart.yaml"])
def test_a_subchart_that_is_there_is_found(helm: Helm, write: Write, subchart: str) -> None:
    """By its file, its folder, or its own word."""
    wanted = b"dependencies: [{name: redis, version: 1.0.0, repository: 'https://charts.example.com'}]\n"
    content = b"apiVersion: v2\nname: redis\nversion: 1.0.0\n"
    files = {
        "Chart.yaml": CHART["Chart.yaml"] + wanted,
        subchart: pack({"Chart.yaml": content}) if subchart.endswith(".tgz") else content,
    }

    assert schema_refusal(helm, write, files) == ""


def test_a_hostile_subchart_is_refused(helm: Helm, write: Write) -> None:
    """Helm never sees its archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../escape"))

    with pytest.raises(IntegrityError):
        helm.render(chart=write({**CHART, "charts/sub.tgz": buffer.getvalue()}))


def test_archives_together_hold_no_more_than_a_source(helm: Helm, write: Write) -> None:
    """Each alone would be small enough."""
    files = {f"charts/{name}.tgz": pack({"a.txt": b"0" * 60_000}, name) for name in "ab"}

    with pytest.raises(LimitExceededError, match="hold more than 100000 bytes"):
        helm.render(chart=write({**CHART, **files}), limits={"totalBytes": 100_000})


def test_a_backslash_in_a_name_is_refused(helm: Helm, write: Write) -> None:
    r"""Helm takes ``charts\a\values.schema.json`` in an archive for a path."""
    refusal = schema_refusal(helm, write, {"charts/a.tgz": pack({r"b\values.schema.json": b"{}"}, "a")})

    assert "Helm would take `\\` for a separator" in refusal


@pytest.mark.parametrize(
    ("application", "told"),
    [("", "no Application gives the release a name"), ("x" * 60, "is none for a release"), ("a_B", "is none for a")],
)
def test_the_release_needs_a_name(helm: Helm, write: Write, application: str, told: str) -> None:
    """Outside Argo CD nobody gives one, and what an Application may be called is longer."""
    program = helm.folder / "bin" / "helm"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    with pytest.raises(RenderError, match=f"{told}.*: set `releaseName`"):
        Helm(helm.folder, application, str(program.parent)).render(chart=write(CHART))
