"""The tarball backend holds to the contract of every backend."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cmp_core.testing import SDKS, BackendContract


class TestTarball(BackendContract):
    """The shared suite, for archives in folders of the example's backend, and for an S3 that fails."""

    backend = "tarball"
    unsafe_names = ("../a.yaml", "a/../../b.yaml", "/a.yaml", "a//b.yaml", "plain.yaml/b.yaml")
    secrets = ("secret/of+the/test+that/no+message/may+show",)
    sdks = (*SDKS, "tarfile", "zstandard")
    files: ClassVar[Mapping[str, bytes]] = {
        "deployment.yaml": b"apiVersion: apps/v1\nkind: Deployment\n" + b"# \n" * 1000,
        "nested/deeper/service.yaml": b"apiVersion: v1\nkind: Service\n" + b"# \n" * 2000,
        "nested/note.txt": b"\x00\xff not text" * 500,
    }

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path_factory: pytest.TempPathFactory, pack: Any, failing_s3: Any) -> None:
        self.folder, self.pack, self.failing_s3 = tmp_path_factory.mktemp("published"), pack, failing_s3
        self.published = 0

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Pack the files into an archive in a new folder."""
        self.published += 1
        folder = self.folder / str(self.published)
        folder.mkdir()
        (folder / "release.tgz").write_bytes(self.pack(files))
        return {"source": {"backend": "local", "path": str(folder)}}

    def publish_again(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Pack the files in another order, a minute later."""
        values = super().publish_again(files)
        archive = Path(values["source"]["path"]) / "release.tgz"
        archive.write_bytes(self.pack(dict(reversed(list(files.items()))), seconds=60))
        return values

    def missing(self) -> dict[str, Any]:
        """Name a folder that does not exist."""
        return {"source": {"backend": "local", "path": str(self.folder / "missing")}}

    def denied(self) -> dict[str, Any]:
        """Ask S3 for an archive without credentials."""
        return self._in_s3()

    def outage(self) -> dict[str, Any]:
        """Ask an S3 that nobody serves."""
        return self._in_s3(AWS_ACCESS_KEY_ID="AKIATESTTESTTEST1234", AWS_SECRET_ACCESS_KEY=self.secrets[0])

    def _in_s3(self, **credentials: str) -> dict[str, Any]:
        return {"source": self.failing_s3("releases/demo.tgz", **credentials)}

    def test_the_files_take_up_less_in_the_archive_than_by_themselves(self) -> None:
        """So the limits of the suite are met by what is unpacked, not by the archive."""
        assert len(self.pack(self.files)) < min(map(len, self.files.values()))
