"""Own the S3 server that both sides of a comparison read from."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tools.processes import free_port, inherited_environment, serve, tell

VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
TOOLS = Path(".tools").resolve()
ACCESS_KEY = "benchmark"
SECRET_KEY = "benchmark-secret"  # noqa: S105  # made up, for a server that ends with the benchmark
START_SECONDS = 60


class Server(NamedTuple):
    """A running S3 server.

    Attributes:
        name: What it is, for the table.
        endpoint: Its address.
    """

    name: str
    endpoint: str


@contextmanager
def run_server(folder: Path) -> Iterator[Server]:
    """Run versitygw where it is there or can be built, else moto, and give its name and address."""
    port = free_port()
    objects = folder / "objects"
    objects.mkdir()
    versitygw = find_versitygw()
    if versitygw:
        name = VERSITYGW.rpartition("/")[2].replace("@", " ")
        address = [
            "--port",
            f"127.0.0.1:{port}",
            "--access",
            ACCESS_KEY,
            "--secret",
            SECRET_KEY,
            "--region",
            "us-east-1",
        ]
        command: list[str | Path] = [versitygw, *address, "--quiet", "posix", objects]
    else:
        name = "moto, which takes most of the time itself"
        command = [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with serve(command, inherited_environment(), folder, lambda: accepts(port), seconds=START_SECONDS):
        yield Server(name, f"http://127.0.0.1:{port}")


def find_versitygw() -> Path | None:
    """Return the server's binary, built where Go is there to build it; None where it is not."""
    if found := shutil.which("versitygw", path=f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}"):
        return Path(found)
    if go := shutil.which("go"):
        tell(f"Building {VERSITYGW} into {TOOLS.name}")
        if (
            subprocess.run([go, "install", VERSITYGW], env=os.environ | {"GOBIN": str(TOOLS)}, check=False).returncode
            == 0
        ):
            return TOOLS / "versitygw"
    return None


def accepts(port: int) -> bool:
    """Tell whether somebody accepts connections on the port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
