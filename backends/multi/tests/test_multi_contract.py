"""The multi backend keeps the contract of every backend."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cmp_core import Artifact
from cmp_core.testing import BackendContract


class TestMulti(BackendContract):
    """The contract, for one source of the example's backend among the several that there could be."""

    backend = "multi"
    secrets = ("secret/of+the/test+that/no+message/may+show",)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, failing_s3: Any) -> None:
        self.folder, self.failing_s3 = tmp_path / "published", failing_s3
        self.published = 0

    def fetch(self, values: Mapping[str, Any], destination: Path, **settings: Any) -> Artifact:
        """Return what lies in the folder of the one source."""
        whole = super().fetch(values, destination, **settings)
        return Artifact.from_directory(whole.root / "one", revision=whole.revision)

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Write the files into a new folder."""
        self.published += 1
        root = self.folder / str(self.published)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        return one_source(root)

    def missing(self) -> dict[str, Any]:
        """Name a folder that does not exist."""
        return one_source(self.folder / "missing")

    def denied(self) -> dict[str, Any]:
        """Ask S3 without credentials."""
        return self._in_s3()

    def outage(self) -> dict[str, Any]:
        """Ask an S3 that nobody serves."""
        return self._in_s3(AWS_ACCESS_KEY_ID="AKIATESTTESTTEST1234", AWS_SECRET_ACCESS_KEY=self.secrets[0])

    def _in_s3(self, **credentials: str) -> dict[str, Any]:
        return {"sources": [{"name": "one", **self.failing_s3("apps/demo", **credentials)}]}


def one_source(root: Path) -> dict[str, Any]:
    """Return the keys of a source that holds one."""
    return {"sources": [{"name": "one", "backend": "local", "path": str(root)}]}
