"""The shelf backend keeps the contract of every backend."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cmp_core.testing import DiagnosisContract


class TestShelf(DiagnosisContract):
    """The contract, for folders on a volume that is made for each test."""

    backend = "shelf"

    @pytest.fixture(autouse=True)
    def _volume(self, tmp_path: Path) -> None:
        self.volume = tmp_path / "volume"
        self.volume.mkdir()
        self.published = 0

    def variables(self) -> dict[str, str]:
        """Say where the volume is mounted."""
        return {"SHARED_SHELF": str(self.volume)}

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Write the files into a new folder."""
        self.published += 1
        folder = self.volume / str(self.published)
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        return {"path": folder.name}

    def missing(self) -> dict[str, Any]:
        """Name a folder that does not exist."""
        return {"path": "no-such-folder"}

    def denied(self) -> dict[str, Any]:
        """Name a link that leads out of the volume."""
        (self.volume / "link").symlink_to("/etc")
        return {"path": "link"}

    def outage(self) -> dict[str, Any]:
        """Unmount the volume."""
        self.volume = self.volume / "not-mounted"
        return {"path": "apps/demo"}
