"""The plugin.yaml files hold to Argo CD's contract, which its own lenient reader does not check."""

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DISCOVERING = ROOT / "plugin.yaml"
NAMED = ROOT / "deploy" / "plugin-named.yaml"
COMMAND_KEYS = {"command", "args"}
SPEC_KEYS: dict[str, set[str]] = {
    "discover": {"fileName", "find"},
    "generate": COMMAND_KEYS,
    "init": COMMAND_KEYS,
    "parameters": {"static", "dynamic"},
}

both = pytest.mark.parametrize("path", [DISCOVERING, NAMED], ids=["discovering", "named"])


def read(path: Path) -> dict[str, Any]:
    """Return the plugin file's content."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def commands(path: Path) -> list[list[str]]:
    """Return every command line of the plugin file."""
    spec = read(path)["spec"]
    return [
        part["command"] + part.get("args", [])
        for part in (spec["init"], spec["generate"], spec["parameters"]["dynamic"])
    ]


@both
def test_a_plugin_file_holds_only_keys_that_argo_cd_knows(path: Path) -> None:
    """Argo CD ignores an unknown key without a word, so a typing mistake has to be found here."""
    content = read(path)

    assert set(content) == {"apiVersion", "kind", "metadata", "spec"}
    assert (content["apiVersion"], content["kind"]) == ("argoproj.io/v1alpha1", "ConfigManagementPlugin")
    assert set(content["metadata"]) == {"name"}
    assert set(content["spec"]) <= set(SPEC_KEYS)
    for key, part in content["spec"].items():
        assert set(part) <= SPEC_KEYS[key]


@both
def test_the_plugin_is_called_what_applications_call_it(path: Path) -> None:
    """Argo CD finds the socket by the plugin's name; spec.version would become part of it."""
    application = yaml.safe_load((ROOT / "examples" / "quickstart" / "application.yaml").read_text())

    name = read(path)["metadata"]["name"]

    assert name == application["spec"]["source"]["plugin"]["name"] == "cmp-core"
    assert "version" not in read(path)["spec"]


@both
def test_every_command_is_the_console_script_by_its_absolute_path(path: Path) -> None:
    """A relative path, a shell or `python -m` would let the application's repository choose what runs."""
    for command in commands(path):
        assert command[0] == "/opt/cmp-core/bin/cmp-core"
        assert len(command) == 2


@both
def test_every_command_exists(path: Path) -> None:
    """A renamed subcommand would otherwise be noticed only in the cluster."""
    script = Path(sys.executable).parent / "cmp-core"

    for _, subcommand in commands(path):
        result = subprocess.run([script, subcommand, "--help"], check=False, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert f"cmp-core {subcommand}" in result.stdout


def test_discovery_looks_for_the_trigger_file_of_an_installed_backend() -> None:
    """The file that Argo CD looks for is the one that the host reads."""
    file_name = read(DISCOVERING)["spec"]["discover"]["fileName"]

    assert file_name == "s3-source.yaml"
    assert file_name.removesuffix("-source.yaml") in entry_points(group="cmp_core").names
    assert (ROOT / "examples" / "quickstart" / "app" / file_name).is_file()


def test_the_named_plugin_differs_in_discovery_alone() -> None:
    """Two files with one content drift apart unless a test compares them."""
    discovering, named = read(DISCOVERING), read(NAMED)

    assert "discover" not in named["spec"]
    del discovering["spec"]["discover"]
    assert discovering == named


def test_the_image_holds_the_command_and_the_plugin_file_where_they_are_looked_for() -> None:
    """The Dockerfile and plugin.yaml name the same folders."""
    instructions = (ROOT / "Dockerfile").read_text()
    venv = str(Path(commands(DISCOVERING)[0][0]).parent.parent)

    assert f"COPY --from=builder {venv} {venv}\n" in instructions
    assert "COPY plugin.yaml /home/argocd/cmp-server/config/plugin.yaml\n" in instructions
    assert "\nUSER 999:999\n" in instructions


def test_the_image_needs_no_shell() -> None:
    """Steps and entry point stand as lists, which run where the base has no /bin/sh."""
    instructions = (ROOT / "Dockerfile").read_text().replace("\\\n", "").splitlines()

    running = [line.split(maxsplit=1) for line in instructions if line.startswith(("RUN", "CMD", "ENTRYPOINT"))]

    assert running
    for _, command in running:
        assert isinstance(json.loads(command), list)
