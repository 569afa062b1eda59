"""A kustomization may name nothing outside of its source, wherever in it a path may stand."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmp_core import Artifact, BackendError, BuildEnvironment, RenderError, Source
from cmp_core.kustomize import holds_kustomization, render_kustomization


class AnySource(Source):
    """A source of no backend."""

    @property
    def location(self) -> str:
        """A made-up place."""
        return "any://demo"


WITHOUT_PROGRAMS = BuildEnvironment(variables={"PATH": "/nonexistent"})


def artifact_of(folder: Path, **files: str) -> Artifact:
    """Write files, `__` standing for `/` and `_` for `.`, and return them as an artifact."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return Artifact.from_directory(folder)


def refusal(artifact: Artifact) -> str:
    """Return why the artifact is refused before kustomize is looked for; empty where it is not."""
    try:
        render_kustomization(artifact, AnySource(), WITHOUT_PROGRAMS)
    except RenderError as error:
        return str(error)
    except BackendError:
        return ""
    raise AssertionError("a program was found")


@pytest.mark.parametrize("name", ["kustomization.yaml", "kustomization.yml", "Kustomization"])
def test_a_kustomization_at_the_root_is_found(tmp_path: Path, name: str) -> None:
    """By the three names that kustomize knows."""
    (tmp_path / name).write_text("resources: []\n")

    assert holds_kustomization(Artifact.from_directory(tmp_path))


@pytest.mark.parametrize("name", ["kustomization.json", "KUSTOMIZATION.YAML", "base/kustomization.yaml"])
def test_another_file_is_none(tmp_path: Path, name: str) -> None:
    """A base alone is no whole."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("resources: []\n")

    assert not holds_kustomization(Artifact.from_directory(tmp_path))


ELSEWHERE = (
    "https://example.com/a.yaml",
    "HTTP://127.0.0.1:8081/metrics",
    "http://[::1]/x",
    "github.com/org/repo//deploy?ref=v1",
    "git@github.com:org/repo.git",
    "git::https://example.com/repo",
    "ssh://git@example.com/repo",
    "file:///etc/passwd",
    "key=https://example.com/secret",
    "../outside",
    "base/../../outside",
    "key=../../etc/passwd",
)

PLACES = (
    "resources: ['{0}']",
    "bases: ['{0}']",
    "components:\n- '{0}'",
    "crds: ['{0}']",
    "configurations: ['{0}']",
    "openapi: {{path: '{0}'}}",
    "patches: [{{path: '{0}', target: {{kind: Deployment}}}}]",
    "patchesStrategicMerge: ['{0}']",
    "patchesJson6902: [{{path: '{0}'}}]",
    "replacements: [{{path: '{0}'}}]",
    "configMapGenerator: [{{name: a, files: ['{0}']}}]",
    "secretGenerator: [{{name: a, envs: ['{0}']}}]",
    "helmCharts: [{{name: a, repo: '{0}'}}]",
    "generators:\n- |-\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n  files: ['{0}']",
    "transformers: ['{0}']",
    "validators: ['{0}']",
    "unknownToUs: [{{deeper: ['{0}']}}]",
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", ELSEWHERE)
def test_a_place_elsewhere_is_refused_wherever_it_stands(tmp_path: Path, place: str, text: str) -> None:
    """With file and line, before kustomize is started."""
    artifact = artifact_of(tmp_path, kustomization_yaml=f"namespace: x\n{place.format(text)}\n")

    message = refusal(artifact)

    assert message.startswith("kustomization.yaml:")
    assert f"`{text}` lies outside of the source" in message


@pytest.mark.parametrize("name", ["base__kustomization_yaml", "components__x__Kustomization"])
def test_a_kustomization_further_down_is_looked_at_too(tmp_path: Path, name: str) -> None:
    """The one at the root may name it as its base."""
    artifact = artifact_of(
        tmp_path, kustomization_yaml="resources: [base]\n", **{name: "resources: ['https://example.com/']\n"}
    )

    assert "lies outside of the source" in refusal(artifact)


def test_the_configuration_of_a_built_in_plugin_is_looked_at_too(tmp_path: Path) -> None:
    """It reads files by the same paths, from a file that may have any name and hold other documents."""
    plugin = "kind: A\n---\nkind: PatchTransformer\n'apiVersion': builtin\npath: https://example.com/\n"
    artifact = artifact_of(tmp_path, kustomization_yaml="transformers: [t.yaml]\n", t_yaml=plugin)

    assert refusal(artifact).startswith("t.yaml:5: `https://example.com/` lies outside")


@pytest.mark.parametrize(
    "content",
    [
        "resources: [deployment.yaml, base, ./base, base/../other, a..b/c]\n",
        "commonAnnotations: {docs: 'https://example.com/'}\n",
        "configMapGenerator: [{name: a, literals: ['URL=https://example.com/', 'UP=../x'], files: [a=b/c.txt]}]\n",
        "images: [{name: registry.example.com:5000/a, newTag: '1'}]\n",
        "patches:\n- patch: |-\n    - op: add\n      path: /spec/x\n      value: https://example.com/\n",
        "replacements: [{source: {kind: A, fieldPath: data.x}, targets: [{fieldPaths: [spec.y]}]}]\n",
        "labels: [{pairs: {a: 'https://b'}, includeSelectors: false}]\n",
    ],
)
def test_what_is_no_path_or_lies_inside_passes(tmp_path: Path, content: str) -> None:
    """Values of the author's own may be URLs; paths may go up as long as they stay inside."""
    assert refusal(artifact_of(tmp_path, kustomization_yaml=content)) == ""


def test_manifests_may_hold_any_text(tmp_path: Path) -> None:
    """Only kustomizations and built-in plugins are searched for paths."""
    config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {url: 'https://example.com/', up: ../x}\n"

    assert refusal(artifact_of(tmp_path, kustomization_yaml="resources: [a.yaml]\n", a_yaml=config_map)) == ""


@pytest.mark.parametrize(
    "content", ["a: &x b\nc: *x\n", "a: b\n c: d\n", "- a\n", "a: " + "[" * 100 + "]" * 100 + "\n", "a: \x00\n"]
)
def test_a_kustomization_that_cannot_be_searched_is_refused(tmp_path: Path, content: str) -> None:
    """Aliases, broken YAML, no mapping, deep nesting: what is not understood is not passed on."""
    assert refusal(artifact_of(tmp_path, kustomization_yaml=content)).startswith("kustomization.yaml:")


def test_a_missing_kustomization_is_told(tmp_path: Path) -> None:
    """`render: kustomize` where there is none is a mistake, never a plain render."""
    message = refusal(artifact_of(tmp_path, a_yaml="kind: A\n"))

    assert message == (
        "any://demo holds no kustomization.yaml: put one there, or remove `render: kustomize` from the trigger file"
    )


def test_a_missing_program_is_told(tmp_path: Path) -> None:
    """Which one, what for, where it was looked for, and how it comes into the image."""
    artifact = artifact_of(tmp_path, kustomization_yaml="resources: []\n")

    with pytest.raises(
        BackendError, match=r"^`kustomize` is needed to render a kustomization, and is not in /nonexist"
    ):
        render_kustomization(artifact, AnySource(), WITHOUT_PROGRAMS)


@given(up=st.lists(st.sampled_from(["..", "a", ".", "b"]), min_size=1, max_size=6))
def test_no_path_leads_out(up: list[str]) -> None:
    """Whatever the parts of a path, it is refused exactly where it leaves the root on its way."""
    depths = list(itertools.accumulate({"..": -1, ".": 0}.get(part, 1) for part in up))

    with tempfile.TemporaryDirectory() as name:
        message = refusal(artifact_of(Path(name), kustomization_yaml=f"resources: ['{'/'.join(up)}']\n"))

    assert bool(message) == (min(depths) < 0)
