"""Own the sidecar in its image: the genuine server in the root file system that the Dockerfile makes, run by podman.

`make image` builds it and names it in the variable E2E_IMAGE. The container is confined as deploy/ has it, and more.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from e2e import cmp_server
from e2e.cmp_server import LOG_OPTIONS, SHORT, CmpServer, wait_until

from tools.image.containers import environment, inspect, podman, podman_command, sandboxed

UID = 999
SERVER = "/var/run/argocd/argocd-cmp-server"
PLUGIN = "/home/argocd/cmp-server/config/plugin.yaml"
SOCKETS = "/home/argocd/cmp-server/plugins"


def image_under_test() -> str:
    """Return the image that the tests shall run in, or nothing."""
    return os.environ.get("E2E_IMAGE", "")


@contextmanager
def run(image: str, program: Path, variables: Mapping[str, str], plugin: str | None = None) -> Iterator[CmpServer]:
    """Run the server in a container until the block is left, with the network of this process.

    Args:
        image: Its name in the store of `tools.image`.
        program: The multi-call binary of Argo CD, which a volume brings.
        variables: What the sidecar's container sets beside the image's own variables.
        plugin: The plugin file, where it shall not be the image's own.
    """
    with tempfile.TemporaryDirectory(prefix="cmp-", dir=SHORT) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "plugins").mkdir()
        os.chown(folder / "plugins", UID, UID)
        mark = cmp_server.make_mark(folder)
        volumes = {program.resolve(): f"{SERVER}:ro", folder / "plugins": SOCKETS}
        if plugin is not None:
            (folder / "plugin.yaml").write_text(plugin)
            volumes[folder / "plugin.yaml"] = f"{PLUGIN}:ro"
        options = [f"--volume={source}:{target}" for source, target in volumes.items()]
        settings = dict([mark.split("=")]) | dict(variables)
        options += [f"--env={key}={value}" for key, value in settings.items()]
        command = [*sandboxed(network="host", options=[f"--name={folder.name}", *options]), image, *LOG_OPTIONS]
        log, address = folder / "server.log", folder / "plugins" / "cmp-core.sock"
        with cmp_server.start(command, environment(), log, address) as outer:
            try:
                init = int(podman("inspect", "--format={{.State.Pid}}", folder.name))
                temporary = Path(f"/proc/{init}/root/tmp")
                entry = child_of(init)
                standing = frozenset({init, entry, outer.pid})
                yield CmpServer(child_of(entry), init, mark, address, temporary, temporary, log, standing)
            finally:
                remove(folder.name)


def child_of(pid: int) -> int:
    """Return the one process that another has started."""
    found: list[str] = []

    def look() -> bool:
        found[:] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return bool(found)

    assert wait_until(look), f"process {pid} has started none"
    return int(found[0])


def start_detached(image: str, *options: str | Path) -> str:
    """Start a container that goes on by itself, without any network but loopback, and return its id."""
    return podman(*sandboxed(network="none", options=["--detach", *options])[len(podman_command()) :], image).strip()


def remove(container: str) -> None:
    """End a container and remove it, if it is there."""
    command = [*podman_command(), "rm", "--force", "--time=0", "--ignore", container]
    subprocess.run(command, env=environment(), check=False, capture_output=True)


def configuration(image: str) -> Mapping[str, object]:
    """Return what the image says of itself: user, entry point, labels, variables."""
    found: Mapping[str, object] = inspect(image)["Config"]
    return found
