"""How Argo CD finds out that an application is ours: by the plugin's name, by a glob, or by asking a command."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.cmp_client import Application, CmpError
from e2e.cmp_server import wait_until
from e2e.contract import Checkout, Plugin, StartPlugin, failure
from e2e_support import SECRET_KEY

from tools.binaries import ROOT
from tools.live_argocd.deployed import PLUGIN

pytestmark = pytest.mark.e2e

NAMED = ROOT / "deploy" / "components" / "named-plugin" / "plugin.yaml"
ASKING = ROOT / "deploy" / "components" / "discover-command" / "plugin.yaml"
BUILT_IN = sorted(path.name for path in (ROOT / "backends").iterdir() if (path / "pyproject.toml").is_file())
STRANGER = "local"
"""The backend of examples/backend-local, which is installed here and not in the image."""


@pytest.fixture(scope="module")
def named_plugin(start_plugin: StartPlugin) -> Iterator[Plugin]:
    """A server without discovery."""
    with start_plugin(plugin=NAMED) as plugin:
        yield plugin


@pytest.fixture(scope="module")
def asking_plugin(start_plugin: StartPlugin) -> Iterator[Plugin]:
    """A server that asks `cmp-core discover`."""
    with start_plugin(plugin=ASKING) as plugin:
        yield plugin


@pytest.fixture
def empty_checkout(tmp_path: Path) -> Checkout:
    """A checkout whose application's folder holds a README and no trigger file."""
    checkout = Checkout(tmp_path / "checkout")
    checkout.write({"README.md": "# Demo\n"})
    return checkout


def test_the_socket_has_the_name_that_applications_write(plugin: Plugin) -> None:
    """Argo CD dials the socket whose name is that of the plugin in the Application."""
    assert [path.name for path in plugin.server.socket.parent.iterdir()] == ["cmp-core.sock"]


def test_argo_cd_is_told_whether_there_is_discovery(
    plugin: Plugin, named_plugin: Plugin, asking_plugin: Plugin
) -> None:
    """With the image's file, and with the one that asks, there is; nobody wants Git's credentials."""
    told = [each.client.check_plugin_configuration() for each in (plugin, named_plugin, asking_plugin)]

    assert told == [(True, False), (False, False), (True, False)]


@pytest.mark.parametrize("backend", BUILT_IN)
def test_the_trigger_file_of_a_built_in_backend_is_found(
    plugin: Plugin, empty_checkout: Checkout, backend: str
) -> None:
    """One glob knows them all, and no process is started to look."""
    before = len(plugin.server.commands())
    empty_checkout.write({f"{backend}-source.yaml": "# whatever it holds\n"})

    assert plugin.client.match_repository(empty_checkout.root) == (True, True)
    assert len(plugin.server.commands()) == before


@pytest.mark.parametrize(
    "name",
    [
        "foo-source.yaml",
        f"{STRANGER}-source.yaml",
        "s-source.yaml",
        "3-source.yaml",
        "s3-source.yml",
        "S3-source.yaml",
        "my-s3-source.yaml",
        "s3-source.yaml.example",
        "s3-source_yaml",
        "{s3}-source.yaml",
        "sub/s3-source.yaml",
        "../s3-source.yaml",
        "../../s3-source.yaml",
        "kustomization.yaml",
        "Chart.yaml",
    ],
)
def test_no_other_file_makes_an_application_ours(plugin: Plugin, empty_checkout: Checkout, name: str) -> None:
    """Somebody's `foo-source.yaml`, a longer name, another folder's trigger file: all of these are not ours."""
    empty_checkout.write({name: "bucket: test-bucket\npath: apps/demo\n"})

    assert plugin.client.match_repository(empty_checkout.root) == (False, True)


def test_a_trigger_file_among_a_thousand_files_is_found(plugin: Plugin, empty_checkout: Checkout) -> None:
    """The server's glob goes through the application's whole folder, and matches only right below it."""
    empty_checkout.write({f"{n % 20}/s3-source.yaml.{n}": "" for n in range(1000)})

    before = plugin.client.match_repository(empty_checkout.root)
    empty_checkout.write({"s3-source.yaml": ""})
    after = plugin.client.match_repository(empty_checkout.root)

    assert (before, after) == ((False, True), (True, True))


@pytest.mark.parametrize("folder", ["apps/{demo}", "apps/[demo]", "apps/!(demo)"])
def test_a_folder_whose_name_is_a_pattern_is_not_found(plugin: Plugin, empty_checkout: Checkout, folder: str) -> None:
    """The server puts the application's path into its pattern as it is, so such an application is not discovered."""
    path = empty_checkout.root / folder
    path.mkdir()
    (path / "s3-source.yaml").write_text("")

    assert plugin.client.match_repository(empty_checkout.root, Application(path=folder)) == (False, True)


def test_a_folder_called_like_a_variable_shows_its_value_in_argo_cds_log(
    plugin: Plugin, empty_checkout: Checkout
) -> None:
    """The server's glob replaces `$NAME` in the application's path: docs/explanation/security.md says what follows."""
    folder = "apps/$AWS_SECRET_ACCESS_KEY"
    (empty_checkout.root / folder).mkdir()

    with pytest.raises(CmpError, match=f"apps/{SECRET_KEY}"):
        plugin.client.match_repository(empty_checkout.root, Application(path=folder))


def test_without_discovery_nothing_is_matched(named_plugin: Plugin, empty_checkout: Checkout) -> None:
    """The repo-server then takes the plugin for whoever names it, and for nobody else."""
    empty_checkout.write({"s3-source.yaml": ""})

    assert named_plugin.client.match_repository(empty_checkout.root) == (False, False)
    assert named_plugin.server.commands() == []


@pytest.mark.parametrize("backend", [*BUILT_IN, STRANGER])
def test_the_command_finds_every_installed_backend(
    asking_plugin: Plugin, empty_checkout: Checkout, backend: str
) -> None:
    """Who installs a stranger's backend lets Argo CD ask `cmp-core discover`, which knows it."""
    empty_checkout.write({f"{backend}-source.yaml": ""})

    assert asking_plugin.client.match_repository(empty_checkout.root) == (True, True)
    assert asking_plugin.server.commands()[-1].endswith("/cmp-core discover")


@pytest.mark.parametrize("name", ["foo-source.yaml", "s3-source.yml", "sub/s3-source.yaml", "../s3-source.yaml"])
def test_the_command_finds_nothing_else(asking_plugin: Plugin, empty_checkout: Checkout, name: str) -> None:
    """It prints nothing where there is no trigger file of an installed backend."""
    empty_checkout.write({name: ""})

    assert asking_plugin.client.match_repository(empty_checkout.root) == (False, True)


def test_a_strangers_backend_works_from_discovery_to_manifests(
    asking_plugin: Plugin, empty_checkout: Checkout, tmp_path: Path
) -> None:
    """A folder on the sidecar's disk is found and rendered by a backend that the image does not have."""
    source = tmp_path / "manifests"
    source.mkdir()
    (source / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    empty_checkout.write({f"{STRANGER}-source.yaml": f"path: {source}\n"})

    found = asking_plugin.client.match_repository(empty_checkout.root)
    manifests = asking_plugin.client.generate(empty_checkout.root)

    assert found == (True, True)
    assert manifests == ['{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}']
    assert wait_until(asking_plugin.server.has_settled)


def test_a_wrong_setting_is_not_taken_for_an_answer(start_plugin: StartPlugin, empty_checkout: Checkout) -> None:
    """Asked with a wrong setting the command fails, and says which; so does whoever names the plugin."""
    empty_checkout.write({"s3-source.yaml": "bucket: test-bucket\npath: apps/demo\n"})

    with start_plugin(plugin=ASKING, CMP_TIMEOUT="never") as wrong:
        with pytest.raises(CmpError, match="CMP_TIMEOUT"):
            wrong.client.match_repository(empty_checkout.root)
        error = failure(wrong.client, empty_checkout.root)

    assert "failed exit status 78: error: CMP_TIMEOUT" in error.text


def test_an_unknown_key_would_go_unnoticed(start_plugin: StartPlugin, empty_checkout: Checkout, tmp_path: Path) -> None:
    """Argo CD reads a plugin file with `discovery` in place of `discover` without a word: hence test_plugin_yaml.py."""
    misspelt = tmp_path / "plugin.yaml"
    misspelt.write_text(PLUGIN.read_text().replace("  discover:", "  discovery:"))

    with start_plugin(plugin=misspelt) as plugin:
        assert plugin.client.check_plugin_configuration() == (False, False)
