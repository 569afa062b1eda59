"""Own LocalStack for tests: install it once, start it, and stop it.

It is installed from `requirements/localstack.txt` into an environment of its own in the user's cache folder, which the
next run finds again; it runs as a process, without Docker.
"""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.processes import cache_folder, free_port, inherited_environment, responds, serve, tell

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements" / "localstack.txt"
START_SECONDS = 120


def install(requirements: Path, cache: Path) -> Path:
    """Return the Python of an environment with exactly these requirements; make it where there is none yet.

    The environment is named after what is in it. The mark in it is written last, so that one whose
    installation was cut short is made anew.
    """
    contents = requirements.read_bytes() + sys.version.encode()
    environment = cache / f"{requirements.stem}-{hashlib.sha256(contents).hexdigest()[:12]}"
    python, mark = environment / "bin" / "python", environment / "complete"
    if not mark.exists():
        tell(f"Installing {requirements.name} into {environment}")
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, environment], check=True)
        subprocess.run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, requirements], check=True)
        mark.touch()
    return python


@contextmanager
def run(folder: Path, python: Path | None = None) -> Iterator[str]:
    """Run LocalStack on a free port of the loopback interface, and give its address once its services answer.

    Args:
        folder: An empty folder, for what it writes.
        python: That of an environment that has it; by default one is installed.
    """
    python = python or install(REQUIREMENTS, cache_folder())
    started = time.monotonic()
    port = free_port()
    command: list[str | Path] = [python, "-m", "localstack.runtime.main"]
    with serve(command, environment(port, folder), folder, lambda: is_healthy(port), seconds=START_SECONDS):
        tell(f"LocalStack listens on 127.0.0.1:{port} after {time.monotonic() - started:.1f} s")
        yield f"http://127.0.0.1:{port}"


def environment(port: int, folder: Path) -> dict[str, str]:
    """Return LocalStack's environment: three services, loaded at once, and no word to the outside."""
    return inherited_environment() | {
        "SERVICES": "s3,sqs,sns",
        "EAGER_SERVICE_LOADING": "1",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "DISABLE_EVENTS": "1",
        "DNS_ADDRESS": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "LOCALSTACK_VOLUME_DIR": str(folder / "volume"),
    }


def is_healthy(port: int) -> bool:
    """Tell whether LocalStack answers on the port, past any proxy."""
    return responds(f"http://127.0.0.1:{port}/_localstack/health")
