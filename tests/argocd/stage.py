"""Own what one test plays on: an Application with a Git repository and a bucket of its own in a whole Argo CD."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools import buckets
from tools.live_argocd import objects
from tools.live_argocd.application import Application
from tools.live_argocd.installation import Installation
from tools.live_argocd.repository import Repository

PREFIX = "apps/demo/"
EVERYTHING = ("demo", "other")
"""The objects of the first release."""


@dataclass(frozen=True)
class Stage:
    """One Application, of which nobody else uses anything.

    Attributes:
        installation: The Argo CD.
        application: The Application; its name is also that of its namespace and of its bucket.
        repository: The Git repository that it reads.
    """

    installation: Installation
    application: Application
    repository: Repository

    @property
    def s3(self) -> Any:
        """A client of the S3 server."""
        return self.installation.storage.client

    @property
    def bucket(self) -> str:
        """The bucket."""
        return self.application.name

    def publish(self, version: str) -> None:
        """Upload both objects, the one in this version, as CI would."""
        self.upload({"demo.yaml": config_map("demo", version=version), "other.yaml": config_map("other", version="1")})

    def upload(self, files: Mapping[str, bytes]) -> None:
        """Put objects below the prefix."""
        keys = {PREFIX + name: content for name, content in files.items()}
        buckets.upload(self.s3, keys, self.bucket)

    def commit(self, version: str) -> str:
        """Commit the trigger file with this version, and return the commit."""
        return self.repository.commit({"app/s3-source.yaml": self.trigger(version)}, f"Release {version}")

    def trigger(self, version: str) -> str:
        """Return the trigger file."""
        return f"bucket: {self.bucket}\npath: {PREFIX.rstrip('/')}\nversion: {version}\n"

    def create(self, **options: Any) -> None:
        """Create the Application."""
        name, namespace = self.application.name, self.application.namespace
        self.application.kubernetes.apply(
            objects.application(name, namespace, self.repository.url, objects.Options(**options))
        )

    def exists(self) -> bool:
        """Tell whether the Application has been created."""
        return bool(self.application.kubernetes.find("Application", self.application.name, self.application.namespace))

    def go_live(self, **options: Any) -> float:
        """Create the Application with its first release, wait for it, and return how many seconds that took."""
        self.publish("v1")
        self.commit("v1")
        self.create(**options)
        return self.arrives("v1")

    def arrives(self, version: str, *, seconds: float = 60.0) -> float:
        """Wait until this version runs and Argo CD calls it Synced, and return how many seconds that took."""

        def is_there() -> bool:
            return self.application.value() == version and self.application.sync_status() == "Synced"

        return self.application.wait(f"version {version}", is_there, seconds=seconds)

    def live(self) -> dict[str, str]:
        """Return the unique ids of what it has deployed: an object that is made anew has another one."""
        found = {name: self.application.deployed("ConfigMap", name) for name in EVERYTHING}
        return {name: item["metadata"]["uid"] for name, item in found.items() if item}


def config_map(name: str, **values: str) -> bytes:
    """Return a manifest."""
    whole = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": values}
    return json.dumps(whole).encode() + b"\n"
