"""Own the emulators of Google Cloud Storage and Azure for tests: install them once, start them, and stop them.

fake-gcs-server is one of the programs of `tools.binaries`. Azurite is installed by npm from `tools/azurite/` into the
user's cache folder, which the next run finds again.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools import binaries
from tools.processes import accepts, cache_folder, free_port, inherited_environment, serve, tell

AZURITE = Path(__file__).resolve().parent / "azurite"
ACCOUNT = "teststore"
ACCOUNT_KEY = (
    "bWFkZS11cC1zZWNyZXQta2V5LW9mLXRoZS10ZXN0cy1vZi1jbXAtY29yZS0wMDAwMDAwMDAwMDA="  # made up, for Azurite only
)
START_SECONDS = 60
MAIN = Path("node_modules", "azurite", "dist", "src", "blob", "main.js")


def main() -> None:
    """Install Azurite where it is not installed yet."""
    if not install_azurite():
        sys.exit(
            "Azurite is installed by npm, which is not here: install Node.js 20 or later, and run make tools again"
        )


def find_azurite() -> Path | None:
    """Return Azurite's main module where the locked one has been installed, else None."""
    folder = _folder()
    return folder / MAIN if (folder / "complete").exists() else None


def install_azurite() -> Path | None:
    """Return Azurite's main module, installed if need be; None where there is no npm to do so.

    The mark is written last, so that what was cut short is made anew.
    """
    npm = shutil.which("npm")
    folder = _folder()
    if found := find_azurite():
        return found
    if not npm:
        return None
    tell(f"Installing Azurite into {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(AZURITE / name, folder)
    # No package runs anything of its own when it is installed.
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if code := subprocess.run(command, cwd=folder, check=False).returncode:
        sys.exit(f"npm ci exited {code}: see above")
    (folder / "complete").touch()
    return folder / MAIN


@contextmanager
def run_gcs(folder: Path) -> Iterator[str]:
    """Run fake-gcs-server on a free port of the loopback interface with nothing in it, and give its address."""
    program = binaries.require("fake-gcs-server")
    port = free_port()
    options = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory", "-log-level", "error"]
    with serve([program, *options], inherited_environment(), folder, lambda: accepts(port), seconds=START_SECONDS):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def run_azure(folder: Path) -> Iterator[str]:
    """Run Azurite on a free port of the loopback interface with nothing in it, and give a connection string."""
    module, node = install_azurite(), shutil.which("node")
    if not module or not node:
        sys.exit("Azurite needs Node.js and npm, which are not here: install Node.js 20 or later")
    port = free_port()
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--silent"]
    options += ["--disableTelemetry", "--skipApiVersionCheck"]
    variables = inherited_environment() | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"}
    with serve([node, module, *options], variables, folder, lambda: accepts(port), seconds=START_SECONDS):
        yield connection_string(port)


def connection_string(port: int, key: str = ACCOUNT_KEY) -> str:
    """Return what a client of the emulator is given."""
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={endpoint};"


def _folder() -> Path:
    """Return where Azurite lies; the folder's name says what is in it."""
    contents = (AZURITE / "package-lock.json").read_bytes()
    return cache_folder() / f"azurite-{hashlib.sha256(contents).hexdigest()[:12]}"


if __name__ == "__main__":
    main()
