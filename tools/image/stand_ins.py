"""Own the stand-ins for the images that the Dockerfile builds upon, where no registry can be asked for them.

They bear the names of the real ones, so that the Dockerfile stays as it is. Their system and their Python are Debian's,
brought to the places where the real ones have them; Go is the machine's.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.image.containers import FOLDER, buildah, environment, inspect, podman_command
from tools.processes import tell

DOCKERFILE = Path(__file__).resolve().parent.parent.parent / "Dockerfile"
LABEL = "cmp-core.stand-in"
LIBRARIES = (
    "ca-certificates",
    "libbz2-1.0",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libncursesw6",
    "libreadline8t64",
    "libsqlite3-0",
    "libssl3t64",
    "libuuid1",
    "netbase",
    "openssl",
    "tzdata",
    "zlib1g",
)
PYTHON_PACKAGES = (
    "python3.{minor}-minimal libpython3.{minor}-minimal libpython3.{minor}-stdlib python3.{minor}-venv python3-pip-whl"
)
MINOR_VERSION = {"trixie": 13}
"""Which Python each version of Debian has, after `3.`."""

_MOVE_PYTHON = """set -eu
folder=$(mktemp -d)
cd "$folder"
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --quiet --quiet download {packages}
for archive in *.deb; do dpkg-deb --extract "$archive" unpacked; done
rm -f unpacked/usr/lib/python3.{minor}/EXTERNALLY-MANAGED unpacked/usr/lib/python3.{minor}/sitecustomize.py
mv unpacked/usr/lib/python3.{minor} "$1/usr/local/lib/"
mv unpacked/usr/bin/python3.{minor} "$1/usr/local/bin/"
mv unpacked/usr/share/python-wheels "$1/usr/share/"
for name in python python3; do ln -s python3.{minor} "$1/usr/local/bin/$name"; done
rm -rf "$folder"
"""


def make() -> None:
    """Make the stand-ins that are missing, or that were made otherwise."""
    python, go = python_image(), go_image()
    fingerprint = hashlib.sha256(Path(__file__).read_bytes() + python.encode() + go.encode()).hexdigest()[:12]
    if has_fingerprint(python, fingerprint) and has_fingerprint(go, fingerprint):
        return
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        archive = Path(folder, "system.tar")
        bootstrap(python, archive)
        commit("scratch", python, fingerprint, archive=archive)
    commit(
        python,
        go,
        fingerprint,
        GOPATH="/go",
        GOTOOLCHAIN="local",
        PATH="/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin",
    )


def python_image() -> str:
    """Return the image that the Dockerfile takes Python from."""
    return _base("python")


def go_image() -> str:
    """Return the image that the Dockerfile takes Go from."""
    return _base("golang")


def has_fingerprint(name: str, fingerprint: str) -> bool:
    """Tell whether the image is there and was made by this very code."""
    command = [*podman_command(), "image", "exists", name]
    if subprocess.run(command, env=environment(), check=False).returncode:
        return False
    labels = inspect(name)["Config"].get("Labels") or {}
    return bool(labels.get(LABEL) == fingerprint)


def bootstrap(image: str, archive: Path) -> None:
    """Write a Debian with Python in /usr/local, of the versions that the image's name tells."""
    found = re.search(r":3\.(\d+)-slim-(\w+)$", image)
    if not found or MINOR_VERSION.get(found[2]) != int(found[1]):
        sys.exit(f"There is no stand-in for {image}: tell tools/image/stand_ins.py which Debian has this Python")
    tell(f"Making a stand-in for {image} from Debian's packages")
    packages = PYTHON_PACKAGES.format(minor=found[1])
    hook = _MOVE_PYTHON.format(minor=found[1], packages=packages)
    command: list[str | Path] = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(LIBRARIES)}"]
    command += [f"--customize-hook={hook}", found[2], archive, "http://deb.debian.org/debian"]
    if code := subprocess.run(command, check=False).returncode:
        sys.exit(f"mmdebstrap exited {code}: see above")


def commit(base: str, name: str, fingerprint: str, *, archive: Path | None = None, **variables: str) -> None:
    """Make an image of a base, an archive that is unpacked onto it, and variables."""
    container = buildah("from", "--pull-never", base).strip()
    if archive:
        buildah("add", "--quiet", container, archive, "/")
    settings = [word for key, value in variables.items() for word in ("--env", f"{key}={value}")]
    buildah("config", "--label", f"{LABEL}={fingerprint}", *settings, container)
    buildah("commit", "--quiet", "--rm", container, name)


def _base(name: str) -> str:
    found = re.findall(rf"^FROM (?:--\S+ )?(docker\.io/library/{name}:\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    (image,) = set(found)
    return str(image)
