"""Own the demonstration on a whole Argo CD: what CI and S3 do, what Argo CD makes of it, told as it happens."""

import os
import textwrap
import time
from collections.abc import Callable
from typing import Any

from tools import buckets
from tools.binaries import ROOT
from tools.live_argocd import objects
from tools.live_argocd.application import Application
from tools.live_argocd.background import BRING_S3_BACK, TAKE_S3_AWAY, Running
from tools.processes import accepts, tell, wait_until

EXAMPLE = ROOT / "examples" / "quickstart"
PREFIX = "apps/demo-app/"
NAME = "demo-app"
PATIENCE = 60.0


def show(running: Running) -> None:
    """Let an Application arrive, change, lose its objects, lose S3, and heal."""
    demo = Demo(running)
    demo.first_release()
    demo.change()
    demo.empty_prefix()
    demo.mend()
    demo.s3_down()
    demo.s3_back()
    tell("\nThe Application is still there: change something, and refresh it. `make argocd-down` ends it all.")


class Demo:
    """The Application of the quickstart, from the first release to the last."""

    def __init__(self, running: Running) -> None:
        """Take the Argo CD that runs in the background."""
        self._running = running
        self._s3 = running.s3
        self._application = Application(running.kubernetes, NAME, "argocd")
        self._files = {path.name: path.read_bytes() for path in sorted((EXAMPLE / "objects").iterdir())}

    def first_release(self) -> None:
        """Upload, commit the trigger file, create the Application."""
        _chapter("A new Application")
        self._upload("v1.0.0")
        trigger = (EXAMPLE / "app" / "s3-source.yaml").read_text(encoding="utf-8")
        commit = self._running.repository.commit({"app/s3-source.yaml": trigger}, "Deploy demo-app from S3")
        tell(f"  Git: app/s3-source.yaml is in commit {commit[:7]} of {self._running.repository.url}")
        began = time.monotonic()
        manifest = objects.application(NAME, "argocd", self._running.repository.url)
        self._running.kubernetes.apply(manifest)
        tell("  kubectl apply: Application demo-app, with automated sync, prune and selfHeal")
        self._arrives("v1.0.0", began)

    def change(self) -> None:
        """Upload another version, and refresh hard."""
        _chapter("CI uploads a change")
        self._upload("v1.1.0")
        began = time.monotonic()
        self._refresh("normal")
        tell(f"  The Deployment has version {self._version()}: a normal refresh does not ask the plugin")
        self._refresh("hard")
        self._arrives("v1.1.0", began)

    def empty_prefix(self) -> None:
        """Delete everything in S3, and show that nothing is deleted in the cluster."""
        _chapter("Somebody empties the prefix")
        buckets.empty(self._s3, prefix=PREFIX)
        tell(f"  S3: nothing lies under s3://{buckets.BUCKET}/{PREFIX} any more")
        self._fails()

    def mend(self) -> None:
        """Upload again, and refresh hard."""
        _chapter("CI uploads again")
        self._upload("v1.2.0")
        began = time.monotonic()
        self._refresh("hard")
        self._arrives("v1.2.0", began)

    def s3_down(self) -> None:
        """Stop the S3 server, and show the error."""
        _chapter("S3 is down")
        self._switch(TAKE_S3_AWAY, up=False)
        tell(f"  Nobody listens on {self._running.endpoint} any more")
        self._fails()

    def s3_back(self) -> None:
        """Start the S3 server again, and refresh hard instead of waiting for Argo CD."""
        _chapter("S3 is back")
        self._switch(BRING_S3_BACK, up=True)
        tell("  Within two minutes Argo CD would see that by itself; a hard refresh is sooner")
        began = time.monotonic()
        self._refresh("hard")
        self._arrives("v1.2.0", began)

    def _upload(self, version: str) -> None:
        files = {f"{PREFIX}{name}": text.replace(b"v1.0.0", version.encode()) for name, text in self._files.items()}
        buckets.upload(self._s3, files)
        tell(f"  S3: version {version} lies under s3://{buckets.BUCKET}/{PREFIX}")

    def _refresh(self, kind: str) -> None:
        seconds = self._application.refresh(kind)
        tell(f"  {kind} refresh: {self._application.sync_status()} after {seconds:.1f} s")

    def _arrives(self, version: str, began: float) -> None:
        def is_there() -> bool:
            return self._version() == version and self._application.sync_status() == "Synced"

        self._application.wait(f"version {version}", is_there)
        tell(f"  Argo CD: Synced, and the Deployment has version {version}, after {time.monotonic() - began:.1f} s")

    def _fails(self) -> None:
        """Refresh hard, and show what a user reads and what is left."""
        before = self._ids()
        self._refresh("hard")
        tell("  Argo CD shows:")
        tell(textwrap.indent(textwrap.fill(self._application.error(), 110, break_on_hyphens=False), "    "))
        if not all(before) or self._ids() != before:
            raise RuntimeError("Something was deleted, and nothing may be.")
        tell("  The Deployment and the Service are still there, untouched")

    def _ids(self) -> list[str]:
        return [self._read(kind).get("metadata", {}).get("uid", "") for kind in ("Deployment", "Service")]

    def _version(self) -> str:
        labels = self._read("Deployment").get("metadata", {}).get("labels", {})
        return str(labels.get("app.kubernetes.io/version", ""))

    def _read(self, kind: str) -> dict[str, Any]:
        return self._application.deployed(kind, "demo-app") or {}

    def _switch(self, number: int, *, up: bool) -> None:
        port = int(self._running.endpoint.rpartition(":")[2])
        answers: Callable[[], bool] = lambda: accepts(port) == up  # noqa: E731  # short
        os.kill(self._running.pid, number)
        if not wait_until(answers, PATIENCE):
            raise TimeoutError(f"The S3 server has not {'come back' if up else 'gone away'}.")


def _chapter(title: str) -> None:
    tell(f"\n{title}")
