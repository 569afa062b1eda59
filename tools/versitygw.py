"""Own versitygw for tests and benchmarks: an S3 server, independent of the others, whose store is a plain folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools import binaries
from tools.processes import accepts, free_port, inherited_environment, serve

ACCESS_KEY = "AKIAEXAMPLEEXAMPLE00"
SECRET_KEY = "made-up-secret-access-key-of-the-tests"  # noqa: S105  # for a server that ends with its tests
REGION = "us-east-1"
VERSION = binaries.TOOLS["versitygw"].package.rpartition("@")[2]
START_SECONDS = 60


@contextmanager
def run(folder: Path) -> Iterator[str]:
    """Run it on a free port of the loopback interface with its buckets below the folder, and give its address."""
    port = free_port()
    (folder / "buckets").mkdir()
    words, environment = command(folder / "buckets", port)
    with serve(words, environment, folder, lambda: accepts(port), seconds=START_SECONDS):
        yield f"http://127.0.0.1:{port}"


def command(buckets: Path, port: int) -> tuple[list[str | Path], dict[str, str]]:
    """Return the command line that serves a folder of buckets on a port of this machine alone, and its environment."""
    variables = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY, "VGW_REGION": REGION}
    words: list[str | Path] = [
        binaries.require("versitygw"),
        "--port",
        f"127.0.0.1:{port}",
        "--quiet",
        "posix",
        buckets,
    ]
    return words, inherited_environment() | variables
