"""What one process may take while it fetches many objects: threads and connections."""

import hashlib
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from e2e_support import ACCESS_KEY, COMMAND, SECRET_KEY, Sidecar

OBJECTS = 1000
MOST_CONNECTIONS = 5

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>test-bucket</Name><Prefix>apps/demo/</Prefix>
<KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"""
ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;{tag}&quot;</ETag>"
    "<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


def manifest(number: int) -> bytes:
    """Return one of the objects."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo-{number}\n".encode()


class CountingServer(ThreadingHTTPServer):
    """An S3 server of one prefix that keeps connections open, as S3 does, and counts them.

    moto closes each after its answer, and nobody could tell those that are closing from those that are open.
    """

    request_queue_size = 128

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), S3Handler)
        self.lock = threading.Lock()
        self.open = self.most_open = self.total = 0
        self.objects = {f"apps/demo/{number:04}.yaml": manifest(number) for number in range(OBJECTS)}

    def page(self) -> bytes:
        """Return the listing."""
        entries = (
            ENTRY.format(key=key, tag=etag_of(content), size=len(content)) for key, content in self.objects.items()
        )
        return PAGE.format(count=OBJECTS, entries="".join(entries)).encode()


class S3Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: CountingServer

    def setup(self) -> None:
        """Count it."""
        super().setup()
        with self.server.lock:
            self.server.total += 1
            self.server.open += 1
            self.server.most_open = max(self.server.most_open, self.server.open)

    def finish(self) -> None:
        """Count it out."""
        super().finish()
        with self.server.lock:
            self.server.open -= 1

    def do_GET(self) -> None:
        """Answer a listing or an object."""
        path, _, query = self.path.partition("?")
        content = self.server.page() if query else self.server.objects[path.removeprefix("/test-bucket/")]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{etag_of(content)}"')
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def etag_of(content: bytes) -> str:
    """Return what S3 calls the MD5 of an object."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def server() -> Iterator[CountingServer]:
    """A running server."""
    with CountingServer() as counting:
        thread = threading.Thread(target=counting.serve_forever)
        thread.start()
        yield counting
        counting.shutdown()
        thread.join()


def most_threads(sidecar: Sidecar, **variables: str) -> int:
    """Run `generate` and return how many threads it had at once."""
    most = 0
    with subprocess.Popen(
        [COMMAND, "generate"],
        cwd=sidecar.directory,
        env=sidecar.environment() | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            found = re.search(r"^Threads:\s+(\d+)$", status, re.MULTILINE)
            most = max(most, int(found[1]) if found else 0)
            time.sleep(0.002)
        assert process.stderr
        assert process.returncode == 0, process.stderr.read().decode()
    return most


def test_a_fetch_of_a_thousand_objects_is_bounded(sidecar: Sidecar, server: CountingServer) -> None:
    """A few threads, however many cores there are; a connection for each transfer, and the SDK's for the listing."""
    sidecar.write("s3-source.yaml", "bucket: test-bucket\npath: apps/demo\n")
    variables = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "CMP_MAX_CONNECTIONS": str(MOST_CONNECTIONS),
    }

    threads = most_threads(sidecar, **variables)

    assert 1 <= threads <= 6
    assert server.most_open == server.total == MOST_CONNECTIONS + 1


def test_a_copy_of_a_folder_has_a_thread_for_each_transfer(sidecar: Sidecar, tmp_path: Path) -> None:
    """A filesystem of fsspec that blocks is read in threads: as many as there may be transfers, not as cores."""
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    for number in range(OBJECTS):
        (manifests / f"{number}.yaml").write_bytes(manifest(number))
    sidecar.write("local-source.yaml", f"path: {manifests}\n")

    threads = most_threads(sidecar, CMP_MAX_CONNECTIONS="2")

    assert 1 < threads <= 1 + 2 + 1  # the main one, the transfers', and asyncio's own that joins these in the end
