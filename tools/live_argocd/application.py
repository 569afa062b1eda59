"""Own what a person does with an Application and sees of it: refresh, state, error, and the wait for them."""

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from tools.live_argocd.kubernetes import Kubernetes, Manifest
from tools.processes import wait_until

PATIENCE = 60.0
REFRESH = "argocd.argoproj.io/refresh"

_PLUGIN_SAYS = re.compile(r"failed exit status (?P<code>\d+): (?P<text>.*)", re.DOTALL)
_REQUEST = re.compile(r" \[request [0-9a-f]+\]")


class Told(NamedTuple):
    """What our plugin says in an Application's error, without the id of the request.

    Attributes:
        code: The exit code.
        text: All of its stderr.
    """

    code: int
    text: str


class Application(NamedTuple):
    """An Application in the API server.

    Attributes:
        kubernetes: The API server.
        name: Its name, and that of the namespace that it deploys to.
        namespace: Argo CD's own namespace.
    """

    kubernetes: Kubernetes
    name: str
    namespace: str

    def read(self) -> dict[str, Any]:
        """Return it as the API server has it."""
        found = self.kubernetes.find("Application", self.name, self.namespace)
        if not found:
            raise LookupError(f"There is no Application {self.name} in {self.namespace}")
        return found

    def status(self) -> dict[str, Any]:
        """Return what Argo CD says of it; empty before it has looked."""
        status: dict[str, Any] = self.read().get("status", {})
        return status

    def sync_status(self) -> str:
        """Return Synced, OutOfSync or Unknown; empty before Argo CD has looked."""
        return str(self.status().get("sync", {}).get("status", ""))

    def synced_revision(self) -> str:
        """Return the commit that the last sync has deployed with success; empty if there is none."""
        operation = self.status().get("operationState", {})
        revision = operation.get("syncResult", {}).get("revision", "")
        return str(revision) if operation.get("phase") == "Succeeded" else ""

    def history(self) -> list[str]:
        """Return the commits of its history, the oldest first."""
        return [entry["revision"] for entry in self.status().get("history", [])]

    def error(self) -> str:
        """Return the text of its error, on however many lines; empty if it has none."""
        conditions = self.status().get("conditions", [])
        return "\n".join(each["message"] for each in conditions if each["type"].endswith("Error"))

    def told(self) -> Told | None:
        """Return what our plugin says in the error; None if that is not in it."""
        match = _PLUGIN_SAYS.search(self.error())
        return Told(int(match["code"]), _REQUEST.sub("", match["text"])) if match else None

    def deployed(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return an object that it has deployed; None if there is none."""
        return self.kubernetes.find(kind, name, self.name)

    def value(self, name: str = "demo", key: str = "version") -> str | None:
        """Return what a ConfigMap that it has deployed holds; None if there is none."""
        found = self.deployed("ConfigMap", name)
        return found["data"][key] if found else None

    def change(self, patch: Manifest) -> None:
        """Change fields of it."""
        self.kubernetes.merge("Application", self.name, self.namespace, patch)

    def refresh(self, kind: str = "normal", *, seconds: float = PATIENCE) -> float:
        """Ask for a refresh, `normal` or `hard`, wait for its end, and return how many seconds that took."""
        began = time.monotonic()
        self.ask_to_refresh(kind)
        self.wait_for_refresh(seconds=seconds)
        return time.monotonic() - began

    def ask_to_refresh(self, kind: str = "normal") -> None:
        """Ask for a refresh, and do not wait."""
        self.change({"metadata": {"annotations": {REFRESH: kind}}})

    def wait_for_refresh(self, *, seconds: float = PATIENCE) -> None:
        """Wait for the end of the refresh that was asked for."""
        self.wait("the end of a refresh", self._is_refreshed, seconds=seconds)

    def wait(self, what: str, condition: Callable[[], object], *, seconds: float = PATIENCE) -> float:
        """Wait until the condition holds, and return how many seconds that took.

        Raises:
            TimeoutError: It does not within so many seconds; the text says what Argo CD says of the Application.
        """
        began = time.monotonic()
        if not wait_until(condition, seconds):
            state = f"{self.sync_status() or 'nothing'}, {self.error() or 'no error'}"
            raise TimeoutError(f"{self.name}: {what} did not come within {seconds:.0f} s; Argo CD says: {state}")
        return time.monotonic() - began

    def delete(self) -> None:
        """Delete it with all that it has deployed, and wait until it is gone."""
        self.kubernetes.delete("Application", self.name, self.namespace)
        self.wait("its end", lambda: not self.kubernetes.find("Application", self.name, self.namespace))

    def _is_refreshed(self) -> bool:
        return REFRESH not in self.read()["metadata"].get("annotations", {})
