"""The demo on KIND: its scripts run from end to end with stand-ins, its manifests are judged by Kubernetes' schemas.

There is no container runtime in these tests. The command lines are checked by the genuine kind and kubectl, the objects
lie in an S3 server, and the genuine cmp-core reads them.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from e2e import kind_programs
from e2e.conformance import conform
from e2e.conftest import Find, give_up
from e2e_support import S3Server
from pod_security import violations

from tools import argo_cd_manifests, binaries, kind_bucket, kubernetes_schemas
from tools.demo import serve_s3
from tools.processes import accepts, free_port, serve

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent.parent
KIND = ROOT / "deploy" / "kind"
OBJECTS = ROOT / "examples" / "quickstart" / "objects"
VERSIONS = argo_cd_manifests.VERSIONS
Run = Callable[..., "Result"]


class Result(NamedTuple):
    """How a script ended, and the books that the stand-ins kept."""

    code: int
    stdout: str
    stderr: str
    cluster: Mapping[str, Any]
    calls: Sequence[Sequence[str]]


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The URL of an empty S3 server that takes any key, as LocalStack does: moto, whose servers share their buckets."""
    with serve_s3() as url:
        S3Server(url, kind_bucket.connect(url)).clear()
        yield url


@pytest.fixture
def run(endpoint: str, tmp_path: Path) -> Run:
    """A function that runs one of the scripts with the stand-ins, a wait of five seconds and perhaps a fault."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("docker", "kind", "kubectl"):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable!r} {kind_programs.__file__!r} {name} "$@"\n')
        script.chmod(0o755)
    facts = {
        "folder": str(tmp_path),
        "endpoint": endpoint,
        "kind": binaries.KIND_VERSION,
        "sidecar": {
            "PATH": os.environ["PATH"],
            "CMP_STATE_DIRECTORY": str(tmp_path / "state"),
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        "cmp-core": str(Path(sys.executable).parent / "cmp-core"),
        "app": str(shutil.copytree(ROOT / "examples" / "quickstart" / "app", tmp_path / "app")),
    }
    (tmp_path / "facts.json").write_text(json.dumps(facts), encoding="utf-8")

    def run(script: str, **variables: str) -> Result:
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHON": sys.executable,
            "S3_PORT": endpoint.rpartition(":")[2],
            "STAND_IN": str(tmp_path / "facts.json"),
            "POLL_SECONDS": "0.1",
            "WAIT_AT_MOST": "5",
            "TMPDIR": str(tmp_path),
        }
        done = subprocess.run(
            [KIND / script], env=environment | variables, check=False, capture_output=True, text=True, timeout=300
        )
        books, calls = tmp_path / "cluster.json", tmp_path / "calls"
        return Result(
            done.returncode,
            done.stdout,
            done.stderr,
            json.loads(books.read_text()) if books.exists() else {},
            [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else [],
        )

    return run


def said(result: Result, *texts: str) -> bool:
    """Tell whether the narration holds the texts in this order."""
    place = 0
    for text in texts:
        place = result.stdout.find(text, place)
        if place < 0:
            return False
    return True


def test_the_demo_runs_from_up_to_down(run: Run, tool: Find) -> None:
    """Everything that it promises is seen: the change, two failures that delete nothing, and the healing.

    It runs again in the same cluster, where it begins with a failed sync and three replicas. The genuine programs take
    every command line.
    """
    up, demo, again, down = run("up.sh"), run("demo.sh"), run("demo.sh"), run("down.sh")

    assert (up.code, up.stderr) == (0, "")
    assert said(up, "uploaded s3://test-bucket/apps/demo-app/deployment.yaml", "synced and healthy", "make kind-demo")
    assert (demo.code, demo.stderr) == (0, "")
    assert said(
        demo,
        "== 1. CI uploads a change",
        "the Deployment has 3 replicas",
        "== 2. Somebody empties the prefix",
        "deleted s3://test-bucket/apps/demo-app/service.yaml",
        "The user reads: ",
        "nothing lies under s3://test-bucket/apps/demo-app",
        "the sync has failed",
        "Nothing was deleted:\nDeployment/demo-app uid-of-Deployment\nService/demo-app uid-of-Service\n",
        "== 3. S3 goes down",
        "The user reads: ",
        "could not connect",
        "Nothing was deleted:",
        "== 4. S3 comes back",
        "the Application has healed by itself",
        "All of it held",
    )
    assert (again.code, again.stderr) == (0, "")
    assert (down.code, down.cluster["clusters"]) == (0, [])
    genuine = {"kind": tool("kind"), "kubectl": tool("kubectl")}
    assert [refusal for call in dict.fromkeys(map(tuple, down.calls)) for refusal in refusals(genuine, call)] == []


def refusals(genuine: Mapping[str, Path], call: Sequence[str]) -> list[str]:
    """Return what the genuine program has against a command line: it reads all options before it shows its help."""
    if call[0] not in genuine:
        return []
    command: list[str | Path] = [genuine[call[0]], *call[1:], "--help"]
    judged = subprocess.run(command, check=False, capture_output=True, text=True)
    return [f"{call}: {judged.stderr}"] if judged.returncode else []


def test_the_genuine_programs_refuse_what_they_do_not_know(tool: Find) -> None:
    """A misspelt option and a value of the wrong kind are seen, so the check above can fail."""
    genuine = {"kind": tool("kind"), "kubectl": tool("kubectl")}

    assert refusals(genuine, ["kind", "create", "cluster", "--nam", "a"])
    assert refusals(genuine, ["kubectl", "-n", "a", "rollout", "status", "deployment/a", "--timeout=soon"])
    assert refusals(genuine, ["kubectl", "wait", "--until=a"])


def test_the_cluster_is_made_of_what_is_pinned(run: Run, tmp_path: Path, endpoint: str) -> None:
    """The node by its digest, the image that was just built, the port and the version that were asked for."""
    up = run("up.sh", ARGO_CD_VERSION="3.1.16")

    assert up.code == 0
    assert up.cluster["node"].startswith("kindest/node:v1.34.0@sha256:")
    assert up.cluster["image"] == up.cluster["loaded"] == "cmp-core:kind"
    (node,) = yaml.safe_load(up.cluster["config"])["nodes"]
    (mapping,) = node["extraPortMappings"]
    assert mapping == {
        "containerPort": 30566,
        "hostPort": int(endpoint.rpartition(":")[2]),
        "listenAddress": "127.0.0.1",
        "protocol": "TCP",
    }
    applied = [path.read_text(encoding="utf-8") for path in sorted((tmp_path / "applied").rglob("*.yaml"))]
    assert [text for text in applied if "v3.2.11" in text] == []
    assert sum(text.count("v3.1.16") for text in applied) == 3
    git, application = up.cluster["objects"]
    trigger = (ROOT / "examples" / "quickstart" / "app" / "s3-source.yaml").read_text(encoding="utf-8")
    assert (git["kind"], git["data"]) == ("ConfigMap", {"s3-source.yaml": trigger})
    assert application["kind"] == "Application"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("never-changes", "it still does not hold that the Deployment has 3 replicas"),
        ("prunes", "Objects have gone."),
        ("syncs-anyway", "it still does not hold that the sync has failed"),
        ("never-heals", "it still does not hold that the Application has healed by itself"),
    ],
)
def test_the_demo_fails_where_a_promise_is_broken(run: Run, tmp_path: Path, fault: str, told: str) -> None:
    """Each of its checks can fail, and says what did not hold."""
    live = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(OBJECTS.iterdir())]
    books = {"clusters": ["cmp-core"], "localstack": 1, "live": live, "error": ""}
    (tmp_path / "cluster.json").write_text(json.dumps(books), encoding="utf-8")

    demo = run("demo.sh", STAND_IN_FAULT=fault)

    assert demo.code == 1
    assert told in demo.stderr
    assert "All of it held" not in demo.stdout


def test_a_port_that_is_taken_is_told_with_the_way_out(run: Run) -> None:
    """Many a laptop has a LocalStack already."""
    up = run("up.sh", STAND_IN_FAULT="port-taken")

    assert up.code == 1
    assert "make kind-up kind-demo S3_PORT=14566" in up.stderr
    assert "image" not in up.cluster


def test_a_demo_without_a_cluster_says_what_to_run_first(run: Run) -> None:
    """And touches no other cluster."""
    demo = run("demo.sh")

    assert (demo.code, demo.stderr) == (1, "There is no cluster cmp-core: run make kind-up first.\n")
    assert {call[0] for call in demo.calls} == {"docker", "kind"}


def test_a_docker_that_does_not_answer_is_told(run: Run) -> None:
    """Before anything is made."""
    up = run("up.sh", STAND_IN_FAULT="no-daemon")

    assert up.code == 1
    assert "Docker does not answer: start it" in up.stderr
    assert {call[0] for call in up.calls} == {"docker"}


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ("", "failed to pull image"),
        ("  - {role: control-plain}\n", '"control-plain" is not a valid node role'),
        ("networks: {}\n", "field networks not found"),
    ],
)
def test_the_genuine_kind_takes_the_configuration(tool: Find, tmp_path: Path, change: str, answer: str) -> None:
    """It reads and checks the file, and then asks Docker for the node's image, which nobody gives it here."""
    config = tmp_path / "cluster.yaml"
    config.write_text((KIND / "cluster.yaml").read_text(encoding="utf-8") + change, encoding="utf-8")
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\ncase $1 in ps) ;; info) echo "{}" ;; *) echo "no $1 here" >&2; exit 1 ;; esac\n')
    docker.chmod(0o755)
    command: list[str | Path] = [tool("kind"), "create", "cluster", "--name", "a", "--config", config]
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "KIND_EXPERIMENTAL_PROVIDER": "docker"}

    made = subprocess.run(command, env=variables, check=False, capture_output=True, text=True)

    assert made.returncode == 1
    assert answer in made.stderr


def render(tool: Find, folder: Path, version: str) -> str:
    """Return what kustomize makes of the demo's folder, on what Argo CD publishes in a version."""
    module = argo_cd_manifests.find_module(version) or give_up("the manifests of Argo CD come by Go, which is not here")
    shutil.copytree(KIND.parent, folder)
    (folder / "argo-cd" / "install.yaml").write_text(argo_cd_manifests.install_manifest(module), encoding="utf-8")
    base = folder / "argo-cd" / "kustomization.yaml"
    kept = base.read_text(encoding="utf-8").splitlines()[:-1]
    base.write_text("\n".join([*kept, "  - install.yaml", ""]), encoding="utf-8")
    command: list[str | Path] = [tool("kustomize"), "build", folder / "kind"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_manifests(tool: Find, kubernetes_folder: Path, tmp_path: Path, version: str) -> None:
    """By its own schemas and Argo CD's; the pods are as restricted as they can be."""
    text = render(tool, tmp_path / "deploy", version)
    documents = [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    for document in documents:
        if document["kind"] == "CustomResourceDefinition":
            kubernetes_schemas.write_custom_schemas(document, schemas)

    judged = conform(
        tool("kubeconform"), f"{text}---\n{(KIND / 'application.yaml').read_text()}", kubernetes_folder, schemas
    )

    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Invalid: 0, Errors: 0, Skipped: 0" in judged.stdout
    kinds = [document["kind"] for document in documents]
    assert kinds[:3] == ["Namespace"] * 3 or kinds[:2] == ["Namespace"] * 2
    deployments = {
        document["metadata"]["name"]: document["spec"] for document in documents if document["kind"] == "Deployment"
    }
    pods = {name: spec["template"]["spec"] for name, spec in deployments.items()}
    assert violations(pods["argocd-repo-server"]) == []
    assert violations(pods["git"]) == []
    (sidecar,) = (part for part in pods["argocd-repo-server"]["containers"] if part["name"] == "cmp-core")
    assert (sidecar["image"], sidecar["imagePullPolicy"]) == ("cmp-core:kind", "Never")
    assert [name for name, spec in sorted(deployments.items()) if spec.get("replicas") == 0] == [
        "argocd-applicationset-controller",
        "argocd-dex-server",
        "argocd-notifications-controller",
    ]
    (localstack,) = pods["localstack"]["containers"]
    assert localstack["image"] == "localstack/localstack:4.7.0"


def test_the_git_server_serves_the_trigger_file(tmp_path: Path) -> None:
    """The commands of the pod, run here: a clone holds the folder, in the same commit after a restart."""
    git = shutil.which("git")
    if not git or not Path(subprocess.check_output([git, "--exec-path"], text=True).strip(), "git-daemon").exists():
        give_up("git with its daemon is not here: install it")
    (pod,) = (
        document["spec"]["template"]["spec"]
        for document in yaml.safe_load_all((KIND / "git.yaml").read_text(encoding="utf-8"))
        if document["kind"] == "Deployment"
    )
    ((first,), (server,)) = pod["initContainers"], pod["containers"]
    served = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        (folder / "tmp").mkdir(parents=True)
        repositories = folder / "srv"
        repositories.mkdir()
        places = {
            "CONTENT": str(ROOT / "examples" / "quickstart" / "app"),
            "SCRATCH": str(folder / "tmp"),
            "REPOSITORIES": str(repositories),
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
        }
        variables = {item["name"]: item["value"] for item in first["env"]} | places
        subprocess.run(first["command"], env=variables, check=True)
        port = free_port()
        words = [word.replace("/srv/git", str(repositories)) for word in server["command"][2:]]
        words[2:2] = ["--listen=127.0.0.1", f"--port={port}"]
        with serve(words, variables, folder, partial(accepts, port), seconds=20):
            clone = folder / "clone"
            subprocess.run([git, "clone", "--quiet", f"git://127.0.0.1:{port}/apps.git", clone], check=True)
        commit = subprocess.check_output([git, "-C", clone, "rev-parse", "origin/main"], text=True)
        served.append((commit, (clone / "demo-app" / "s3-source.yaml").read_text(encoding="utf-8")))

    trigger = (ROOT / "examples" / "quickstart" / "app" / "s3-source.yaml").read_text(encoding="utf-8")
    assert server["command"][:4] == ["/usr/bin/tini", "--", "git", "daemon"]
    assert served == [(served[0][0], trigger)] * 2
