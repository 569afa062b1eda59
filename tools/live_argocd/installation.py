"""Own one Argo CD of plain processes: redis, an S3 server, the sidecar with our plugin, repo-server and controller."""

import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import binaries
from tools.live_argocd import deployed, objects, storage
from tools.live_argocd.kubernetes import Kubernetes
from tools.live_argocd.server import Server
from tools.live_argocd.storage import Storage
from tools.processes import accepts, free_port, responds

PACKAGES = ("redis-server",)
PROGRAMS = ("argocd", "kube-apiserver", "versitygw")
COMMAND = Path(sys.executable).with_name("cmp-core")
REFRESH_SECONDS = 20
"""How often Argo CD refreshes here; by default it takes 120 to 180 seconds, for which tests would have to wait."""
GRACE_SECONDS = 30
"""How long Argo CD passes over errors here, by the same measure; 180 seconds by default."""

_SHORT = "/tmp"  # noqa: S108  # a socket's path may have 107 bytes, and TMPDIR may be long


@dataclass(frozen=True)
class Installation:
    """An Argo CD that runs.

    Attributes:
        kubernetes: The API server that it deploys to, and that holds its Applications.
        namespace: Where it looks for Applications.
        folder: Where its logs lie.
        storage: The S3 server that its sidecar reads from.
        sidecar: The genuine `argocd-cmp-server`, with our plugin.yaml.
    """

    kubernetes: Kubernetes
    namespace: str
    folder: Path
    storage: Storage
    sidecar: Server


@contextmanager
def run(
    folder: Path, kubernetes: Kubernetes, *, namespace: str = "argocd", without: Collection[str] = ()
) -> Iterator[Installation]:
    """Run an Argo CD until the block is left, and enter the block when all of it answers.

    Args:
        folder: An existing folder for data and logs.
        kubernetes: The API server.
        namespace: Argo CD's namespace; one of its own where several share an API server.
        without: Variables that deploy/ gives to the repo-server and that this one shall not have.
    """
    for manifest in objects.configuration(namespace):
        kubernetes.apply(manifest)
    with ExitStack() as stack:
        sockets = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cmp-", dir=_SHORT)))
        s3 = stack.enter_context(storage.run(folder))
        argocd = _ArgoCd(folder, kubernetes, namespace, sockets)
        sidecar = argocd.sidecar(s3.variables)
        redis, redis_address = _redis(folder)
        repo_server, repo_server_address = argocd.repo_server(redis_address, without)
        controller = argocd.controller(redis_address, repo_server_address)
        for server in (redis, sidecar, repo_server, controller):
            stack.callback(server.stop)
            server.start()
        yield Installation(kubernetes, namespace, folder, s3, sidecar)


class _ArgoCd:
    """The command lines of Argo CD's three servers, which are one program."""

    def __init__(self, folder: Path, kubernetes: Kubernetes, namespace: str, sockets: Path) -> None:
        self._program = binaries.require("argocd")
        self._folder = folder
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._sockets = sockets
        for part in ("home", "work", "sidecar", "tls", "ssh", "config"):
            (folder / part).mkdir(mode=0o700)

    def sidecar(self, variables: dict[str, str]) -> Server:
        """Return the sidecar, as the image and the component of deploy/ set it up."""
        bin_folder = self._sockets / "bin"
        bin_folder.symlink_to(COMMAND.parent)  # as in an image no space is in its path, which Argo CD would quote
        plugin = deployed.plugin_file(bin_folder / COMMAND.name)
        (self._folder / "config" / "plugin.yaml").write_text(plugin, encoding="utf-8")
        own = self._folder / "sidecar"
        settings = deployed.settings("cmp-core") | {"CMP_STATE_DIRECTORY": str(own / "state")}
        environment = {
            "PATH": os.defpath,
            "HOME": str(own),
            "TMPDIR": str(own),
            # Bytecode is written, unlike in the image, which brings it: without it every request would compile the SDK.
            "PYTHONSAFEPATH": "1",
            "ARGOCD_BINARY_NAME": "argocd-cmp-server",
            "ARGOCD_PLUGINSOCKFILEPATH": str(self._sockets),
            "ARGOCD_CMP_WORKDIR": str(self._folder / "work"),
        }
        address = self._sockets / "cmp-core.sock"
        return Server(
            "argocd-cmp-server",
            [self._program, "--config-dir-path", self._folder / "config", "--loglevel", "info"],
            environment | settings | variables,
            self._folder,
            lambda: accepts(address),
            ends_on_sigterm=False,  # docs/explanation/contract.md
        )

    def repo_server(self, redis: str, without: Collection[str]) -> tuple[Server, str]:
        """Return the repo-server, and its address."""
        port, metrics = free_port(), free_port()
        command: list[str | Path] = [
            self._program,
            *("--address=127.0.0.1", f"--port={port}", "--metrics-address=127.0.0.1", f"--metrics-port={metrics}"),
            *(f"--redis={redis}", "--disable-tls"),
        ]
        variables = {
            "ARGOCD_PLUGINSOCKFILEPATH": str(self._sockets),
            "ARGOCD_ASK_PASS_SOCK": str(self._sockets / "ask-pass.sock"),
        }
        environment = self._environment("argocd-repo-server") | variables
        environment = {name: value for name, value in environment.items() if name not in without}
        health = f"http://127.0.0.1:{metrics}/healthz"
        server = Server("argocd-repo-server", command, environment, self._folder, lambda: responds(health))
        return server, f"127.0.0.1:{port}"

    def controller(self, redis: str, repo_server: str) -> Server:
        """Return the application-controller. No flag closes its port for metrics to other machines."""
        metrics = free_port()
        command: list[str | Path] = [
            self._program,
            *(f"--namespace={self._namespace}", f"--redis={redis}", f"--metrics-port={metrics}"),
            *(f"--repo-server={repo_server}", "--repo-server-plaintext"),
            *(f"--app-resync={REFRESH_SECONDS}", "--app-resync-jitter=0"),
            f"--repo-error-grace-period-seconds={GRACE_SECONDS}",
        ]
        environment = self._environment("argocd-application-controller")
        health = f"http://127.0.0.1:{metrics}/healthz"
        return Server("argocd-application-controller", command, environment, self._folder, lambda: responds(health))

    def _environment(self, name: str) -> dict[str, str]:
        """Return what makes a process behave as in the cluster whose API server the kubeconfig names."""
        home = str(self._folder / "home")
        return deployed.settings(name) | {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home,
            "TMPDIR": home,
            "KUBECONFIG": str(self._kubernetes.kubeconfig),
            "ARGOCD_BINARY_NAME": name,
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_TLS_DATA_PATH": str(self._folder / "tls"),
            "ARGOCD_SSH_DATA_PATH": str(self._folder / "ssh"),
        }


def _redis(folder: Path) -> tuple[Server, str]:
    program = shutil.which("redis-server")
    if not program:
        sys.exit("redis is not here: apt-get install --no-install-recommends redis-server")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return Server("redis", command, {}, folder, lambda: accepts(port)), f"127.0.0.1:{port}"
