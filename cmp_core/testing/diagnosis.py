"""Own the rules for a backend that implements `diagnose` as well."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cmp_core.errors import FetchError
from cmp_core.finding import Finding
from cmp_core.testing.contract import BackendContract


class DiagnosisContract(BackendContract):
    """What is relied on in a backend that implements `diagnose` as well: derive from this in place of the other."""

    def diagnose(self, values: Mapping[str, Any] | None) -> list[Finding]:
        """Return what the backend finds of the source that `values` describe, or of the sidecar alone."""
        source = None if values is None else self.read_source(values)
        return list(self.load().diagnose(source, self.environment()))

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
        assert [text for text in texts if any(secret in text for secret in self.all_secrets())] == []
        assert [text for text in texts if len(text) > 1000] == []

    def test_a_diagnosis_writes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is made in the application's folder, which is somebody's Git repository."""
        values = self.publish(self.files)
        around = tmp_path / "around"
        around.mkdir()
        monkeypatch.chdir(around)

        self.diagnose(values)

        assert list(around.iterdir()) == []
