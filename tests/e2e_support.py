"""An S3 server and a sidecar for tests that run the installed command as Argo CD does."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools import buckets
from tools.versitygw import ACCESS_KEY, SECRET_KEY

__all__ = ["ACCESS_KEY", "COMMAND", "SECRET_KEY", "S3Server", "Sidecar"]

COMMAND = str(Path(sys.executable).with_name("cmp-core"))


@dataclass(frozen=True)
class S3Server:
    """An S3 server that is empty when a test begins."""

    endpoint: str
    client: Any

    @property
    def variables(self) -> dict[str, str]:
        """The variables with which a sidecar reads from this server."""
        return buckets.sidecar_variables(self.endpoint)

    def put(self, objects: Mapping[str, bytes], bucket: str = buckets.BUCKET) -> None:
        """Make the bucket if need be and put the objects into it."""
        buckets.upload(self.client, objects, bucket)

    def clear(self) -> None:
        """Delete everything."""
        for bucket in self.client.list_buckets()["Buckets"]:
            buckets.empty(self.client, bucket["Name"])
            self.client.delete_bucket(Bucket=bucket["Name"])


@dataclass
class Sidecar:
    """Runs the installed `cmp-core` in an application's folder, with nothing inherited but what it needs.

    Attributes:
        directory: The application's folder.
        state: The folder for temporary files.
        variables: What the environment holds besides.
        patience: How many seconds a command may take before the test fails.
        prefix: A command that runs the rest of its arguments: under a limit, or in another namespace.
    """

    directory: Path
    state: Path
    variables: dict[str, str] = field(default_factory=dict)
    patience: float = 120.0
    prefix: tuple[str, ...] = ()

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
        """Run one command to its end."""
        return subprocess.run(
            [*self.prefix, COMMAND, *arguments],
            cwd=self.directory,
            env=self.environment() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=self.patience,
        )

    @contextmanager
    def fetching(self, **variables: str) -> "Iterator[subprocess.Popen[bytes]]":
        """Start `generate` and give its process once it has said that it fetches; it is killed at the end."""
        with subprocess.Popen(
            [COMMAND, "generate"],
            cwd=self.directory,
            env=self.environment() | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr
            assert process.stderr.readline().startswith(b"fetching")
            yield process
            process.kill()

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start one command, and leave its end to the caller."""
        return subprocess.Popen(
            [*self.prefix, COMMAND, *arguments],
            cwd=self.directory,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def processes(self) -> list[int]:
        """Return the processes that run with this sidecar's own folder for temporary files."""
        mark = f"TMPDIR={self.environment()['TMPDIR']}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            if mark in environment:
                found.append(int(folder.name))
        return found

    def environment(self) -> dict[str, str]:
        """Return what Argo CD and the sidecar's image set."""
        return {
            "PATH": os.defpath,
            "HOME": str(self.state),
            "TMPDIR": str(self.state),
            "ARGOCD_APP_NAME": "demo",
            "ARGOCD_APP_NAMESPACE": "default",
            "ARGOCD_APP_PROJECT_NAME": "default",
            "ARGOCD_APP_SOURCE_PATH": "apps/demo",
            "ARGOCD_APP_PARAMETERS": "null",
            "KUBE_VERSION": "1.34",
            "KUBE_API_VERSIONS": "v1,apps/v1,apps/v1/Deployment",
        } | self.variables

    def write(self, name: str, content: str) -> Path:
        """Write a file into the application's folder."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path
