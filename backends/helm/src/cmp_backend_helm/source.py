"""Own the model of ``helm-source.yaml``: where the chart lies, and what it is rendered with."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from cmp_core import NestedSource, Source, StrictModel, YamlMapping, location_of

LONGEST_RELEASE = 53
"""How long Helm lets the name of a release be, so that names made of it fit into 63 characters."""

_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_VERSION = re.compile(r"v?[0-9]+(\.[0-9]+){1,2}([-+][0-9A-Za-z.+-]+)?")


def is_release_name(name: str) -> bool:
    """Tell whether Helm takes the name for a release."""
    return len(name) <= LONGEST_RELEASE and bool(_DNS_NAME.fullmatch(name))


def _check_release_name(name: str | None) -> str | None:
    if name is not None and not is_release_name(name):
        raise ValueError(
            f"is no name of a release: write at most {LONGEST_RELEASE} small letters, digits, `-` and `.`, "
            "for example `demo-app`"
        )
    return name


def _check_namespace(name: str | None) -> str | None:
    if name is not None and not (len(name) <= 63 and "." not in name and _DNS_NAME.fullmatch(name)):
        raise ValueError("is no name of a namespace: write small letters, digits and `-`, for example `demo-app`")
    return name


def _check_version(version: str | None) -> str | None:
    if version is not None and not _VERSION.fullmatch(version):
        raise ValueError("is no version of Kubernetes: write it as in `kubeVersion: 1.34.2`")
    return version


def _check_api_version(api_version: str) -> str:
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+){0,2}", api_version, re.ASCII):
        raise ValueError("is no API: write `VERSION`, `GROUP/VERSION` or `GROUP/VERSION/KIND`")
    return api_version


def _check_argument(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character, which no program can be given: remove it")
    return text


def _check_name(name: str) -> str:
    if not name.strip() or "=" in name:
        raise ValueError("is no name of a value: write the path to it, for example `image.tag`")
    return _check_argument(name)


Argument = Annotated[str, AfterValidator(_check_argument)]
Name = Annotated[str, AfterValidator(_check_name)]


class AppFile(StrictModel):
    """A file of the application's folder in Git."""

    app: Annotated[
        Argument,
        Field(description="The path of a file in the application's folder.", min_length=1, examples=["overrides.yaml"]),
    ]


class Parameter(StrictModel):
    """One value, as in the ``parameters`` of Argo CD's own Helm sources."""

    name: Annotated[Name, Field(description="The path to the value.", examples=["image.tag"])]
    value: Annotated[Argument, Field(description="The value.", examples=["v2"])]
    force_string: Annotated[
        bool, Field(description="Whether it is text even where it looks like a number or a boolean.")
    ] = False


def _kind_of_value_file(item: Any) -> Literal["<chart>", "<app>", "<source>"]:
    if isinstance(item, str):
        return "<chart>"
    names_file = isinstance(item, AppFile) or (isinstance(item, dict) and "app" in item)
    return "<app>" if names_file else "<source>"


ValueFile = Annotated[
    Annotated[Argument, Tag("<chart>")] | Annotated[AppFile, Tag("<app>")] | Annotated[NestedSource, Tag("<source>")],
    Discriminator(_kind_of_value_file),
]
"""A path in the chart, a file of the application's folder, or a source that brings one file."""


class HelmSource(Source):
    """A chart, which a source of any other backend brings, and what it is rendered with."""

    chart: Annotated[
        NestedSource,
        Field(
            description="The source that brings the chart: a folder with a `Chart.yaml`, or the one file that "
            "`helm package` makes of it; the `backend` that reads it and that backend's own keys.",
            examples=[{"backend": "s3", "bucket": "test-bucket", "path": "charts/demo-app-1.0.0.tgz"}],
        ),
    ]
    release_name: Annotated[
        str | None,
        AfterValidator(_check_release_name),
        Field(description="The name of the release; by default that of the Application.", examples=["demo-app"]),
    ] = None
    namespace: Annotated[
        str | None,
        AfterValidator(_check_namespace),
        Field(
            description="The namespace that templates see; by default the Application's destination.",
            examples=["demo-app"],
        ),
    ] = None
    value_files: Annotated[
        tuple[ValueFile, ...],
        Field(
            description="Files of values, of which a later one wins: a path in the chart, `app` with the path of a "
            "file in the application's folder, or a source of its own that brings one file.",
            examples=[["values-prod.yaml", {"app": "overrides.yaml"}]],
        ),
    ] = ()
    values: Annotated[
        YamlMapping | None,
        Field(description="Values that win over those of all files.", examples=[{"replicas": 2}]),
    ] = None
    parameters: Annotated[
        tuple[Parameter, ...],
        Field(
            description="Single values that win over `values`, each with `name`, `value` and perhaps `forceString`.",
            examples=[[{"name": "image.tag", "value": "v2"}]],
        ),
    ] = ()
    set: Annotated[
        dict[Name, Argument],
        Field(
            default_factory=dict,
            description="The same in short, as `helm --set` reads it; these win over all others.",
            examples=[{"image.tag": "v2"}],
        ),
    ]
    include_crds: Annotated[
        bool, Field(alias="includeCRDs", description="Whether the chart's folder `crds` is printed too.")
    ] = True
    skip_tests: Annotated[
        bool, Field(description="Whether the chart's tests, hooks for `helm test`, are left out.")
    ] = False
    kube_version: Annotated[
        str | None,
        AfterValidator(_check_version),
        Field(description="The version of Kubernetes that templates see; by default the cluster's.", examples=["1.34"]),
    ] = None
    api_versions: Annotated[
        tuple[Annotated[str, AfterValidator(_check_api_version)], ...],
        Field(
            description="The APIs that templates see; by default the cluster's.",
            examples=[["monitoring.coreos.com/v1/ServiceMonitor"]],
        ),
    ] = ()

    @property
    def location(self) -> str:
        """Where the chart lies."""
        return location_of(self.chart)
