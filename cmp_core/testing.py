"""Own the contract suite: the tests that every backend must pass, to be subclassed by its own tests.

A backend's test module makes it run with what only the backend knows::

    class TestFolder(BackendContract):
        backend = "folder"

        def publish(self, files):
            ...put the files where the backend reads them...
            return {"path": str(folder)}

        def missing(self):
            return {"path": "/no/such/folder"}

        def denied(self):
            ...

        def outage(self):
            ...

Where a backend cannot show one of the rules, it says so in the open. Override the test, since a mark on the
inherited one would be a mark for every backend::

        @pytest.mark.xfail(reason="…")
        def test_x(self, tmp_path):
            super().test_x(tmp_path)
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cmp_core.artifact import Artifact
from cmp_core.environment import BuildEnvironment
from cmp_core.errors import (
    FetchError,
    LimitExceededError,
    SourceAccessError,
    SourceNotFoundError,
    SourceValidationError,
    TransientFetchError,
)
from cmp_core.finding import Finding
from cmp_core.installed import find_backend, installed_backends
from cmp_core.manager import Backend, load_backend
from cmp_core.models import Limits
from cmp_core.nesting import Nesting
from cmp_core.schema import trigger_schema
from cmp_core.settings import Settings
from cmp_core.trigger import validated

SDKS = (
    "aiobotocore",
    "aiohttp",
    "azure",
    "boto3",
    "botocore",
    "fsspec",
    "google",
    "httpx",
    "requests",
    "s3fs",
    "urllib3",
)
"""Packages that a backend may use, but not load before it fetches."""

FILES: Mapping[str, bytes] = {
    "deployment.yaml": b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: demo}\n",
    "nested/deeper/service.yaml": b"apiVersion: v1\nkind: Service\nmetadata: {name: demo}\n",
    "nested/note.txt": b"\x00\xff not text",
}

_LIGHT_IMPORT = """
import importlib, json, socket, sys
def refuse(*_args, **_kwargs): raise SystemExit("opened a socket")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
importlib.import_module(sys.argv[1].partition(":")[0])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


class BackendContract:
    """What the host and its users rely on in every backend.

    Attributes:
        backend: The name of the entry point under test.
        secrets: Texts that no message may hold: the credentials that the tests use.
        sdks: Packages that must not be loaded by importing the backend.
        files: What the tests publish. Where the source holds its files in a container that the limits count too,
            name some that take up less in there than by themselves; keep the paths.
    """

    backend: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]] = ()
    sdks: ClassVar[tuple[str, ...]] = SDKS
    files: ClassVar[Mapping[str, bytes]] = FILES

    def publish(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Put `files` where the backend reads them, each time in a new place; return a trigger file's keys."""
        raise NotImplementedError

    def missing(self) -> dict[str, Any]:
        """Return the keys of a source that does not exist."""
        raise NotImplementedError

    def denied(self) -> dict[str, Any]:
        """Return the keys of a source that exists and may not be read."""
        raise NotImplementedError

    def outage(self) -> dict[str, Any]:
        """Return the keys of a source whose service does not answer."""
        raise NotImplementedError

    def variables(self) -> dict[str, str]:
        """Return the sidecar's own variables for a fetch."""
        return {}

    def environment(self, **settings: Any) -> BuildEnvironment:
        """Return a build environment with the given operator's settings, and one quick attempt at each call."""
        quick = {"connect_timeout": 1, "read_timeout": 2, "max_attempts": 1, "store_bytes": 0}
        return BuildEnvironment(
            settings=Settings.model_validate(quick | settings, by_alias=False, by_name=True), variables=self.variables()
        )

    def exact_limits(self) -> Limits:
        """Return the limits that the files just keep."""
        sizes = list(map(len, self.files.values()))
        return Limits.model_validate(
            {"objects": len(sizes), "object_bytes": max(sizes), "total_bytes": sum(sizes)}, by_alias=False, by_name=True
        )

    def load(self) -> Backend:
        """Return the loaded backend."""
        return load_backend(find_backend(self.backend, installed_backends()))

    def fetch(self, values: Mapping[str, Any], destination: Path, **settings: Any) -> Artifact:
        """Fetch the source that `values` describe into a new folder."""
        backend = self.load()
        source = validated(backend.model, values, lambda _path: "contract")
        destination.mkdir(parents=True)
        environment = self.environment(**settings)
        return backend.fetch(source, destination, environment, Nesting(source, environment, "contract"))

    def test_importing_it_loads_no_sdk_and_opens_no_socket(self) -> None:
        """Offline commands load every backend, so its module is light and quiet."""
        target = find_backend(self.backend, installed_backends()).target

        result = subprocess.run(
            [sys.executable, "-c", _LIGHT_IMPORT, target], capture_output=True, text=True, check=False, timeout=60
        )

        assert result.returncode == 0, result.stderr
        assert not set(json.loads(result.stdout)) & set(self.sdks)

    def test_its_schema_describes_every_key(self) -> None:
        """Editors, the parameters in Argo CD's UI and the reference are made of the descriptions."""
        schema = trigger_schema(self.load().model, f"{self.backend}-source.yaml")

        keys = {key: value for key, value in schema["properties"].items() if key not in {"kind", "metadata"}}
        assert json.loads(json.dumps(schema)) == schema
        assert [key for key, value in keys.items() if not value.get("description")] == []

    def test_an_unknown_key_is_refused(self) -> None:
        """A misspelt key must never be ignored: it might be a filter."""
        values = self.publish(self.files) | {"noSuchKey": "x"}

        with pytest.raises(SourceValidationError, match="noSuchKey"):
            validated(self.load().model, values, lambda _path: "contract")

    def test_it_names_its_location(self) -> None:
        """The line before a fetch says from where."""
        source = validated(self.load().model, self.publish(self.files), lambda _path: "contract")

        assert source.location
        assert not [secret for secret in self.secrets if secret in source.location]

    def test_what_was_published_arrives_byte_for_byte(self, tmp_path: Path) -> None:
        """A fetch brings every file, in every folder, as it is."""
        artifact = self.fetch(self.publish(self.files), tmp_path / "destination")

        assert {path: (artifact.root / path).read_bytes() for path in artifact.files} == dict(self.files)
        assert artifact.size == sum(map(len, self.files.values()))

    def test_the_same_content_gives_the_same_artifact(self, tmp_path: Path) -> None:
        """Two fetches of one state agree in files, order, revision and digest."""
        values = self.publish(self.files)

        first = self.fetch(values, tmp_path / "first")
        second = self.fetch(values, tmp_path / "second")

        assert (first.files, first.revision, first.digest) == (second.files, second.revision, second.digest)

    def test_other_content_gives_another_revision(self, tmp_path: Path) -> None:
        """A revision stands for one content."""
        changed = dict(self.files) | {"deployment.yaml": b"apiVersion: v1\nkind: Pod\n"}

        first = self.fetch(self.publish(self.files), tmp_path / "first")
        second = self.fetch(self.publish(changed), tmp_path / "second")

        assert first.digest != second.digest
        assert first.revision != second.revision

    def test_nothing_is_written_outside_the_destination(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The folder around the destination is somebody's Git repository."""
        values = self.publish(self.files)
        around = tmp_path / "around"
        around.mkdir()
        monkeypatch.chdir(around)

        self.fetch(values, around / "destination")

        assert [path.name for path in around.iterdir()] == ["destination"]

    @pytest.mark.parametrize("limit", ["objects", "object_bytes", "total_bytes"])
    def test_a_limit_is_honoured_before_bytes_are_kept(self, tmp_path: Path, limit: str) -> None:
        """One over a limit is refused, and the surplus never reaches the disk."""
        destination = tmp_path / "destination"
        limits = self.exact_limits()
        limits = limits.model_copy(update={limit: getattr(limits, limit) - 1})

        with pytest.raises(LimitExceededError, match="limits"):
            self.fetch(self.publish(self.files), destination, limits=limits)

        kept = [path.stat().st_size for path in destination.rglob("*") if path.is_file()]
        assert len(kept) <= limits.objects
        assert sum(kept) <= limits.total_bytes
        assert max(kept, default=0) <= limits.object_bytes

    def test_exactly_the_limits_are_allowed(self, tmp_path: Path) -> None:
        """A limit is the largest allowed value."""
        artifact = self.fetch(self.publish(self.files), tmp_path / "destination", limits=self.exact_limits())

        assert len(artifact.files) == len(self.files)

    def test_a_missing_source_is_not_found(self, tmp_path: Path) -> None:
        """What does not exist is told apart from what may not be read."""
        self.expect(SourceNotFoundError, self.missing(), tmp_path)

    def test_a_denied_source_is_an_access_error(self, tmp_path: Path) -> None:
        """What may not be read is told apart from what does not exist."""
        self.expect(SourceAccessError, self.denied(), tmp_path)

    def test_an_outage_is_worth_another_try(self, tmp_path: Path) -> None:
        """What does not answer is told apart from what is wrong, because trying again may help."""
        error = self.expect(TransientFetchError, self.outage(), tmp_path)

        assert error.retryable

    def expect(self, kind: type[FetchError], values: Mapping[str, Any], tmp_path: Path) -> FetchError:
        """Fetch, and return the error of class `kind` that comes; it is one short sentence without a secret."""
        with pytest.raises(kind) as caught:
            self.fetch(values, tmp_path / "destination")

        message = str(caught.value)
        assert 0 < len(message) < 1000
        assert "Traceback" not in message
        assert not [secret for secret in self.secrets if secret in message]
        return caught.value


class DiagnosisContract(BackendContract):
    """What is relied on in a backend that implements `diagnose` as well: derive from this in place of the other."""

    def diagnose(self, values: Mapping[str, Any] | None) -> list[Finding]:
        """Return what the backend finds of the source that `values` describe, or of the sidecar alone."""
        backend = self.load()
        source = None if values is None else validated(backend.model, values, lambda _path: "contract")
        return list(backend.diagnose(source, self.environment()))

    def test_a_sound_source_has_no_failure(self) -> None:
        """What a fetch would bring, its diagnosis finds in order; and it finds something."""
        findings = self.diagnose(self.publish(self.files))

        assert "ok" in [finding.outcome for finding in findings]
        assert [finding for finding in findings if finding.outcome in {"warning", "failed"}] == []

    @pytest.mark.parametrize("state", ["missing", "denied", "outage"])
    def test_a_source_that_fails_is_diagnosed_with_its_error(self, tmp_path: Path, state: str) -> None:
        """The first failure is of the class that a fetch raises, and says what to do."""
        values = getattr(self, state)()
        with pytest.raises(FetchError) as raised:
            self.fetch(values, tmp_path / "destination")

        failed = [finding for finding in self.diagnose(values) if finding.outcome == "failed"]

        assert failed[0].error is type(raised.value)
        assert failed[0].remedy

    def test_the_sidecar_is_diagnosed_without_a_source(self) -> None:
        """Whoever has no trigger file yet learns whether the sidecar works."""
        findings = self.diagnose(None)

        assert "ok" in [finding.outcome for finding in findings]
        assert [finding for finding in findings if finding.outcome == "failed"] == []

    @pytest.mark.parametrize("state", ["missing", "denied", "outage"])
    def test_no_finding_tells_a_secret(self, state: str) -> None:
        """A report is pasted into tickets."""
        findings = [*self.diagnose(self.publish(self.files)), *self.diagnose(getattr(self, state)())]

        texts = [text for finding in findings for text in (finding.message, finding.remedy)]
        assert [text for text in texts if any(secret in text for secret in self.secrets) or len(text) > 1000] == []

    def test_a_diagnosis_writes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is made in the application's folder, which is somebody's Git repository."""
        values = self.publish(self.files)
        around = tmp_path / "around"
        around.mkdir()
        monkeypatch.chdir(around)

        self.diagnose(values)

        assert list(around.iterdir()) == []
