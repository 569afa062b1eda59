"""Own the S3 server that both sides of a comparison read from."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tools import versitygw
from tools.processes import accepts, free_port, inherited_environment, serve

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
    """Run versitygw where Go is there to build it, else moto, and give its name and address."""
    if shutil.which("go"):
        with versitygw.run(folder) as endpoint:
            yield Server(f"versitygw {versitygw.VERSION}", endpoint)
        return
    port = free_port()
    command: list[str | Path] = [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with serve(command, inherited_environment(), folder, lambda: accepts(port), seconds=START_SECONDS):
        yield Server("moto, which takes most of the time itself", f"http://127.0.0.1:{port}")
