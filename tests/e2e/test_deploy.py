"""The manifests in deploy/, rendered by kustomize on what Argo CD publishes, do what they say and no more."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from block_kinds import blocks_of_kind, completed
from docs_support import Block
from e2e.conformance import conform
from e2e.conftest import Find, give_up
from e2e.contract import Plugin
from pod_security import violations

from tools import argo_cd_manifests, kubernetes_schemas

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
GOLDEN = Path(__file__).resolve().parent.parent / "golden_deploy"
OVERLAYS = sorted(path.name for path in (DEPLOY / "overlays").iterdir())
VERSIONS = ("latest",) if os.environ.get("ARGO_CD_LATEST") else argo_cd_manifests.VERSIONS
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
SOCKET = "/home/argocd/cmp-server/plugins/cmp-core.sock"
EVERYWHERE = {
    ("cmp-core-tmp", "/tmp", False),  # noqa: S108  # the container's own
    ("cmp-core-store", "/var/lib/cmp-core", False),
    ("plugins", "/home/argocd/cmp-server/plugins", False),
    ("var-files", "/var/run/argocd", True),
}
NAMED = ("cmp-core-plugin", "/home/argocd/cmp-server/config", True)
KEYS = ("cmp-core-credentials", "/etc/cmp-core/aws", True)
MOUNTS = {
    "discovery": EVERYWHERE,
    "irsa": EVERYWHERE | {NAMED},
    "localstack": EVERYWHERE | {NAMED, KEYS},
    "minio": EVERYWHERE | {NAMED, KEYS},
    "pod-identity": EVERYWHERE | {NAMED},
    "static-credentials": EVERYWHERE | {NAMED, KEYS},
}

Objects = Mapping[tuple[str, str], Mapping[str, Any]]

every_version = pytest.mark.parametrize("version", VERSIONS)
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@cache
def module(version: str) -> zipfile.Path:
    """Return the root of Argo CD's module; without Go the test is skipped, and fails where CI=true."""
    return argo_cd_manifests.find_module(version) or give_up("the manifests of Argo CD come by Go, which is not here")


def read_objects(text: str) -> Objects:
    """Return manifests by kind and name."""
    documents = [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@cache
def published(version: str) -> Objects:
    """Return what Argo CD publishes."""
    return read_objects(argo_cd_manifests.install_manifest(module(version)))


class Renderer:
    """Renders overlays on what Argo CD publishes, each of them once."""

    def __init__(self, kustomize: Path, folder: Path) -> None:
        """Keep what is needed; a copy of deploy/ for each version goes into the folder."""
        self._kustomize = kustomize
        self._folder = folder
        self._rendered: dict[tuple[str, str], tuple[str, Objects]] = {}

    def text(self, version: str, folder: str) -> str:
        """Return all manifests that a folder of deploy/ stands for."""
        return self._render(version, folder)[0]

    def objects(self, version: str, folder: str) -> Objects:
        """Return them by kind and name."""
        return self._render(version, folder)[1]

    def copy(self, version: str) -> Path:
        """Return a copy of deploy/ in which Argo CD's manifests come from its module instead of the network."""
        copy = self._folder / version
        if not copy.exists():
            manifest = argo_cd_manifests.install_manifest(module(version))
            shutil.copytree(DEPLOY, copy)
            (copy / "argo-cd" / "install.yaml").write_text(manifest, encoding="utf-8")
            base = copy / "argo-cd" / "kustomization.yaml"
            kept = base.read_text(encoding="utf-8").splitlines()[:-1]
            base.write_text("\n".join([*kept, "  - install.yaml", ""]), encoding="utf-8")
        return copy

    def build(self, folder: Path) -> str:
        """Return what kustomize makes of a folder."""
        command: list[str | Path] = [self._kustomize, "build", folder]
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    def _render(self, version: str, folder: str) -> tuple[str, Objects]:
        if (version, folder) not in self._rendered:
            text = self.build(self.copy(version) / folder)
            self._rendered[version, folder] = text, read_objects(text)
        return self._rendered[version, folder]


@pytest.fixture(scope="session")
def renderer(tool: Find, tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """What renders the overlays of the whole run."""
    return Renderer(tool("kustomize"), tmp_path_factory.mktemp("deploy"))


@pytest.fixture(scope="session")
def schemas(kubernetes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """The folders of Kubernetes' schemas, and of those of Argo CD's kinds, made of its own definitions."""
    folder = tmp_path_factory.mktemp("schemas")
    for (kind, _), definition in published(VERSIONS[0]).items():
        if kind == "CustomResourceDefinition":
            kubernetes_schemas.write_custom_schemas(definition, folder)
    return kubernetes_folder, folder


def pod_of(objects: Objects) -> dict[str, Any]:
    """Return the repo-server's pod."""
    pod: dict[str, Any] = objects["Deployment", "argocd-repo-server"]["spec"]["template"]["spec"]
    return pod


def container_of(pod: Mapping[str, Any], name: str = "cmp-core") -> dict[str, Any]:
    """Return one container of a pod."""
    (container,) = (container for container in pod["containers"] if container["name"] == name)
    return dict(container)


def added(before: Any, after: Any) -> Any:
    """Return what is only in the second: keys and values of mappings, items of lists by their names."""
    if isinstance(before, dict) and isinstance(after, dict):
        kept = {key: value if key not in before else added(before[key], value) for key, value in after.items()}
        return {key: value for key, value in kept.items() if key not in before or value not in (None, {}, [])}
    if isinstance(before, list) and isinstance(after, list):
        known = {name_of(item): item for item in before}
        pairs = [(known.get(name_of(item)) if name_of(item) else None, item) for item in after if item not in before]
        changes = [(old, item, added(old, item)) for old, item in pairs]
        return [item if old is None else {"name": item["name"], **new} for old, item, new in changes if new]
    return None if before == after else after


def name_of(item: Any) -> str:
    """Return the name of a list's item, empty if it has none."""
    return str(item.get("name", "")) if isinstance(item, dict) else ""


def changes_of(before: Objects, after: Objects) -> list[Any]:
    """Return what an overlay adds: new objects as they are, of the others kind, name and what is new in them."""
    found = []
    for key, thing in sorted(after.items()):
        if key not in before:
            found.append(thing)
        elif change := added(before[key], thing):
            found.append({"kind": key[0], "name": key[1], **change})
    return found


@every_version
@every_overlay
def test_an_overlay_adds_what_is_written_and_takes_nothing_away(renderer: Renderer, version: str, overlay: str) -> None:
    """What it changes of Argo CD is the golden file, the same for every version; nothing of Argo CD's own is lost.

    After a change that is meant, `UPDATE_GOLDEN=1` writes what came out.
    """
    before, after = renderer.objects(version, "argo-cd"), renderer.objects(version, f"overlays/{overlay}")
    golden = GOLDEN / f"{overlay}.yaml"

    told = yaml.safe_dump_all(changes_of(before, after), sort_keys=True, width=120)

    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8")
    assert changes_of(after, before) == []


@every_version
@every_overlay
def test_kubernetes_takes_an_overlay(
    renderer: Renderer, tool: Find, schemas: Sequence[Path], version: str, overlay: str
) -> None:
    """By its own schemas, in which no unknown key is allowed; nothing is left out."""
    judged = conform(tool("kubeconform"), renderer.text(version, f"overlays/{overlay}"), *schemas)

    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Invalid: 0, Errors: 0, Skipped: 0" in judged.stdout
    assert "Valid: 0" not in judged.stdout


EXAMPLES = sorted([*(DEPLOY / "examples").iterdir(), *ROOT.glob("examples/*/application*.yaml")])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_argo_cd_takes_the_examples(tool: Find, schemas: Sequence[Path], example: Path) -> None:
    """By the definitions that it publishes, without unknown keys; and a misspelt key is one."""
    text = example.read_text(encoding="utf-8")

    judged = conform(tool("kubeconform"), text, *schemas)
    misspelt = conform(tool("kubeconform"), text.replace("\nspec:\n", "\nspec:\n  sourceRepositories: []\n"), *schemas)

    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Valid: 1, Invalid: 0, Errors: 0, Skipped: 0" in judged.stdout
    assert misspelt.returncode == 1
    assert "sourceRepositories" in misspelt.stdout


@every_version
@every_overlay
def test_the_pod_is_restricted(renderer: Renderer, version: str, overlay: str) -> None:
    """The whole pod, with what the overlay adds, satisfies the level `restricted` of Kubernetes' pod security."""
    assert violations(pod_of(renderer.objects(version, f"overlays/{overlay}"))) == []


@every_version
@every_overlay
def test_the_sidecar_mounts_no_more_than_it_needs(renderer: Renderer, version: str, overlay: str) -> None:
    """Exactly these volumes, and of them only three to write to; nothing of the repo-server's but its sockets."""
    pod = pod_of(renderer.objects(version, f"overlays/{overlay}"))
    sidecar = container_of(pod)

    mounts = {(mount["name"], mount["mountPath"], mount.get("readOnly", False)) for mount in sidecar["volumeMounts"]}

    assert mounts == MOUNTS[overlay]
    shared = {mount["name"] for mount in container_of(pod, "argocd-repo-server")["volumeMounts"]}
    assert shared & {name for name, _, _ in mounts} == {"plugins"}
    assert not any("subPath" in mount or "mountPropagation" in mount for mount in sidecar["volumeMounts"])
    assert pod["automountServiceAccountToken"] is False
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert all("sizeLimit" in volumes[name]["emptyDir"] for name in ("cmp-core-tmp", "cmp-core-store"))


@every_version
@every_overlay
def test_no_secret_is_a_variable(renderer: Renderer, version: str, overlay: str) -> None:
    """A folder's name can bring a variable into Argo CD's log while discovery is on, so none holds a secret."""
    sidecar = container_of(pod_of(renderer.objects(version, f"overlays/{overlay}")))

    assert all(set(variable) == {"name", "value"} for variable in sidecar["env"])
    assert "envFrom" not in sidecar
    assert {variable["name"] for variable in sidecar["env"]} <= {
        "AWS_ENDPOINT_URL_S3",
        "AWS_REGION",
        "AWS_SHARED_CREDENTIALS_FILE",
        "CMP_STATE_DIRECTORY",
        "CMP_TIMEOUT",
    }


@every_version
def test_argo_cd_reads_every_command_parameter(version: str) -> None:
    """Argo CD ignores an unknown key of the ConfigMap without a word; its own manifests say which ones it knows."""
    manifest = argo_cd_manifests.install_manifest(module(version))
    path = DEPLOY / "components" / "command-parameters" / "argocd-cmd-params-cm.yaml"

    keys = yaml.safe_load(path.read_text(encoding="utf-8"))["data"]

    assert keys
    assert [key for key in keys if f"key: {key}\n" not in manifest] == []


@every_version
def test_argo_cd_reads_the_variables_of_the_repo_server(version: str) -> None:
    """The names that no manifest of Argo CD lists stand in its code."""
    patch = yaml.safe_load((DEPLOY / "components" / "sidecar" / "repo-server.yaml").read_text(encoding="utf-8"))
    container = container_of(patch["spec"]["template"]["spec"], "argocd-repo-server")
    names = [variable["name"] for variable in container["env"]]
    code = (module(version) / "common" / "common.go").read_text(encoding="utf-8")

    assert names
    assert [name for name in names if f'"{name}"' not in code] == []


@pytest.mark.parametrize("block", blocks_of_kind("a kustomization"), ids=str)
def test_the_documentation_shows_what_kustomize_takes(
    renderer: Renderer, tool: Find, schemas: Sequence[Path], block: Block
) -> None:
    """A kustomization, laid where its first line says, gives the sidecar the image that it names."""
    folder = renderer.copy(VERSIONS[0]) / Path(block.title).relative_to("deploy").parent
    folder.mkdir(exist_ok=True)
    (folder / "kustomization.yaml").write_text(block.text, encoding="utf-8")

    built = renderer.build(folder)

    (image,) = yaml.safe_load(block.text)["images"]
    assert container_of(pod_of(read_objects(built)))["image"] == f"{image['newName']}:{image['newTag']}"
    judged = conform(tool("kubeconform"), built, *schemas)
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.parametrize("block", blocks_of_kind("manifests"), ids=str)
def test_kubernetes_takes_the_manifests_of_the_documentation(tool: Find, schemas: Sequence[Path], block: Block) -> None:
    """Whoever copies a manifest gets one that has no unknown key, be it Kubernetes' own or Argo CD's."""
    assert_conformant(tool("kubeconform"), block.text, schemas)


@pytest.mark.parametrize("block", blocks_of_kind("a part of a manifest"), ids=str)
def test_kubernetes_takes_a_manifest_with_a_part_of_the_documentation(
    tool: Find, schemas: Sequence[Path], block: Block
) -> None:
    """So does whoever copies a part of one into the manifest that it belongs to."""
    assert_conformant(tool("kubeconform"), completed(block), schemas)


def assert_conformant(kubeconform: Path, manifests: str, schemas: Sequence[Path]) -> None:
    """Fail where a manifest is not taken, and where one with an unknown key would be."""
    judged = conform(kubeconform, manifests, *schemas)
    misspelt = conform(kubeconform, re.sub(r"(?m)^kind:", "kinds: []\nkind:", manifests), *schemas)

    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Skipped: 0" in judged.stdout
    assert misspelt.returncode != 0


@pytest.mark.parametrize("component", ["named-plugin", "discover-command"])
def test_a_component_mounts_its_plugin_file(renderer: Renderer, component: str) -> None:
    """The file of the component, and no other, is what `argocd-cmp-server` reads in the sidecar."""
    folder = renderer.copy(VERSIONS[0]) / "overlays" / f"with-{component}"
    shutil.copytree(folder.with_name("pod-identity"), folder)
    kustomization = folder / "kustomization.yaml"
    text = kustomization.read_text(encoding="utf-8")
    kustomization.write_text(text.replace("components/named-plugin", f"components/{component}"), encoding="utf-8")

    objects = read_objects(renderer.build(folder))

    (mounted,) = [item for item in pod_of(objects)["volumes"] if item["name"] == NAMED[0]]
    content = objects["ConfigMap", mounted["configMap"]["name"]]["data"]
    assert content == {"plugin.yaml": (DEPLOY / "components" / component / "plugin.yaml").read_text(encoding="utf-8")}
    mounts = {item["mountPath"]: item["name"] for item in container_of(pod_of(objects))["volumeMounts"]}
    assert mounts["/home/argocd/cmp-server/config"] == NAMED[0]


@every_overlay
def test_helm_gets_what_kustomize_makes(renderer: Renderer, overlay: str) -> None:
    """Container and volumes in the values are those of the overlays, but for what tells these from each other."""
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text(encoding="utf-8"))["repoServer"]
    pod = pod_of(renderer.objects(VERSIONS[0], f"overlays/{overlay}"))
    own = {
        "env": {"CMP_STATE_DIRECTORY", "CMP_TIMEOUT"},
        "volumeMounts": {name for name, _, _ in EVERYWHERE | ({NAMED} & MOUNTS[overlay])},
    }

    (sidecar,) = values["extraContainers"]

    rendered = container_of(pod)
    for key, names in own.items():
        rendered[key] = sorted((item for item in rendered[key] if item["name"] in names), key=name_of)
        sidecar[key] = sorted((item for item in sidecar[key] if item["name"] in names), key=name_of)
    assert rendered == sidecar
    assert all(variable in container_of(pod, "argocd-repo-server")["env"] for variable in values["env"])
    assert {item["name"] for item in values["volumes"]} == {name for name, _, _ in EVERYWHERE | {NAMED}} - {
        "plugins",
        "var-files",
    }


@pytest.fixture(scope="module")
def probe() -> list[str]:
    """The command of the sidecar's probes, by the Python of these tests."""
    patch = yaml.safe_load((DEPLOY / "components" / "sidecar" / "repo-server.yaml").read_text(encoding="utf-8"))
    sidecar = container_of(patch["spec"]["template"]["spec"])
    first, *others = [sidecar[name]["exec"]["command"] for name in PROBES]
    assert others == [first, first]
    return [sys.executable, *first[1:]]


def run_probe(probe: Sequence[str], address: Path) -> int:
    """Return the exit code of a probe that asks this socket."""
    assert SOCKET in probe[-1]
    command = [*probe[:-1], probe[-1].replace(SOCKET, str(address))]
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode


def test_a_probe_finds_the_genuine_server(probe: Sequence[str], plugin: Plugin) -> None:
    """And finds it again: asking leaves nothing behind that would be in the way."""
    assert [run_probe(probe, plugin.server.socket) for _ in range(3)] == [0, 0, 0]


def test_a_probe_fails_without_a_server(probe: Sequence[str], tmp_path: Path) -> None:
    """Where there is no socket, as after SIGTERM, which removes it."""
    assert run_probe(probe, tmp_path / "none.sock") == 1


@pytest.fixture
def strange_server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A socket that takes connections, answers these bytes, and closes where there are any."""
    address = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(request.param)
                while connection.recv(1024) and not request.param:
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        yield address
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "strange_server", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], indirect=True, ids=["mute", "another"]
)
def test_a_probe_fails_with_what_does_not_speak_grpc(probe: Sequence[str], strange_server: Path) -> None:
    """A socket that takes connections is not enough: a mute one would hang every request until its deadline."""
    assert run_probe(probe, strange_server) == 1


def test_what_an_overlay_takes_away_would_be_seen() -> None:
    """The comparison that the golden files rest on tells a lost key and a lost item of a list."""
    whole = {("A", "a"): {"metadata": {"name": "a"}, "spec": {"list": [{"name": "x", "b": 1}, {"name": "y"}], "c": 2}}}
    less = json.loads(json.dumps(whole["A", "a"]))
    del less["spec"]["c"], less["spec"]["list"][0]["b"], less["spec"]["list"][1]

    lost = changes_of({("A", "a"): less}, whole)

    assert lost == [{"kind": "A", "name": "a", "spec": {"list": [{"name": "x", "b": 1}, {"name": "y"}], "c": 2}}]
    assert changes_of(whole, {("A", "a"): less}) == []
