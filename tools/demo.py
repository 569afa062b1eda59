"""Own the demonstration: what Argo CD does with `examples/quickstart/`, against an S3 server in this process.

The manifests go to stdout and everything else to stderr. Nothing of the caller's AWS set-up is used, and nothing
remains: the server, the copy of the application's folder and the caches live as long as the process.
"""

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path

from moto.server import ThreadedMotoServer

QUICKSTART = Path(__file__).resolve().parent.parent / "examples" / "quickstart"
BUCKET = "test-bucket"
PREFIX = "apps/demo-app"


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration, and return the exit code of the first command that fails."""
    parser = argparse.ArgumentParser(description="Fetch and render examples/quickstart as Argo CD would.")
    parser.add_argument(
        "--cmp-core",
        type=Path,
        default=Path(sys.executable).parent / "cmp-core",
        metavar="FILE",
        help="the console script to run; by default the one that is installed beside this Python",
    )
    script = parser.parse_args(arguments).cmp_core
    with tempfile.TemporaryDirectory(prefix="cmp-core-demo-") as folder, serve_s3() as endpoint:
        upload(QUICKSTART / "objects", endpoint)
        application = Path(shutil.copytree(QUICKSTART / "app", Path(folder) / "app"))
        variables = sidecar_environment(Path(folder), endpoint)
        for command in ("init", "generate"):
            tell(f"$ cmp-core {command}")
            result = subprocess.run(
                [script, command], cwd=application, env=variables, check=False, stdout=subprocess.PIPE
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


def upload(folder: Path, endpoint: str) -> None:
    """Put the files of the folder into the demonstration's bucket."""
    put(f"{endpoint}/{BUCKET}", b"")
    for file in sorted(folder.iterdir()):
        put(f"{endpoint}/{BUCKET}/{PREFIX}/{file.name}", file.read_bytes())
        tell(f"{file.relative_to(QUICKSTART)} is now s3://{BUCKET}/{PREFIX}/{file.name}")


def put(url: str, content: bytes) -> None:
    """Send one unsigned PUT request, past any proxy: the server is in this process and asks for no signature."""
    request = urllib.request.Request(url, content, {"Content-Type": "application/octet-stream"}, method="PUT")  # noqa: S310  # the URL is our own server's
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


def tell(text: str) -> None:
    """Say on stderr what happens, at once: stdout is for the manifests."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
