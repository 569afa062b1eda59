"""Own the build of the image here: the Dockerfile as it is, with this machine's ways to PyPI and to Go's modules."""

import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.image.containers import buildah, environment
from tools.processes import tell

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "localhost/cmp-core"
PIP_SETTINGS = {"cert", "extra-index-url", "index-url", "no-index", "proxy", "timeout", "trusted-host"}
GO_SETTINGS = ("GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOSUMDB")


def build() -> None:
    """Build this project's image."""
    build_folder(NAME, ROOT, REVISION=revision())


def build_folder(name: str, folder: Path, **arguments: str) -> None:
    """Build a folder's Dockerfile under a name. Layers that are the same as last time are taken from the store."""
    go = shutil.which("go")
    if not go:
        sys.exit("The image holds helm and kustomize, which are built with Go: install Go 1.25 or later")
    certificates = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or ""
    with tempfile.TemporaryDirectory() as settings:
        Path(settings, "pip.conf").write_text(pip_configuration())
        Path(settings, "go.env").write_text(go_configuration(go))
        volumes = {
            certificates: f"{certificates}:ro",
            f"{settings}/pip.conf": "/etc/pip.conf:ro",
            f"{settings}/go.env": "/root/.config/go/env:ro",
            go_variable(go, "GOROOT"): "/usr/local/go:ro",
            go_variable(go, "GOMODCACHE"): "/go/pkg/mod",
            go_variable(go, "GOCACHE"): "/root/.cache/go-build",
        }
        command: list[str | Path] = [
            "buildah",
            "bud",
            "--layers",
            "--force-rm",
            "--pull-never",
            "--network=host",
            "--format=docker",
        ]
        for source, target in volumes.items():
            command.append(f"--volume={source}:{target}")
        for key, value in {"SSL_CERT_FILE": certificates, **arguments}.items():
            command.append(f"--build-arg={key}={value}")
        run_quietly([*command, "--tag", name, folder])


def pip_configuration() -> str:
    """Return a configuration file for pip with which it reaches its index as it does on this machine."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, text=True, check=True
    )
    found = re.findall(r"^[\w:]+\.([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE)
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in dict(found).items() if key in PIP_SETTINGS)


def go_configuration(go: str) -> str:
    """Return the settings with which Go finds and verifies modules as it does on this machine."""
    values = {name: go_variable(go, name) for name in GO_SETTINGS}
    return "".join(f"{name}={value}\n" for name, value in values.items() if value)


def go_variable(go: str, name: str) -> str:
    """Return one setting of Go."""
    return subprocess.run([go, "env", name], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def revision() -> str:
    """Return the commit that is checked out, or nothing where there is no repository."""
    git = shutil.which("git") or "git"
    answer = subprocess.run([git, "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def forget_old_layers() -> None:
    """Remove from the store what no build has used for some days."""
    command = ["podman", "image", "prune", "--force", "--filter=until=72h"]
    subprocess.run(command, env=environment(), check=False, stdout=subprocess.DEVNULL)


@contextmanager
def root_of(image: str) -> Iterator[Path]:
    """Give the folder where an image's root file system lies, until the block is left."""
    container = buildah("from", "--pull-never", image).strip()
    try:
        yield Path(buildah("mount", container).strip())
    finally:
        buildah("rm", container)


def run_quietly(command: list[str | Path]) -> None:
    """Run a command, and show what it has said only where it fails."""
    result = subprocess.run(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        tell(result.stdout)
        sys.exit(f"{command[0]} {command[1]} exited {result.returncode}: see above")
