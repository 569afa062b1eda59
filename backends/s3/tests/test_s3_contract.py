"""The s3 backend holds to the contract of every backend."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cmp_core.testing import CannotPublishError, DiagnosisContract


class TestS3(DiagnosisContract):
    """The shared suite, on moto behind a server that refuses or fails where a rule asks for it."""

    backend = "s3"
    unsafe_names = ("../a.yaml", "a/../../b.yaml", "/a.yaml", "a//b.yaml", "./a.yaml", "plain.yaml/b.yaml")
    secrets = ("secret/of+the/test+that/no+message/may+show",)

    @pytest.fixture(autouse=True)
    def _service(self, put: Any, bucket: str, faults: Any) -> None:
        self.put, self.bucket, self.faults = put, bucket, faults
        self.published = 0

    def variables(self) -> dict[str, str]:
        """Name the endpoint as the sidecar's environment does."""
        return {"AWS_ENDPOINT_URL_S3": self.faults.url}

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Put the files below a new prefix."""
        self.published += 1
        try:
            self.put({f"{self.published}/{path}": content for path, content in files.items()})
        except ClientError as error:
            raise CannotPublishError from error  # moto takes no key with a line break
        return {"bucket": self.bucket, "path": str(self.published)}

    def stalled(self) -> dict[str, Any]:
        """Begin an answer to whoever asks for one prefix, and never end it."""

        def begin(request: Any, _ask: Any) -> Any:
            stalls = "stalled" in request.query + request.path
            return self.faults.Reply(body=b"<ListBucketResult>" * 9, sent=20, stalls=True) if stalls else None

        self.faults.script = begin
        return {"bucket": self.bucket, "path": "stalled"}

    def missing(self) -> dict[str, Any]:
        """Name a prefix without objects."""
        return {"bucket": self.bucket, "path": "missing"}

    def denied(self) -> dict[str, Any]:
        """Deny everything, as a policy does."""
        self.faults.script = lambda *_: self.faults.Reply.error(403, "AccessDenied", "Access Denied")
        return {"bucket": self.bucket, "path": "missing"}

    def outage(self) -> dict[str, Any]:
        """Fail at everything, as a service does that is down."""
        self.faults.script = lambda *_: self.faults.Reply.error(503, "ServiceUnavailable")
        return {"bucket": self.bucket, "path": "missing"}
