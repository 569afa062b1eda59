"""The helm backend holds to the contract of every backend."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cmp_core import Artifact
from cmp_core.testing import BackendContract


class TestHelm(BackendContract):
    """The shared suite, for charts in folders of the example's backend, and for an S3 that fails."""

    backend = "helm"
    secrets = ("secret/of+the/test+that/no+message/may+show",)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path_factory: pytest.TempPathFactory, failing_s3: Any) -> None:
        self.folder, self.failing_s3 = tmp_path_factory.mktemp("published"), failing_s3
        self.published = 0

    def fetch(self, values: Mapping[str, Any], destination: Path, **settings: Any) -> Artifact:
        """Return what lies in the chart's folder."""
        whole = super().fetch(values, destination, **settings)
        return Artifact.from_directory(whole.root / "chart", revision=whole.revision)

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Write the files into a new folder."""
        self.published += 1
        root = self.folder / str(self.published)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        return {"chart": {"backend": "local", "path": str(root)}}

    def missing(self) -> dict[str, Any]:
        """Name a folder that does not exist."""
        return {"chart": {"backend": "local", "path": str(self.folder / "missing")}}

    def denied(self) -> dict[str, Any]:
        """Ask S3 for a chart without credentials."""
        return self._in_s3()

    def outage(self) -> dict[str, Any]:
        """Ask an S3 that nobody serves."""
        return self._in_s3(AWS_ACCESS_KEY_ID="AKIATESTTESTTEST1234", AWS_SECRET_ACCESS_KEY=self.secrets[0])

    def _in_s3(self, **credentials: str) -> dict[str, Any]:
        return {"chart": self.failing_s3("charts/demo.tgz", **credentials)}
