"""Own the render: ``helm template``, called as Argo CD calls it, with nothing of the sidecar's around it.

The order of values is Argo CD's: the chart's own, files in the order written, `values`, then single ones. Commas are
escaped as there (``cleanSetParameters`` in ``util/helm/cmd.go``), so that a value may hold one.
"""

import logging
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cmp_backend_helm.fetching import read_app_file
from cmp_backend_helm.inspection import inspect_chart
from cmp_backend_helm.layout import Chart, find_chart, values_folder
from cmp_backend_helm.source import AppFile, HelmSource, is_release_name
from cmp_core import Artifact, BuildEnvironment, Document, RenderError, split_documents
from cmp_core.programs import NO_NETWORK, Output, find_program, run_program

OUTPUT = "helm-output.yaml"
"""What messages call the stream that Helm prints."""

_LONGEST_TOLD = 1500

_log = logging.getLogger("cmp_core.helm")

# A backslash before a comma escapes it already.
_COMMA = re.compile(r"(?<!\\),")
_TEMPLATE = re.compile(rb"# Source: ([^\n]+)")


def render_chart(artifact: Artifact, source: HelmSource, environment: BuildEnvironment) -> list[Document]:
    """Return the documents that Helm makes of the chart, hooks and custom resource definitions among them.

    Raises:
        RenderError: Helm refuses the chart or the values, or would have to fetch something.
        BackendError: Helm is not there.
        LimitExceededError: It makes more of it than a source may bring.
    """
    chart = find_chart(artifact, source)
    inspect_chart(chart, source, environment)
    helm = find_program("helm", environment, purpose="to render a chart")
    limits = source.limits.under(environment.settings.limits)
    with tempfile.TemporaryDirectory(dir=artifact.root, prefix="helm-") as scratch:
        home = Path(scratch)
        arguments = [
            *_options(source, environment),
            *(f"--values={file}" for file in _value_files(artifact, chart, source, environment, home)),
            *_single_values(source),
        ]
        output = run_program(
            [helm, "template", _release(source, environment), chart.folder.resolve(), *arguments],
            home,
            environment,
            variables=_variables(home),
            most_bytes=limits.total_bytes,
        )
        said = _told(output, chart.folder, artifact.root)
    if output.code:
        raise RenderError(f"{source.location}: Helm refuses the chart: {said or 'it gives no reason'}")
    if said:
        _log.warning("helm: %s", said)
    return [replace(document, path=_path(document)) for document in split_documents(output.content, OUTPUT)]


def _release(source: HelmSource, environment: BuildEnvironment) -> str:
    """Return the release's name: that of the Application without its namespace, as Argo CD takes it."""
    if source.release_name:
        return source.release_name
    name = environment.application.name.rpartition("_")[2]
    if is_release_name(name):
        return name
    told = (
        f"the Application's name `{name}` is none for a release" if name else "no Application gives the release a name"
    )
    raise RenderError(f"{source.location}: {told}: set `releaseName`")


def _options(source: HelmSource, environment: BuildEnvironment) -> Iterator[str]:
    namespace = source.namespace or environment.application.namespace
    kube_version = source.kube_version or environment.kube_version
    if namespace:
        yield f"--namespace={namespace}"
    if kube_version:
        yield f"--kube-version={kube_version}"
    for api_version in source.api_versions or environment.kube_api_versions:
        yield f"--api-versions={api_version}"
    if source.include_crds:
        yield "--include-crds"
    if source.skip_tests:
        yield "--skip-tests"


def _value_files(
    artifact: Artifact, chart: Chart, source: HelmSource, environment: BuildEnvironment, home: Path
) -> Iterator[str]:
    """Write the files of values into `home`, and yield their names, in their order and as the trigger file's keys.

    Helm takes a comma in a name for the end of it, and tells the name where it refuses the file.
    """
    for number, file in enumerate(source.value_files):
        name = f"valueFiles.{number}"
        if isinstance(file, AppFile):
            (home / name).write_bytes(read_app_file(file, environment))
        elif isinstance(file, str):
            shutil.copyfile(_file_in_chart(file, chart, number), home / name)
        else:
            fetched = next(path for path in artifact.files if path.startswith(f"{values_folder(number)}/"))
            shutil.copyfile(artifact.root / fetched, home / name)
        yield name
    if source.values:
        (home / "values").write_text(source.values, encoding="utf-8")
        yield "values"


def _file_in_chart(path: str, chart: Chart, number: int) -> Path:
    if path in chart.files:
        return chart.folder / path
    candidates = [name for name in chart.files if name.startswith("values") and name.endswith((".yaml", ".yml"))]
    there = f"there are {', '.join(candidates[:5])}" if candidates else "and no other"
    raise RenderError(f"`valueFiles.{number}`: the chart holds no `{path}`, {there}: name a file of the chart")


def _single_values(source: HelmSource) -> Iterator[str]:
    for parameter in source.parameters:
        option = "--set-string" if parameter.force_string else "--set"
        yield f"{option}={parameter.name}={_escaped(parameter.value)}"
    for name, value in source.set.items():
        yield f"--set={name}={_escaped(value)}"


def _escaped(value: str) -> str:
    return value if value.startswith("{") and value.endswith("}") else _COMMA.sub(r"\\,", value)


def _variables(home: Path) -> dict[str, str]:
    """Return all that Helm is told: a home in which nothing lies, no plugin, no cluster, and no way to the network."""
    places = {name: str(home / "helm") for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    nothing = dict.fromkeys(("KUBECONFIG", "HELM_PLUGINS", "HELM_REPOSITORY_CONFIG"), "/nonexistent")
    return {
        "HOME": str(home),
        "TMPDIR": str(home),
        "PATH": "",
        "HELM_NO_PLUGINS": "1",
        **places,
        **nothing,
        **NO_NETWORK,
    }


def _told(output: Output, chart: Path, root: Path) -> str:
    """Return what Helm says, without the place of the scratch folder and its advice to those at a terminal."""
    text = output.said_without(chart, root).replace("Use --debug flag to render out invalid YAML", "")
    return " ".join(text.split()).removeprefix("Error: ")[:_LONGEST_TOLD]


def _path(document: Document) -> str:
    """Return what messages call a document's file: the stream, and the template that the document comes from."""
    template = _TEMPLATE.match(document.content)
    return f"{document.path} ({template[1].decode(errors='replace').strip()})" if template else document.path
