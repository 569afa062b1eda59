"""The backend for a folder keeps the contract of every backend."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cmp_core.testing import BackendContract


class TestLocal(BackendContract):
    """The contract, for folders that are made for each test."""

    backend = "local"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "published"
        self.published = 0

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Write the files into a new folder."""
        self.published += 1
        root = self.folder / str(self.published)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        return {"path": str(root)}

    def missing(self) -> dict[str, Any]:
        """Name a folder that does not exist."""
        return {"path": str(self.folder / "missing")}

    def denied(self) -> dict[str, Any]:
        """Name a folder that nobody may list."""
        self.folder.mkdir(mode=0o000)
        return {"path": str(self.folder)}

    def outage(self) -> dict[str, Any]:
        """Name nothing: a disk is there or it is not."""
        return self.missing()

    @pytest.mark.xfail(os.geteuid() == 0, reason="root may read every folder")
    def test_a_denied_source_is_an_access_error(self, tmp_path: Path) -> None:
        """A folder that nobody may list."""
        super().test_a_denied_source_is_an_access_error(tmp_path)

    @pytest.mark.xfail(reason="a folder on the disk knows no outage")
    def test_an_outage_is_worth_another_try(self, tmp_path: Path) -> None:
        """There is none to show."""
        super().test_an_outage_is_worth_another_try(tmp_path)
