"""What can be said of the manifests in deploy/ without rendering them: they fit the code, the figures and each other.

`tests/e2e/test_deploy.py` renders them.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_support import DOCS, PAGES, ROOT
from pod_security import violations

from cmp_core.settings import Settings
from tools.binaries import ARGO_CD_VERSION
from tools.release import read_project

DEPLOY = ROOT / "deploy"
COMPONENTS = DEPLOY / "components"
OVERLAYS = sorted(path.name for path in (DEPLOY / "overlays").iterdir())
UNITS = {"Mi": 2**20, "Gi": 2**30}
MEGABYTE = 10**6


def read(path: Path) -> dict[str, Any]:
    """Return a manifest's content."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def pod_of(component: str) -> dict[str, Any]:
    """Return what a component patches into the repo-server's pod."""
    pod: dict[str, Any] = read(COMPONENTS / component / "repo-server.yaml")["spec"]["template"]["spec"]
    return pod


def sidecar_of(component: str) -> dict[str, Any]:
    """Return what a component says of the sidecar."""
    (sidecar,) = (container for container in pod_of(component)["containers"] if container["name"] == "cmp-core")
    return dict(sidecar)


def in_bytes(quantity: str) -> int:
    """Return a quantity of Kubernetes in bytes."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


def figure(page: str, pattern: str) -> int:
    """Return a figure that a page of the documentation reports, in MB."""
    found = re.search(pattern, (DOCS / "explanation" / page).read_text(encoding="utf-8"))
    assert found, f"docs/explanation/{page} has no {pattern}"
    return int(found[1])


def test_the_helm_values_are_fresh() -> None:
    """Whoever changes a component is told to write the values anew."""
    command = [sys.executable, "-m", "tools.helm_values", "--check"]

    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)

    assert (result.returncode, result.stderr) == (0, "")


def test_stale_helm_values_are_told_with_the_command_that_mends_them(tmp_path: Path) -> None:
    """Both where a component has changed and where the file is missing."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "helm_values.py", tmp_path / "tools")
    patch = tmp_path / "deploy" / "components" / "sidecar" / "repo-server.yaml"
    patch.write_text(patch.read_text(encoding="utf-8").replace("memory: 1Gi", "memory: 2Gi"), encoding="utf-8")
    command = [sys.executable, "-m", "tools.helm_values"]

    stale = subprocess.run([*command, "--check"], cwd=tmp_path, check=False, capture_output=True, text=True)
    subprocess.run(command, cwd=tmp_path, check=True)
    fresh = subprocess.run([*command, "--check"], cwd=tmp_path, check=False, capture_output=True, text=True)

    assert (stale.returncode, stale.stderr) == (1, "deploy/helm/values.yaml is stale: run `make helm-values`\n")
    assert fresh.returncode == 0
    assert "memory: 2Gi" in (tmp_path / "deploy" / "helm" / "values.yaml").read_text(encoding="utf-8")


def test_the_overlays_build_upon_the_version_that_is_tested() -> None:
    """The manifest that they name is of the version whose servers the tests run."""
    (resource,) = read(DEPLOY / "argo-cd" / "kustomization.yaml")["resources"]

    assert resource.startswith("https://raw.githubusercontent.com/argoproj/argo-cd/")
    assert resource.endswith(f"/v{ARGO_CD_VERSION}/manifests/install.yaml")


def test_the_image_is_of_this_version() -> None:
    """The sidecar's tag is the version in pyproject.toml."""
    version = read_project(ROOT)["version"]

    assert sidecar_of("sidecar")["image"] == f"registry.example.com/cmp-core:{version}"
    for overlay in OVERLAYS:
        (image,) = read(DEPLOY / "overlays" / overlay / "kustomization.yaml")["images"]
        assert image["newTag"] == version


def test_the_limit_of_memory_holds_what_was_measured() -> None:
    """Thirty requests at once and the server fit in, and the request covers a busy sidecar."""
    resources = sidecar_of("sidecar")["resources"]
    crowd = figure("performance.md", r"\| the default, twice the cores \| \d+ MB \| (\d+) MB \|")
    busy = figure("soak.md", r"\| memory of all processes of cmp-core at once \(PSS\), the most \| (\d+) MB \|")
    server = figure("soak.md", r"\| memory of argocd-cmp-server, [^|]+\| \d+ and (\d+) MB \|")

    assert in_bytes(resources["limits"]["memory"]) >= (crowd + server) * MEGABYTE
    assert in_bytes(resources["requests"]["memory"]) >= (busy + server) * MEGABYTE


def test_the_limit_of_cpu_is_what_the_figures_were_measured_on() -> None:
    """The slots follow from the cores, and the memory from the slots."""
    cores = int(sidecar_of("sidecar")["resources"]["limits"]["cpu"])

    for page in ("performance.md", "soak.md"):
        assert figure(page, r"- (\d+) cores of ") == cores


def test_the_volumes_hold_what_the_settings_allow() -> None:
    """The store with what it may be over its size for a while, and in /tmp the largest source of every slot."""
    volumes = {volume["name"]: in_bytes(volume["emptyDir"]["sizeLimit"]) for volume in pod_of("sidecar")["volumes"]}
    slots = 2 * int(sidecar_of("sidecar")["resources"]["limits"]["cpu"])

    assert volumes["cmp-core-store"] >= 1.5 * Settings().store_bytes
    assert volumes["cmp-core-tmp"] >= 2 * slots * Settings().limits.total_bytes


def test_the_time_outs_fit_each_other() -> None:
    """cmp-core ends at three quarters of Argo CD's time at the latest, as by default."""
    parameters = read(COMPONENTS / "command-parameters" / "argocd-cmd-params-cm.yaml")["data"]
    (variable,) = sidecar_of("command-parameters")["env"]
    given = [int(value) for key, value in parameters.items() if key.endswith("timeout.seconds")]

    assert variable["name"] == "CMP_TIMEOUT"
    assert len(given) == 3
    assert int(variable["value"]) <= 0.75 * min(given)
    assert Settings().timeout <= 0.75 * 60


def test_no_secret_lies_in_the_manifests_but_the_one_that_is_none() -> None:
    """LocalStack takes any key, and so the overlay for it has the usual one."""
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]

    holding = [path for path in files if "aws_secret_access_key" in path.read_text(encoding="utf-8").lower()]

    assert holding == [DEPLOY / "overlays" / "localstack" / "credentials"]
    assert set(re.findall(r"= (\w+)", holding[0].read_text(encoding="utf-8"))) == {"test"}


def test_every_overlay_is_explained_and_held_by_a_golden_file() -> None:
    """The how-to lists overlays and components, and no golden file is left over."""
    page = (DOCS / "how-to" / "install-as-sidecar.md").read_text(encoding="utf-8")
    golden = sorted(path.stem for path in (ROOT / "tests" / "golden_deploy").iterdir())

    rows = re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)

    assert sorted(rows) == sorted([*OVERLAYS, *(path.name for path in COMPONENTS.iterdir())])
    assert golden == OVERLAYS


@pytest.mark.parametrize("page", [*PAGES, ROOT / "plugin.yaml"], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_paths_in_deploy_that_are_named_exist(page: Path) -> None:
    """A page names no manifest that has been moved; `overlays/ours` is the reader's own."""
    named = re.findall(r"(?<![\w/.-])deploy/[\w./-]*\w", page.read_text(encoding="utf-8"))
    ours = [path for path in named if path.split("/")[1] in {"argo-cd", "components", "examples", "helm", "overlays"}]

    assert [path for path in ours if not path.startswith("deploy/overlays/ours") and not (ROOT / path).exists()] == []


def restricted() -> dict[str, Any]:
    """Return a pod of the sidecar and its volumes alone."""
    return {"containers": [sidecar_of("sidecar")], "volumes": pod_of("sidecar")["volumes"]}


def test_the_sidecar_satisfies_the_level_restricted() -> None:
    """By itself, whatever the rest of the pod says."""
    assert violations(restricted()) == []


@pytest.mark.parametrize(
    ("part", "change", "found"),
    [
        ("pod", {"hostNetwork": True}, "pod: hostNetwork"),
        ("pod", {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "volume v: hostPath"),
        ("pod", {"securityContext": {"sysctls": [{"name": "a.b"}]}}, "pod: sysctl a.b"),
        ("container", {"ports": [{"hostPort": 1}]}, "cmp-core: hostPort"),
        ("container", {"livenessProbe": {"tcpSocket": {"host": "10.0.0.1", "port": 1}}}, "cmp-core: probe.host"),
        ("context", {"privileged": True}, "cmp-core: privileged"),
        ("context", {"allowPrivilegeEscalation": True}, "cmp-core: allowPrivilegeEscalation"),
        ("context", {"capabilities": {"drop": ["KILL"]}}, "cmp-core: capabilities.drop"),
        ("context", {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}, "cmp-core: capabilities.add"),
        ("context", {"runAsNonRoot": False}, "cmp-core: runAsNonRoot"),
        ("context", {"runAsUser": 0}, "cmp-core: runAsUser"),
        ("context", {"seccompProfile": {}}, "cmp-core: seccompProfile"),
        ("context", {"seccompProfile": {"type": "Unconfined"}}, "cmp-core: seccompProfile"),
        ("context", {"appArmorProfile": {"type": "Unconfined"}}, "cmp-core: appArmorProfile"),
        ("context", {"seLinuxOptions": {"type": "spc_t"}}, "cmp-core: seLinuxOptions.type"),
        ("context", {"seLinuxOptions": {"user": "root"}}, "cmp-core: seLinuxOptions"),
        ("context", {"procMount": "Unmasked"}, "cmp-core: procMount"),
        ("context", {"windowsOptions": {"hostProcess": True}}, "cmp-core: hostProcess"),
    ],
)
def test_what_is_not_restricted_is_told(part: str, change: dict[str, Any], found: str) -> None:
    """Each rule of the standard can fail."""
    pod = restricted()
    (container,) = pod["containers"]
    parts = {"pod": pod, "container": container, "context": container["securityContext"]}

    parts[part].update(change)

    assert violations(pod) == [found]


def test_a_container_that_says_nothing_is_not_restricted() -> None:
    """What Kubernetes assumes of it is what the level forbids."""
    assert violations({"containers": [{"name": "a"}]}) == [
        "a: allowPrivilegeEscalation",
        "a: capabilities.drop",
        "a: runAsNonRoot",
        "a: seccompProfile",
    ]
