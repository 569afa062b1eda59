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

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "published"
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
        """Name nothing: the example's backend denies nothing to root."""
        return self.missing()

    def outage(self) -> dict[str, Any]:
        """Name nothing: the example's backend knows no outage."""
        return self.missing()

    @pytest.mark.xfail(reason="the source inside, a folder on the disk, denies nothing to root")
    def test_a_denied_source_is_an_access_error(self, tmp_path: Path) -> None:
        """There is none to show."""
        super().test_a_denied_source_is_an_access_error(tmp_path)

    @pytest.mark.xfail(reason="the source inside, a folder on the disk, knows no outage")
    def test_an_outage_is_worth_another_try(self, tmp_path: Path) -> None:
        """There is none to show."""
        super().test_an_outage_is_worth_another_try(tmp_path)


def one_source(root: Path) -> dict[str, Any]:
    """Return the keys of a source that holds one."""
    return {"sources": [{"name": "one", "backend": "local", "path": str(root)}]}
