"""Own a Kubernetes without nodes: etcd and kube-apiserver, which keep objects and run nothing."""

import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from tools import binaries
from tools.live_argocd.kubernetes import Kubernetes
from tools.live_argocd.server import Server
from tools.processes import free_port, inherited_environment, responds

PACKAGES = ("etcd-server",)


@contextmanager
def run(folder: Path) -> Iterator[Kubernetes]:
    """Run both until the block is left, with their data, keys and logs in the folder."""
    address = f"https://127.0.0.1:{free_port()}"
    kubernetes = Kubernetes(address, secrets.token_hex(16), folder / "tls" / "apiserver.crt", folder / "kubeconfig")
    with ExitStack() as stack:
        store, endpoint = _etcd(folder)
        for server in (store, _apiserver(folder, kubernetes, endpoint)):
            stack.callback(server.stop)
            server.start()
        _write_kubeconfig(kubernetes)
        yield kubernetes


def _etcd(folder: Path) -> tuple[Server, str]:
    program = shutil.which("etcd")
    if not program:
        sys.exit("etcd is not here: apt-get install --no-install-recommends etcd-server")
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = [
        program,
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]
    return Server("etcd", command, inherited_environment(), folder, lambda: responds(f"{client}/health")), client


def _apiserver(folder: Path, kubernetes: Kubernetes, etcd: str) -> Server:
    """Return the API server, which knows one user and runs nothing, so that it needs no more than etcd."""
    tokens = folder / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f'{kubernetes.token},admin,admin,"system:masters"\n', encoding="utf-8")
    private, public = _make_keys(folder)
    command: list[str | Path] = [
        binaries.require("kube-apiserver"),
        f"--etcd-servers={etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={kubernetes.address.rpartition(':')[2]}",
        f"--cert-dir={kubernetes.certificate.parent}",
        "--authorization-mode=AlwaysAllow",
        f"--token-auth-file={tokens}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={public}",
        f"--service-account-signing-key-file={private}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        "--disable-admission-plugins=ServiceAccount",
    ]
    return Server("kube-apiserver", command, inherited_environment(), folder, kubernetes.answers)


def _make_keys(folder: Path) -> tuple[Path, Path]:
    """Make the pair that service accounts' tokens are signed with; no account is ever used."""
    private, public = folder / "service-accounts.key", folder / "service-accounts.pub"
    _run_openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private)
    _run_openssl("pkey", "-in", private, "-pubout", "-out", public)
    return private, public


def _run_openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)  # noqa: S607  # where PATH says


def _write_kubeconfig(kubernetes: Kubernetes) -> None:
    name = "argocd"
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": kubernetes.address, "certificate-authority": str(kubernetes.certificate)},
            }
        ],
        "users": [{"name": name, "user": {"token": kubernetes.token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "argocd"}}],
        "current-context": name,
    }
    kubernetes.kubeconfig.touch(mode=0o600)
    kubernetes.kubeconfig.write_text(yaml.safe_dump(whole), encoding="utf-8")
