"""The demo of deploy/kind, shown by a genuine Argo CD: all but the cluster's nodes and its LocalStack is real.

`tests/e2e/test_kind.py` runs the scripts with stand-ins for Argo CD as well; this runs the one that shows something.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from argocd.report import Report
from e2e.conftest import give_up

from tools import binaries, buckets, kind_bucket
from tools.live_argocd import installation
from tools.live_argocd.installation import Installation
from tools.live_argocd.kubernetes import Kubernetes
from tools.live_argocd.repository import Repository
from tools.processes import wait_until

pytestmark = pytest.mark.argocd

ROOT = Path(__file__).resolve().parent.parent.parent
KIND = ROOT / "deploy" / "kind"
QUICKSTART = ROOT / "examples" / "quickstart"
NAMESPACE = "kind-demo"
SECONDS = 600.0

KUBECTL = """#!/bin/bash
# kubectl for the Argo CD of this test. Instead of LocalStack there is another S3, which the test stops and starts; and
# without nodes no Deployment becomes healthy.
[ "$1 $2" = "--context kind-cmp-core" ] || exit 2
shift 2
case "$*" in
  "-n localstack scale deployment/localstack --replicas="*)
    last=${{!#}}
    echo "${{last##*=}}" >'{folder}/scaling' && mv '{folder}/scaling' '{folder}/scale'
    while [ -e '{folder}/scale' ]; do sleep 0.1; done
    exit ;;
  "-n localstack "*) exit 0 ;;
  "-n argocd "*) shift 2; set -- -n {namespace} "$@" ;;
esac
'{kubectl}' --kubeconfig '{kubeconfig}' "$@" | sed 's/^\\(Synced\\|OutOfSync\\) Progressing$/\\1 Healthy/'
exit "${{PIPESTATUS[0]}}"
"""
KIND_PROGRAM = """#!/bin/sh
case $1 in version) echo {version} ;; get) echo cmp-core ;; esac
"""
PYTHON = """#!/bin/sh
exec '{python}' '{folder}/bucket.py' "$@"
"""
BUCKET = """\
import sys
from tools import kind_bucket, versitygw
kind_bucket.ACCESS_KEY, kind_bucket.SECRET_KEY = versitygw.ACCESS_KEY, versitygw.SECRET_KEY
sys.exit(kind_bucket.main(sys.argv[3:]))
"""


def write_programs(folder: Path, kubernetes: Kubernetes) -> None:
    """Write the programs that the script calls."""
    kubectl = binaries.find("kubectl") or give_up("kubectl is not built: run `make tools`, which needs Go")
    texts = {
        "docker": "#!/bin/sh\n",
        "kind": KIND_PROGRAM.format(version=binaries.KIND_VERSION),
        "kubectl": KUBECTL.format(
            folder=folder, namespace=NAMESPACE, kubectl=kubectl, kubeconfig=kubernetes.kubeconfig
        ),
        "python": PYTHON.format(python=sys.executable, folder=folder),
        "bucket.py": BUCKET,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)


def application(repository: Repository) -> dict[str, Any]:
    """Return the demo's Application, which reads another repository and belongs to the Argo CD of this test."""
    manifest: dict[str, Any] = yaml.safe_load((KIND / "application.yaml").read_text(encoding="utf-8"))
    manifest["metadata"]["namespace"] = NAMESPACE
    manifest["spec"]["source"]["repoURL"] = repository.url
    return manifest


def show(folder: Path, argo_cd: Installation) -> tuple[int, str]:
    """Run the script, stop and start S3 when it asks for that, and return how it ended and what it said."""
    environment = {
        "HOME": str(folder),
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHON": str(folder / "python"),
        "S3_PORT": argo_cd.storage.endpoint.rpartition(":")[2],
    }
    scale, server = folder / "scale", argo_cd.storage.server
    with (folder / "said").open("w", encoding="utf-8") as said:
        process = subprocess.Popen([KIND / "demo.sh"], env=environment, stdout=said, stderr=subprocess.STDOUT)
        try:
            while wait_until(lambda: scale.exists() or process.poll() is not None, SECONDS) and process.poll() is None:
                (server.stop if scale.read_text(encoding="utf-8") == "0\n" else server.start)()
                scale.unlink()
        finally:
            process.kill()
    return process.wait(), (folder / "said").read_text(encoding="utf-8")


def test_the_demo_on_kind_shows_what_it_promises(
    kubernetes: Kubernetes, report: Report, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Argo CD understands every question and every order of the script, and behaves as the script expects."""
    folder = tmp_path_factory.mktemp("programs")
    write_programs(folder, kubernetes)
    repository = Repository(tmp_path_factory.mktemp("git") / "apps")
    trigger = (QUICKSTART / "app" / "s3-source.yaml").read_text(encoding="utf-8")
    repository.commit({"demo-app/s3-source.yaml": trigger}, "Add the demo app")
    place = kind_bucket.read_place()
    with installation.run(tmp_path_factory.mktemp(NAMESPACE), kubernetes, namespace=NAMESPACE) as argo_cd:
        objects = {place.prefix + path.name: path.read_bytes() for path in (QUICKSTART / "objects").iterdir()}
        buckets.upload(argo_cd.storage.client, objects, place.bucket)
        kubernetes.apply(application(repository))

        code, said = show(folder, argo_cd)

    assert code == 0, said
    assert "== All of it held." in said
    (healed,) = [line.split()[1] for line in said.splitlines() if line.endswith("has healed by itself.")]
    report.tell("the demo of deploy/kind, S3 back", "Synced, by itself", float(healed))
