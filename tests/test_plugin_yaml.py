"""The plugin.yaml files hold to Argo CD's contract, which its own lenient reader does not check."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DISCOVERING = ROOT / "plugin.yaml"
NAMED = ROOT / "deploy" / "components" / "named-plugin" / "plugin.yaml"
ASKING = ROOT / "deploy" / "components" / "discover-command" / "plugin.yaml"
COMMAND_KEYS = {"command", "args"}
SPEC_KEYS: dict[str, set[str]] = {
    "discover": {"find"},
    "generate": COMMAND_KEYS,
    "init": COMMAND_KEYS,
    "parameters": {"static", "dynamic"},
}

every = pytest.mark.parametrize("path", [DISCOVERING, NAMED, ASKING], ids=["discovering", "named", "asking"])


def read(path: Path) -> dict[str, Any]:
    """Return the plugin file's content."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def commands(path: Path) -> list[list[str]]:
    """Return every command line of the plugin file."""
    spec = read(path)["spec"]
    parts = [spec["init"], spec["generate"], spec["parameters"]["dynamic"]]
    find = spec.get("discover", {}).get("find", {})
    return [part["command"] + part.get("args", []) for part in [*parts, *([find] if "command" in find else [])]]


@every
def test_a_plugin_file_holds_only_keys_that_argo_cd_knows(path: Path) -> None:
    """Argo CD ignores an unknown key without a word, so a typing mistake has to be found here."""
    content = read(path)

    assert set(content) == {"apiVersion", "kind", "metadata", "spec"}
    assert (content["apiVersion"], content["kind"]) == ("argoproj.io/v1alpha1", "ConfigManagementPlugin")
    assert set(content["metadata"]) == {"name"}
    assert set(content["spec"]) <= set(SPEC_KEYS)
    for key, part in content["spec"].items():
        assert set(part) <= SPEC_KEYS[key]


@every
def test_the_plugin_is_called_what_applications_call_it(path: Path) -> None:
    """Argo CD finds the socket by the plugin's name; spec.version would become part of it."""
    application = yaml.safe_load((ROOT / "examples" / "quickstart" / "application.yaml").read_text())

    name = read(path)["metadata"]["name"]

    assert name == application["spec"]["source"]["plugin"]["name"] == "cmp-core"
    assert "version" not in read(path)["spec"]


@every
def test_every_command_is_the_console_script_by_its_absolute_path(path: Path) -> None:
    """A relative path, a shell or `python -m` would let the application's repository choose what runs."""
    for command in commands(path):
        assert command[0] == "/opt/cmp-core/bin/cmp-core"
        assert len(command) == 2


@every
def test_every_command_exists(path: Path) -> None:
    """A renamed subcommand would otherwise be noticed only in the cluster."""
    script = Path(sys.executable).parent / "cmp-core"

    for _, subcommand in commands(path):
        result = subprocess.run([script, subcommand, "--help"], check=False, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert f"cmp-core {subcommand}" in result.stdout


def test_discovery_finds_the_trigger_files_of_the_built_in_backends_and_no_other() -> None:
    """The braces name every distribution below backends/, by the entry point that it declares, once and in order."""
    projects = [tomllib.loads(path.read_text()) for path in ROOT.glob("backends/*/pyproject.toml")]
    built_in = sorted(name for project in projects for name in project["project"]["entry-points"]["cmp_core"])

    discover = read(DISCOVERING)["spec"]["discover"]

    assert built_in
    assert discover == {"find": {"glob": f"{{{','.join(built_in)}}}-source.yaml"}}
    assert all(name.isalnum() for name in built_in)


def test_the_quick_start_is_discovered() -> None:
    """The example's folder holds a trigger file of a built-in backend, which is installed."""
    (trigger,) = (ROOT / "examples" / "quickstart" / "app").iterdir()
    glob = read(DISCOVERING)["spec"]["discover"]["find"]["glob"]

    backend = trigger.name.removesuffix("-source.yaml")

    assert backend in glob[1 : glob.index("}")].split(",")
    assert backend in entry_points(group="cmp_core").names


def test_the_plugin_files_differ_in_discovery_alone() -> None:
    """Three files with one content drift apart unless a test compares them."""
    discovering, named, asking = (read(path)["spec"] for path in (DISCOVERING, NAMED, ASKING))

    assert "discover" not in named
    assert asking.pop("discover") == {"find": {"command": ["/opt/cmp-core/bin/cmp-core", "discover"]}}
    assert discovering.pop("discover")
    assert discovering == named == asking


def test_the_image_holds_the_command_and_the_plugin_file_where_they_are_looked_for() -> None:
    """The Dockerfile and plugin.yaml name the same folders."""
    instructions = (ROOT / "Dockerfile").read_text()
    venv = str(Path(commands(DISCOVERING)[0][0]).parent.parent)

    assert f"COPY --from=builder {venv} {venv}\n" in instructions
    assert "COPY plugin.yaml /home/argocd/cmp-server/config/plugin.yaml\n" in instructions
    assert "\nUSER 999:999\n" in instructions


def test_the_image_needs_no_shell() -> None:
    """The last stage begins with nothing and runs nothing, and the entry point stands as a list."""
    instructions = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    last = instructions[instructions.rindex("\nFROM ") :].splitlines()

    running = [line.split(maxsplit=1) for line in last if line.startswith(("RUN", "CMD", "ENTRYPOINT"))]

    assert "FROM scratch" in last
    assert [name for name, _ in running] == ["ENTRYPOINT"]
    assert isinstance(json.loads(running[0][1]), list)
