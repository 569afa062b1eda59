"""The contract suite of the backend in `sound.py`, and of the copies of it that have a defect."""

import os
from collections.abc import Mapping
from typing import Any

import pytest

from cmp_core.testing import DiagnosisContract

TOKEN = "token-of-the-shelves-4711"

_LONG_AGO = 1_000_000_000  # seconds


class ShelfSuite(DiagnosisContract):
    """What the contract asks of an author, and everything that it only offers."""

    secrets = (TOKEN,)
    patience = 0.3

    @pytest.fixture(autouse=True)
    def _shelves(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.shelves = tmp_path_factory.mktemp("shelves")
        self.published = 0

    def variables(self) -> dict[str, str]:
        """Name the folder, the secret, and the shelf that is not for everyone."""
        return {"SHELVES": str(self.shelves), "SHELVES_TOKEN": TOKEN, "SHELVES_LOCKED": "locked"}

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Write the files to a new shelf."""
        self.published += 1
        shelf = self.shelves / str(self.published)
        for path, content in files.items():
            (shelf / path).parent.mkdir(parents=True, exist_ok=True)
            (shelf / path).write_bytes(content)
        return {"name": shelf.name}

    def publish_again(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Write them in another order, long ago."""
        values = super().publish_again(files)
        for path in (self.shelves / values["name"]).rglob("*"):
            os.utime(path, (_LONG_AGO, _LONG_AGO))
        return values

    def missing(self) -> dict[str, Any]:
        """Name a shelf that does not exist."""
        return {"name": "missing"}

    def denied(self) -> dict[str, Any]:
        """Name a shelf that may not be read."""
        return self._in_state("denied")

    def outage(self) -> dict[str, Any]:
        """Name a shelf that is out of reach."""
        return self._in_state("down")

    def stalled(self) -> dict[str, Any]:
        """Name a shelf that falls silent."""
        return self._in_state("silent")

    def refused(self) -> dict[str, Any] | None:
        """Name the shelf that the operator keeps."""
        (self.shelves / "locked").mkdir(exist_ok=True)
        (self.shelves / "locked" / "a.yaml").write_bytes(b"a: b\n")
        return {"name": "locked"}

    def _in_state(self, word: str) -> dict[str, Any]:
        (self.shelves / f"{word}.state").write_text(word, encoding="utf-8")
        return {"name": word}


class BaseSuite(ShelfSuite):
    """The same for a source that holds another, which brings everything."""

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Name the shelf in the source inside."""
        return self._around(super().publish(files))

    def publish_again(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Publish in another order."""
        return self.publish(dict(reversed(list(files.items()))))

    def missing(self) -> dict[str, Any]:
        """Name a missing one inside."""
        return self._around(super().missing())

    def refused(self) -> dict[str, Any] | None:
        """Leave it to the operator which backends there are."""
        return None

    def _around(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": "outer", "base": {"backend": "shelf", **values}}
