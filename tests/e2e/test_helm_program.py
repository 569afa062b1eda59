"""The genuine Helm renders what sources bring, as it does by hand and as Argo CD's own code lets it."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cmp_backend_helm import inspection
from e2e.big_chart import big_chart, pack
from e2e.conftest import Find
from e2e_support import S3Server

from cmp_core import (
    Application,
    BuildEnvironment,
    Deadline,
    DeadlineExceededError,
    LimitExceededError,
    RenderError,
    Settings,
)
from cmp_core.pipeline import generate

pytestmark = pytest.mark.e2e

Generate = Callable[..., list[dict[str, Any]]]

SMALL = {
    "Chart.yaml": "apiVersion: v2\nname: small\nversion: 1.0.0\n",
    "values.yaml": "a: chart\nb: chart\nc: chart\nd: chart\ne: chart\n",
    "values-prod.yaml": "b: file\nc: file\nd: file\ne: file\n",
    "templates/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: all}\ndata: {{ toJson .Values }}\n",
}
KUBE_API_VERSIONS = ("v1", "apps/v1", "monitoring.coreos.com/v1", "monitoring.coreos.com/v1/ServiceMonitor")


@pytest.fixture
def program(tool: Find) -> Path:
    """The program that `make tools` builds."""
    return tool("helm")


@pytest.fixture
def environment(program: Path) -> BuildEnvironment:
    """A sidecar's environment whose path holds the program, of an application outside Argo CD's namespace."""
    return BuildEnvironment(
        application=Application(name="team-a_shop", namespace="prod"),
        kube_version="1.34.2",
        kube_api_versions=KUBE_API_VERSIONS,
        variables={"PATH": str(program.parent)},
        deadline=Deadline(120),
    )


@pytest.fixture
def generated(tmp_path: Path, environment: BuildEnvironment) -> Generate:
    """What renders a chart of these files in a folder by the whole pipeline, and returns the objects."""

    def run(files: Mapping[str, str | bytes], around: BuildEnvironment = environment, **keys: Any) -> list[Any]:
        chart = write(tmp_path / "chart", files)
        keys.setdefault("chart", {"backend": "local", "path": str(chart)})
        app = tmp_path / "app"
        app.mkdir(exist_ok=True)
        (app / "helm-source.yaml").write_text(json.dumps(keys))
        return objects(generate(app, around))

    return run


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files into a folder and return it."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def objects(stream: bytes) -> list[Any]:
    """Return the objects of a stream, in their order."""
    return [item for item in yaml.load_all(stream, yaml.CSafeLoader) if item]


def by_hand(program: Path, chart: Path, *options: str) -> list[Any]:
    """Return what the program prints for whoever calls it with the cluster's word."""
    cluster = ["--kube-version=1.34.2", *(f"--api-versions={name}" for name in KUBE_API_VERSIONS)]
    command = [str(program), "template", "shop", str(chart), "--namespace=prod", *cluster, *options]
    return objects(subprocess.check_output(command))


def by_argo_cd(argohelm: Path, program: Path, chart: Path, **options: Any) -> list[Any]:
    """Return the objects that Argo CD's own code makes of the chart."""
    asked = {"Name": "shop", "Namespace": "prod", "KubeVersion": "1.34.2", "APIVersions": KUBE_API_VERSIONS, **options}
    variables = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    printed = subprocess.check_output([argohelm, chart], input=json.dumps(asked).encode(), env=variables)
    return [json.loads(line) for line in printed.splitlines()]


@pytest.mark.parametrize("is_packed", [False, True], ids=["folder", "archive"])
def test_a_chart_of_some_size_is_that_of_helm_template(
    program: Path,
    tmp_path: Path,
    generated: Generate,
    is_packed: bool,  # noqa: FBT001  # one of two ways
) -> None:
    """The same objects in the same order: definitions first, then by kind, hooks last."""
    files = big_chart()
    folder = write(tmp_path / "by-hand", files)
    published: Mapping[str, bytes] = {"shop.tgz": pack(files, "shop")} if is_packed else files

    rendered = generated(published, valueFiles=["values-prod.yaml"])

    assert rendered == by_hand(program, folder, f"--values={folder}/values-prod.yaml", "--include-crds")
    assert len(rendered) == 45
    assert rendered[0]["kind"] == "CustomResourceDefinition"
    assert ["helm.sh/hook" in item["metadata"].get("annotations", {}) for item in rendered[-3:]] == [False, True, True]


def test_through_s3_and_an_archive_it_is_the_same(
    program: Path, s3: S3Server, tmp_path: Path, environment: BuildEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three backends in each other: S3 brings the archive, tarball unpacks it, helm renders it; so come values."""
    files = big_chart()
    folder = write(tmp_path / "by-hand", files)
    values = "replicas: 9\ncomponents: {web: {replicas: 1, env: {MODE: '1.10'}}}\n"
    (folder / "bucket.yaml").write_text(values)
    s3.put({"releases/shop.tar.gz": pack(files, "shop-2.3.4"), "prod/shop.yaml": values.encode()})
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    archive = {"backend": "s3", "bucket": "test-bucket", "path": "releases/shop.tar.gz"}
    trigger = {
        "chart": {"backend": "tarball", "source": archive, "stripComponents": 1},
        "valueFiles": ["values-prod.yaml", {"backend": "s3", "bucket": "test-bucket", "path": "prod/shop.yaml"}],
    }
    app = write(tmp_path / "app", {"helm-source.yaml": json.dumps(trigger)})

    rendered = objects(generate(app, replace(environment, variables={**environment.variables, **s3.variables})))

    files_of_values = (f"--values={folder}/{name}" for name in ("values-prod.yaml", "bucket.yaml"))
    assert rendered == by_hand(program, folder, *files_of_values, "--include-crds")


OPTIONS: Mapping[str, tuple[Mapping[str, Any], Sequence[str], Mapping[str, Any]]] = {
    "nothing": ({}, ["--include-crds"], {}),
    "no definitions": ({"includeCRDs": False}, [], {"SkipCrds": True}),
    "no tests": ({"skipTests": True}, ["--include-crds", "--skip-tests"], {"SkipTests": True}),
    "another release": ({"releaseName": "big"}, ["--include-crds", "--name-template=big"], {"Name": "big"}),
    "another namespace": ({"namespace": "x"}, ["--include-crds", "--namespace=x"], {"Namespace": "x"}),
    "another cluster": (
        {"kubeVersion": "1.30", "apiVersions": ["v1"]},
        [],
        {"KubeVersion": "1.30", "APIVersions": ["v1"]},
    ),
    "single values": (
        {"set": {"settings.level": "a,b", "replicas": "4"}},
        ["--include-crds", "--set=settings.level=a\\,b", "--set=replicas=4"],
        {"Set": {"settings.level": "a,b", "replicas": "4"}},
    ),
    "text": (
        {"parameters": [{"name": "settings.level", "value": "010", "forceString": "true"}]},
        ["--include-crds", "--set-string=settings.level=010"],
        {"SetString": {"settings.level": "010"}},
    ),
    "a list": (
        {"set": {"settings.level": "{a,b}"}},
        ["--include-crds", "--set=settings.level={a,b}"],
        {"Set": {"settings.level": "{a,b}"}},
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_key_does_what_argo_cd_does(
    program: Path, tool: Find, tmp_path: Path, generated: Generate, name: str
) -> None:
    """The same keys, given to Argo CD's own code, make the same objects in the same order."""
    keys, options, asked = OPTIONS[name]
    files = big_chart()
    folder = write(tmp_path / "by-hand", files)

    rendered = generated(files, **keys)

    assert rendered == by_argo_cd(tool("argohelm"), program, folder, **asked)
    if "Name" not in asked and options:
        assert rendered == by_hand(program, folder, *options)


def test_the_order_of_values_is_argo_cds(tmp_path: Path, generated: Generate) -> None:
    """The chart's own, files as they are written, `values`, parameters, `set`."""
    write(tmp_path / "app", {"git.yaml": "c: git\nd: git\ne: git\n"})
    files = ["values-prod.yaml", {"app": "git.yaml"}]
    parameters = [{"name": "e", "value": "parameter"}]

    rendered = generated(SMALL, valueFiles=files, values={"d": "values", "e": "values"}, parameters=parameters)
    again = generated(SMALL, parameters=parameters, set={"e": "set"})

    assert rendered[0]["data"] == {"a": "chart", "b": "file", "c": "git", "d": "values", "e": "parameter"}
    assert again[0]["data"]["e"] == "set"


def test_values_keep_their_types(tmp_path: Path, environment: BuildEnvironment) -> None:
    """What stands without quotes in the trigger file is what it would be in a file of values."""
    chart = write(tmp_path / "chart", {**SMALL, "values.yaml": ""})
    values = (
        "  number: 010\n  text: '010'\n  yes: no\n  date: 2024-01-01\n  version: 1.10\n  none: ~\n  list: [1, '1']\n"
    )
    trigger = f"chart: {{backend: local, path: {json.dumps(str(chart))}}}\nvalues:\n{values}"
    app = write(tmp_path / "app", {"helm-source.yaml": trigger})
    (tmp_path / "file.yaml").write_text("\n".join(line[2:] for line in values.splitlines()))

    rendered = objects(generate(app, environment))

    program = Path(environment.variables["PATH"], "helm")
    assert rendered == by_hand(program, chart, f"--values={tmp_path}/file.yaml")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ fail `no way` }}", "execution error at (small/templates/x.yaml:1:3): no way"),
        ("{{ .Values.a.b.c }}", "small/templates/x.yaml"),
        ("a: [\n", "YAML parse error on small/templates/x.yaml"),
        ("{{ env `HOME` }}", 'function "env" not defined'),
        ("{{ required `say a` .Values.none }}", "say a"),
    ],
)
def test_what_helm_complains_of_is_told(generated: Generate, tmp_path: Path, template: str, told: str) -> None:
    """In one short sentence, without the place of the scratch folder."""
    with pytest.raises(RenderError) as raised:
        generated({**SMALL, "templates/x.yaml": template})

    message = str(raised.value)
    assert "Helm refuses the chart: " in message
    assert told in message
    assert "\n" not in message
    assert ".cmp-core" not in message
    assert str(tmp_path / "app") not in message


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"values": {"replicas": 0}}, "replicas"),
        ({"valueFiles": [{"app": "broken.yaml"}]}, "valueFiles.0"),
        ({"values": "a: *b\n"}, "values"),
    ],
)
def test_wrong_values_are_told_with_their_key(
    generated: Generate, tmp_path: Path, keys: Mapping[str, Any], told: str
) -> None:
    """The schema's word, or the trigger file's key."""
    write(tmp_path / "app", {"broken.yaml": "a: [\n"})

    with pytest.raises(RenderError, match=told):
        generated(big_chart(), **keys)


def test_lookup_finds_nothing_and_names_are_not_resolved(generated: Generate) -> None:
    """There is no cluster to ask, and no network."""
    template = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
        "data: {found: '{{ lookup `v1` `Secret` `` `` | toJson }}', address: '{{ getHostByName `localhost` }}'}\n"
    )

    rendered = generated({**SMALL, "templates/x.yaml": template})

    assert rendered[-1]["data"] == {"found": "{}", "address": ""}


def test_a_schema_that_is_overlooked_does_not_reach_the_network(
    generated: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second line of defence: the way there leads nowhere."""
    monkeypatch.setattr(inspection, "_check_schema", lambda _content, _place: None)

    with pytest.raises(RenderError, match="proxyconnect"):
        generated({**SMALL, "values.schema.json": '{"$ref": "https://example.com/schema.json"}'})


def test_a_schema_of_the_sidecars_disk_would_be_read(generated: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the look at schemas protects something: without it Helm opens the file."""
    monkeypatch.setattr(inspection, "_check_schema", lambda _content, _place: None)

    with pytest.raises(RenderError, match=r"/etc/hostname|invalid|failing loading"):
        generated({**SMALL, "values.schema.json": '{"$ref": "file:///etc/hostname"}'})


def test_the_deadline_ends_it(generated: Generate, environment: BuildEnvironment) -> None:
    """A template can count to a billion."""
    counting = "{{ range until 30000 }}{{ range until 30000 }}{{ end }}{{ end }}"

    with pytest.raises(DeadlineExceededError):
        generated({**SMALL, "templates/x.yaml": counting}, replace(environment, deadline=Deadline(4)))


def test_what_it_prints_is_bounded(generated: Generate, environment: BuildEnvironment) -> None:
    """By the limits of a source, whatever the chart's own size."""
    settings = Settings.model_validate({"limits": {"totalBytes": 100_000}})

    with pytest.raises(LimitExceededError, match="`helm` writes more than 100000 bytes"):
        generated(
            {**SMALL, "templates/x.yaml": "a: {{ repeat 200000 `b` }}\n"}, replace(environment, settings=settings)
        )


def test_nothing_is_left_and_nothing_is_written_at_home(
    generated: Generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Helm's caches live as long as the request."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))

    generated(SMALL)

    assert list(home.iterdir()) == []
    assert [path.name for path in (tmp_path / "app").iterdir()] == ["helm-source.yaml"]


def test_a_warning_is_passed_on(generated: Generate, caplog: pytest.LogCaptureFixture) -> None:
    """What Helm says of a chart that it renders nevertheless."""
    generated(SMALL, values={"a": {"b": "c"}})

    assert [
        record.message for record in caplog.records if record.name == "cmp_core.helm" and "small.a" in record.message
    ]


def test_it_needs_its_program(generated: Generate, environment: BuildEnvironment) -> None:
    """The error says which, where it was looked for, and how the image gets it."""
    with pytest.raises(Exception, match=r"`helm` is needed to render a chart, and is not in /nonexistent: put it into"):
        generated(SMALL, replace(environment, variables={"PATH": "/nonexistent"}))
