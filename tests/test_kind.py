"""The demo on KIND, as far as it can be tested with nothing but Python: what is missing, what is pinned, the bucket.

`tests/e2e/test_kind.py` runs the scripts, with what `make tools` builds.
"""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e_support import S3Server

from tools import argo_cd_manifests, binaries, kind_bucket
from tools.demo import serve_s3

ROOT = Path(__file__).resolve().parent.parent
KIND = ROOT / "deploy" / "kind"
QUICKSTART = ROOT / "examples" / "quickstart"


def pinned() -> dict[str, str]:
    """Return what versions.env sets where the caller sets nothing."""
    command: list[str | Path] = [
        "bash",
        "-c",
        '. "$0"; echo "$ARGO_CD_VERSION $KIND_VERSION $NODE_IMAGE"',
        KIND / "versions.env",
    ]
    told = subprocess.run(command, env={"PATH": os.environ["PATH"]}, check=True, capture_output=True, text=True)
    return dict(zip(("argo-cd", "kind", "node"), told.stdout.split(), strict=True))


def image_tags() -> dict[str, str]:
    """Return the tags of kustomization.yaml."""
    kustomization = yaml.safe_load((KIND / "kustomization.yaml").read_text(encoding="utf-8"))
    return {image["name"]: image["newTag"] for image in kustomization["images"]}


def test_the_demo_runs_what_the_other_tests_run() -> None:
    """The same versions of Argo CD, kind, Kubernetes and LocalStack."""
    versions = pinned()
    (localstack,) = re.findall(
        r"^localstack-core\[runtime\]==(\S+)", (ROOT / "requirements" / "localstack.in").read_text(), re.MULTILINE
    )

    assert versions["argo-cd"] == argo_cd_manifests.VERSIONS[0]
    assert versions["kind"] == binaries.KIND_VERSION
    minor = binaries.KUBERNETES_VERSION.rpartition(".")[0]
    assert re.fullmatch(rf"kindest/node:v{re.escape(minor)}\.\d+@sha256:[0-9a-f]{{64}}", versions["node"])
    assert image_tags()["localstack/localstack"] == localstack


def test_every_image_has_a_version() -> None:
    """None is `latest`, in whichever file it is named."""
    named = [
        image
        for file in ("localstack.yaml", "git.yaml")
        for image in re.findall(r"image: (\S+)", (KIND / file).read_text(encoding="utf-8"))
    ]

    assert named
    assert [image for image in named if ":" not in image and image not in image_tags()] == []


def test_the_application_is_the_quickstart_s_but_for_its_repository() -> None:
    """What the demo shows is what a reader of the quickstart gets."""
    quickstart = yaml.safe_load((QUICKSTART / "application.yaml").read_text(encoding="utf-8"))
    ours = yaml.safe_load((KIND / "application.yaml").read_text(encoding="utf-8"))

    assert ours["spec"]["source"].pop("repoURL") == "git://git.git.svc.cluster.local/apps.git"
    quickstart["spec"]["source"].pop("repoURL")
    assert ours == quickstart


def test_the_overlay_finds_localstack_where_it_is() -> None:
    """Namespace, service and port are those of the overlay's endpoint, and the node's port is mapped."""
    overlay = (ROOT / "deploy" / "overlays" / "localstack" / "kustomization.yaml").read_text(encoding="utf-8")
    (service,) = (item for item in read_all("localstack.yaml") if item["kind"] == "Service")
    (port,) = service["spec"]["ports"]
    (node,) = read_all("cluster.yaml")[0]["nodes"]
    (mapping,) = node["extraPortMappings"]

    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.cluster.local"
    assert f"http://{host}:{port['port']}" in overlay
    assert (mapping["containerPort"], mapping["hostPort"]) == (port["nodePort"], port["port"])


def read_all(name: str) -> list[Any]:
    """Return the documents of a file."""
    return list(yaml.safe_load_all((KIND / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("script", ["up.sh", "demo.sh", "down.sh"])
def test_a_script_names_everything_that_is_missing(tmp_path: Path, script: str) -> None:
    """All three programs at once, each with a remedy, before anything is done."""
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))

    result = subprocess.run([KIND / script], env={"PATH": str(tmp_path)}, check=False, capture_output=True, text=True)

    assert (result.returncode, result.stdout) == (1, "")
    docker, kind, kubectl = result.stderr.splitlines()
    assert docker.startswith("docker is missing: install Docker")
    assert kind.startswith("kind is missing: .venv/bin/python -m tools.binaries kind builds version")
    assert kubectl.startswith("kubectl is missing: see https://kubernetes.io")


def test_the_bucket_is_filled_changed_and_emptied(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An upload makes the bucket and replaces what is there; emptying leaves what lies beside the prefix."""
    changed = tmp_path / "objects"
    shutil.copytree(QUICKSTART / "objects", changed)
    (changed / "service.yaml").write_text("changed", encoding="utf-8")
    with serve_s3() as endpoint:
        client = kind_bucket.connect(endpoint)
        S3Server(endpoint, client).clear()  # the servers of one process share their buckets

        kind_bucket.main(["--endpoint", endpoint, "upload", str(QUICKSTART / "objects")])
        kind_bucket.main(["--endpoint", endpoint, "upload", str(changed)])
        filled = keys(client)
        body = client.get_object(Bucket="test-bucket", Key="apps/demo-app/service.yaml")["Body"].read()
        client.put_object(Bucket="test-bucket", Key="apps/demo-app-2/service.yaml", Body=b"")
        kind_bucket.main(["--endpoint", endpoint, "empty"])
        emptied = keys(client)

    assert filled == ["apps/demo-app/deployment.yaml", "apps/demo-app/service.yaml"]
    assert body == b"changed"
    assert emptied == ["apps/demo-app-2/service.yaml"]
    assert "deleted s3://test-bucket/apps/demo-app/deployment.yaml" in capsys.readouterr().out


def keys(client: Any) -> list[str]:
    """Return all keys of the bucket."""
    return [item["Key"] for item in client.list_objects_v2(Bucket="test-bucket")["Contents"]]


def test_a_server_that_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    """And so is a folder with nothing in it: neither is a traceback."""
    with serve_s3() as endpoint:
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).close()  # noqa: S310  # moto keeps buckets for the whole process
        command = [sys.executable, "-m", "tools.kind_bucket", "--endpoint", endpoint]

        no_bucket = subprocess.run([*command, "empty"], cwd=ROOT, check=False, capture_output=True, text=True)
        no_file = subprocess.run([*command, "upload", tmp_path], cwd=ROOT, check=False, capture_output=True, text=True)

    assert no_bucket.returncode == 1
    assert no_bucket.stderr.startswith(f"The S3 server at {endpoint} has refused: ")
    assert "NoSuchBucket" in no_bucket.stderr
    assert (no_file.returncode, no_file.stderr.startswith(f"{tmp_path} holds no file to upload")) == (1, True)


def test_the_change_of_the_demo_changes_something() -> None:
    """The sed of demo.sh finds the replicas that it raises."""
    assert (QUICKSTART / "objects" / "deployment.yaml").read_text(encoding="utf-8").count("replicas: 2\n") == 1
    assert "'s/replicas: 2/replicas: 3/'" in (KIND / "demo.sh").read_text(encoding="utf-8")
