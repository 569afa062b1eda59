"""Own the S3 server beside an Argo CD: versitygw, which can go away and come back with what it held."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools import buckets, versitygw
from tools.live_argocd.server import Server
from tools.processes import accepts, free_port


class Storage:
    """An S3 server.

    Attributes:
        endpoint: Its address, which stays the same when it comes back.
        server: Its process.
        client: A client of it.
    """

    def __init__(self, folder: Path) -> None:
        """Describe a server whose buckets lie below the folder; it is started as any other."""
        port = free_port()
        (folder / "buckets").mkdir()
        words, environment = versitygw.command(folder / "buckets", port)
        self.endpoint = f"http://127.0.0.1:{port}"
        self.server = Server("s3", words, environment, folder, lambda: accepts(port))
        self.client: Any = buckets.connect(self.endpoint)

    @property
    def variables(self) -> dict[str, str]:
        """What a sidecar is given to read from it."""
        return buckets.sidecar_variables(self.endpoint)


@contextmanager
def run(folder: Path) -> Iterator[Storage]:
    """Run the server until the block is left, and enter the block when it answers."""
    storage = Storage(folder)
    try:
        storage.server.start()
        yield storage
    finally:
        storage.server.stop()
        storage.client.close()
