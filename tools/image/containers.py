"""Own buildah and podman: which packages they come with, where they keep images, and how they are called.

Everything lies in a store of its own below the user's cache folder: the machine's images and settings do not matter.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools import debian
from tools.processes import cache_folder

DEBIAN_PACKAGES = ("buildah", "podman", "crun", "mmdebstrap")
FOLDER = cache_folder() / "image"
HYBRID_CGROUPS = Path("/sys/fs/cgroup/unified")

_STORAGE = """[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "/run/cmp-core-image/storage"
"""
_ENGINE = """[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
tmp_dir = "/run/cmp-core-image/engine"
"""


def require() -> None:
    """Install what is missing, and end the process with the reason where this machine cannot run containers."""
    if os.geteuid():
        sys.exit(
            "make image builds a root file system, and runs it as uid 999: run it as root, in a sandbox of its own"
        )
    debian.require(*DEBIAN_PACKAGES)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, content in ((_storage_conf(), _STORAGE.format(folder=FOLDER)), (_engine_conf(), _ENGINE)):
        if not path.exists() or path.read_text() != content:
            path.write_text(content)


def why_impossible() -> str:
    """Return why no container can be run here, or nothing."""
    if os.geteuid():
        return "podman is called as root here: run make image as root"
    missing = [name for name in ("podman", "crun", "unshare") if not shutil.which(name)]
    return f"{missing[0]} is not here: make image installs it" if missing else ""


def environment() -> dict[str, str]:
    """Return the variables with which both programs find the store and their settings."""
    own = {
        "CONTAINERS_STORAGE_CONF": str(_storage_conf()),
        "CONTAINERS_CONF": str(_engine_conf()),
        "BUILDAH_ISOLATION": "chroot",
    }
    return os.environ | own


def buildah(*words: str | Path) -> str:
    """Run buildah and return what it prints; end the process where it fails, which it has explained."""
    return _output(["buildah", *words])


def podman(*words: str | Path) -> str:
    """Run podman and return what it prints; end the process where it fails, which it has explained."""
    return _output([*podman_command(), *words])


def podman_command() -> list[str]:
    """Return what podman is called with.

    Where version 2 of cgroups is mounted beside version 1, podman takes the machine for one that has neither whole, and
    crun fails. So podman does not see it.
    """
    if not HYBRID_CGROUPS.exists():
        return ["podman"]
    return ["unshare", "--mount", "sh", "-c", f'umount {HYBRID_CGROUPS}; exec podman "$@"', "podman"]


def sandboxed(*, network: str, options: Sequence[str | Path] = ()) -> list[str | Path]:
    """Return the command line that runs a container as deploy/ does, and stricter, up to the image's name.

    Args:
        network: `none`, or `host` for the network namespace of the caller.
        options: More options of `podman run`.
    """
    return [
        *podman_command(),
        "run",
        "--rm",
        "--cgroups=disabled",
        "--ulimit=nofile=1024:1024",
        "--ulimit=nproc=2048:2048",
        f"--network={network}",
        "--read-only",
        "--read-only-tmpfs=false",
        "--tmpfs=/tmp:rw,nosuid,nodev,noexec,size=512m,mode=1777",
        "--ipc=none",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--user=999:999",
        "--pull=never",
        "--no-healthcheck",
        *options,
    ]


def inspect(image: str) -> Mapping[str, Any]:
    """Return an image's configuration, and its size in bytes."""
    (answer,) = json.loads(podman("image", "inspect", image))
    result: Mapping[str, Any] = answer
    return result


def _storage_conf() -> Path:
    return FOLDER / "storage.conf"


def _engine_conf() -> Path:
    return FOLDER / "containers.conf"


def _output(command: Sequence[str | Path]) -> str:
    result = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))} exited {result.returncode}: see above")
    return result.stdout
