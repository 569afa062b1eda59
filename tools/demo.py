"""Own the demonstrations: what Argo CD does with a folder of `examples/`, against an S3 server in this process.

The manifests go to stdout and everything else to stderr. Nothing of the caller's AWS set-up is used, and nothing
remains: the server, the copy of the application's folder and the caches live as long as the process.
"""

import argparse
import io
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path

from moto.server import ThreadedMotoServer

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
BUCKET = "test-bucket"
PREFIXES = {"quickstart": "apps/demo-app/"}
"""What stands before the keys of an example's objects, where their folder does not have it."""


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration, and return the exit code of the first command that fails."""
    parser = argparse.ArgumentParser(description="Fetch and render an example as Argo CD would.")
    parser.add_argument(
        "example",
        nargs="?",
        default="quickstart",
        choices=sorted(folder.parent.name for folder in EXAMPLES.glob("*/app")),
        help="a folder of examples/ with an app/ in it",
    )
    parser.add_argument(
        "--cmp-core",
        type=Path,
        default=Path(sys.executable).parent / "cmp-core",
        metavar="FILE",
        help="the console script to run; by default the one that is installed beside this Python",
    )
    options = parser.parse_args(arguments)
    example = EXAMPLES / options.example
    with tempfile.TemporaryDirectory(prefix="cmp-core-demo-") as folder, serve_s3() as endpoint:
        upload(example, endpoint)
        application = Path(shutil.copytree(example / "app", Path(folder) / "app"))
        variables = sidecar_environment(Path(folder), endpoint) | settings_of(example, endpoint)
        for command in ("init", "generate"):
            tell(f"$ cmp-core {command}")
            result = subprocess.run(
                [options.cmp_core, command], cwd=application, env=variables, check=False, stdout=subprocess.PIPE
            )
            if result.returncode:
                return result.returncode
        sys.stdout.buffer.write(result.stdout)
        sys.stdout.flush()
    return 0


@contextmanager
def serve_s3() -> Iterator[str]:
    """Run an S3 server in this process on a free port of the loopback interface, and give its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        tell(f"An S3 server listens on {host}:{port}")
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def upload(example: Path, endpoint: str) -> None:
    """Put the example's objects into the demonstration's bucket; a folder that is called .tgz goes there packed."""
    put(f"{endpoint}/{BUCKET}", b"")
    root = example / "objects"
    folders = [root]
    for folder in folders:
        for path in sorted(folder.iterdir()):
            key = f"{PREFIXES.get(example.name, '')}{path.relative_to(root).as_posix()}"
            if path.is_dir() and path.suffix != ".tgz":
                folders.append(path)
                continue
            put(f"{endpoint}/{BUCKET}/{key}", pack(path) if path.is_dir() else path.read_bytes())
            tell(f"{path.relative_to(example)} is now s3://{BUCKET}/{key}")


def pack(folder: Path) -> bytes:
    """Return the folder's content as a compressed tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder, ".")
    return buffer.getvalue()


def put(url: str, content: bytes) -> None:
    """Send one unsigned PUT request, past any proxy: the server is in this process and asks for no signature."""
    headers = {"Content-Type": "application/octet-stream", "x-amz-acl": "public-read"}
    request = urllib.request.Request(url, content, headers, method="PUT")  # noqa: S310  # the URL is our own server's
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()


def sidecar_environment(home: Path, endpoint: str) -> dict[str, str]:
    """Return what the commands would see in the sidecar: Argo CD's variables and an AWS account, here made up."""
    return {
        "PATH": environ.get("PATH", ""),
        "HOME": str(home),
        "TMPDIR": str(home),
        "ARGOCD_APP_NAME": "demo-app",
        "ARGOCD_APP_NAMESPACE": "demo-app",
        "ARGOCD_APP_PROJECT_NAME": "default",
        "ARGOCD_APP_REVISION": "5f3a1c0d9e8b7a6f5e4d3c2b1a09f8e7d6c5b4a3",
        "ARGOCD_APP_SOURCE_REPO_URL": "https://git.example.com/platform/apps.git",
        "ARGOCD_APP_SOURCE_PATH": "demo-app",
        "ARGOCD_APP_SOURCE_TARGET_REVISION": "main",
        "ARGOCD_APP_PARAMETERS": "null",
        "KUBE_VERSION": "1.34.2",
        "KUBE_API_VERSIONS": "v1,apps/v1,apps/v1/Deployment,v1/Service",
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo-secret",
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": endpoint,
    }


def settings_of(example: Path, endpoint: str) -> dict[str, str]:
    """Return what the operator and the Application set for an example."""
    if example.name != "fsspec":
        file = example / "environment"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return dict(line.split("=", 1) for line in lines)
    url = f"{endpoint}/{BUCKET}/releases/demo-app-1.0.0.yaml"
    tell(f"The operator allows {endpoint}, and the Application names {url}")
    return {"CMP_BACKENDS_FSSPEC_ALLOW": endpoint, "ARGOCD_ENV_CMP_URL": url}


def tell(text: str) -> None:
    """Say on stderr what happens, at once: stdout is for the manifests."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
