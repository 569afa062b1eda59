"""What an Application passes to the plugin: parameters and variables, in every form that Argo CD sends them in."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from e2e.cmp_client import Application, Entries
from e2e.contract import Checkout, Plugin, config_map, failure, names, without_places
from e2e_support import COMMAND, S3Server

pytestmark = pytest.mark.e2e

INIT = "error generating manifests: `cmp-core init` failed exit status"


@pytest.fixture
def objects_of_two(s3: S3Server) -> None:
    """Two prefixes with an object each, and a README in one of them."""
    s3.put(
        {
            "apps/demo/a.yaml": config_map("demo"),
            "apps/demo/values.yaml": b"replicas: 3\n",
            "apps/other/a.yaml": config_map("other"),
        }
    )


def with_parameters(text: str | None) -> Entries:
    """Return an Application's variables with any text as its parameters, or with none at all."""
    entries = [entry for entry in Application().variables() if entry[0] != "ARGOCD_APP_PARAMETERS"]
    return entries if text is None else [*entries, ("ARGOCD_APP_PARAMETERS", text)]


@pytest.mark.image
def test_announcements_are_what_argo_cds_decoder_reads(plugin: Plugin, checkout: Checkout) -> None:
    """Every parameter that we announce arrives, field by field, through Argo CD's own types."""
    checkout.write({"s3-source.yaml": "bucket: test-bucket\npath: apps/demo\nexclude: ['*.txt', values.yaml]\n"})
    printed = json.loads(subprocess.check_output([COMMAND, "parameters"], cwd=checkout.folder))

    announced = plugin.client.announce(checkout.root)

    assert [each.name for each in announced][:2] == ["bucket", "path"]
    assert [each._asdict() for each in announced] == [
        {
            "name": each["name"],
            "title": each["title"],
            "tooltip": each["tooltip"],
            "required": each["required"],
            "item_type": each["itemType"],
            "collection_type": each["collectionType"],
            "string": each.get("string", ""),
            "array": each.get("array", []),
            "map": each.get("map", {}),
        }
        for each in printed
    ]
    values = {each.name: each.string or each.array for each in announced}
    assert (values["path"], values["exclude"]) == ("apps/demo", ["*.txt", "values.yaml"])


def test_announcements_of_a_broken_trigger_file_are_an_error(plugin: Plugin, checkout: Checkout) -> None:
    """The user interface is told what is wrong, in place of an empty form."""
    checkout.write({"s3-source.yaml": "buket: test-bucket\n"})

    with pytest.raises(Exception, match="unknown key `buket`") as raised:
        plugin.client.announce(checkout.root)

    assert str(raised.value).startswith(
        "get parameters announcement error: error executing dynamic parameter output command: "
    )


@pytest.mark.image
def test_what_is_announced_can_be_sent_back(plugin: Plugin, checkout: Checkout, objects_of_two: None) -> None:
    """Somebody who presses Save in the user interface without a change gets the same manifests."""
    checkout.write({"s3-source.yaml": "bucket: test-bucket\npath: apps/demo\nexclude: [values.yaml]\n"})
    parameters: list[dict[str, Any]] = []
    for each in plugin.client.announce(checkout.root):
        kind = each.collection_type or "string"
        if value := getattr(each, kind):
            parameters.append({"name": each.name, kind: value})

    manifests = plugin.client.generate(checkout.root, Application(parameters=parameters))

    assert names(manifests) == ["demo"]


@pytest.mark.parametrize(
    "parameters",
    [None, "null", "[]", ""],
    ids=["unset", "null", "empty-array", "empty-text"],
)
def test_no_parameters_change_nothing(
    plugin: Plugin, checkout: Checkout, objects_of_two: None, parameters: str | None
) -> None:
    """Discovered applications have no such variable, named ones `null`, edited ones an empty array."""
    checkout.write({"s3-source.yaml": "bucket: test-bucket\npath: apps/other\n"})

    manifests = plugin.client.generate(checkout.root, variables=with_parameters(parameters))

    assert names(manifests) == ["other"]


def test_an_application_that_names_no_plugin_gets_its_manifests(
    plugin: Plugin, checkout: Checkout, objects_of_two: None
) -> None:
    """Where Argo CD found the plugin by itself, it sends neither parameters nor variables of the author."""
    checkout.write({"s3-source.yaml": "bucket: test-bucket\npath: apps/other\n"})

    manifests = plugin.client.generate(checkout.root, Application(is_plugin_named=False))

    assert names(manifests) == ["other"]


@pytest.mark.image
@pytest.mark.parametrize(
    ("application", "found"),
    [
        (Application(parameters=[{"name": "path", "string": "apps/other"}]), ["other"]),
        (Application(plugin_env={"CMP_PATH": "apps/other"}), ["other"]),
        (
            Application(plugin_env={"CMP_PATH": "apps/x"}, parameters=[{"name": "path", "string": "apps/other"}]),
            ["other"],
        ),
        (Application(parameters=[{"name": "exclude", "array": ["values.yaml"]}]), ["demo"]),
        (
            Application(
                parameters=[{"name": "limits", "map": {"objects": "7"}}, {"name": "path", "string": "apps/other"}]
            ),
            ["other"],
        ),
        (
            Application(parameters=[{"name": "include", "array": ["a.yaml"]}, {"name": "exclude", "array": []}]),
            ["demo"],
        ),
        (Application(plugin_env={"CMP_EXCLUDE": "[values.yaml]", "FOO": "bar", "EMPTY": ""}), ["demo"]),
        (
            Application(
                plugin_env={"CMP_VERSION": "<v1&'\"\u2028>"}, parameters=[{"name": "path", "string": "apps/other"}]
            ),
            ["other"],
        ),
    ],
    ids=["string", "variable", "both", "array", "map", "empty-array", "list-in-a-variable", "odd-characters"],
)
def test_parameters_and_variables_override_the_file(
    plugin: Plugin, checkout: Checkout, objects_of_two: None, application: Application, found: Sequence[str]
) -> None:
    """A parameter goes before a variable, and a variable before the trigger file."""
    manifests = plugin.client.generate(checkout.root, application)

    assert names(manifests) == found


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"name": "path"}', "ARGOCD_APP_PARAMETERS: must be an array of parameters"),
        ("[", "ARGOCD_APP_PARAMETERS: is not JSON"),
        ('[{"string": "x"}]', "ARGOCD_APP_PARAMETERS: every parameter needs a `name`"),
        ('["path"]', "ARGOCD_APP_PARAMETERS: every parameter needs a `name`"),
        ('[{"name": "path"}]', "parameter `path`: has no usable value"),
        ('[{"name": "path", "string": 7}]', "parameter `path`: has no usable value"),
        ('[{"name": "path", "array": ["a"]}]', "parameter `path`: `path` must be "),
        ('[{"name": "exclude", "map": {"a": "b"}}]', "parameter `exclude`: `exclude` must be "),
        ('[{"name": "pth", "string": "apps/other"}]', "parameter `pth`: unknown key `pth`: did you mean `path`?"),
        ('[{"name": "path", "string": ""}]', "parameter `path`: `path` "),
        ('[{"name": "path", "string": "../x"}]', "parameter `path`: `path` "),
    ],
)
def test_parameters_of_a_wrong_type_are_an_error(plugin: Plugin, checkout: Checkout, text: str, complaint: str) -> None:
    """A parameter that means nothing is never passed over: the author reads which one, and why."""
    error = failure(plugin.client, checkout.root, variables=with_parameters(text))

    assert without_places(error.text).startswith(f"{INIT} 78: error: {complaint}")


def test_an_entry_without_a_name_is_passed_over_by_the_server(
    plugin: Plugin, checkout: Checkout, objects_of_two: None
) -> None:
    """`env: [{value: x}]` in an Application reaches no command."""
    checkout.write({"s3-source.yaml": "bucket: test-bucket\npath: apps/other\n"})

    manifests = plugin.client.generate(checkout.root, variables=[*Application().variables(), ("", "x")])

    assert names(manifests) == ["other"]


@pytest.mark.parametrize("kube_version", ["1.34", "1.34.2", "1.34.2+k3s1", ""])
def test_every_form_of_the_clusters_version_is_taken(
    plugin: Plugin, checkout: Checkout, objects_of_two: None, kube_version: str
) -> None:
    """Argo CD has sent it with two numbers and with three, and lists hundreds of API versions beside it."""
    checkout.write({"s3-source.yaml": "bucket: test-bucket\npath: apps/other\n"})
    versions = [f"group{n}.example.com/v1/Kind{n}" for n in range(2500)]

    manifests = plugin.client.generate(checkout.root, Application(kube_version=kube_version, api_versions=versions))

    assert names(manifests) == ["other"]
