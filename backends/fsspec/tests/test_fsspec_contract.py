"""The fsspec backend holds to the contract of every backend, here with a web server."""

from collections.abc import Mapping
from typing import Any

import pytest
from cmp_backend_fsspec import diagnose
from cmp_backend_fsspec.source import FsspecSource

from cmp_core import BuildEnvironment, PolicyError
from cmp_core.testing import SDKS, DiagnosisContract


class TestFsspecOnTheWeb(DiagnosisContract):
    """The shared suite, for folders that a web server lists."""

    backend = "fsspec"
    secrets = ("secret-of-the-test",)
    sdks = (*SDKS, "adlfs", "fsspec", "gcsfs", "yarl")

    @pytest.fixture(autouse=True)
    def _web(self, web: Any) -> None:
        self.web, self.published = web, 0

    def environment(self, **settings: Any) -> BuildEnvironment:
        """Allow the server, and a port that nobody listens on."""
        allow = [self.web.url, "http://127.0.0.1:1"]
        return super().environment(**settings, backends={"fsspec": {"allow": allow}})

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Put the files into a new folder of the server."""
        "".join(files).encode()  # no web page can hold a name that is no text
        self.published += 1
        folder = f"/published/{self.published}/"
        self.web.files |= {f"{folder}{path}": content for path, content in files.items()}
        return {"url": f"{self.web.url}{folder}"}

    def missing(self) -> dict[str, Any]:
        """Name a folder that the server does not have."""
        return {"url": f"{self.web.url}/missing/"}

    def denied(self) -> dict[str, Any]:
        """Name a folder that the server does not show."""
        self.web.answers["/denied/"] = lambda handler: handler.answer_with(b"secret-of-the-test", status=403)
        return {"url": f"{self.web.url}/denied/"}

    def outage(self) -> dict[str, Any]:
        """Name a port that nobody listens on."""
        return {"url": "http://127.0.0.1:1/x/"}


def test_a_url_that_is_not_allowed_is_diagnosed_so(web: Any) -> None:
    """Without a word to the server."""
    source = FsspecSource.model_validate({"url": f"{web.url}/a.yaml"})

    (finding,) = diagnose(source=source, environment=BuildEnvironment())

    assert (finding.check, finding.outcome, finding.error) == ("allow", "failed", PolicyError)
    assert f"add `{web.url}` to `backends.fsspec.allow`" in finding.remedy
    assert web.asked == []


def test_a_sidecar_that_allows_nothing_is_told_so() -> None:
    """Most have no need of it."""
    (finding,) = diagnose(source=None, environment=BuildEnvironment())

    assert (finding.check, finding.outcome) == ("allow", "skipped")
