"""Own the rules on failures: each of its class, told in one finished sentence, without a secret."""

import logging
from pathlib import Path

import pytest

from cmp_core.errors import CmpError, SourceAccessError, SourceNotFoundError, TransientFetchError
from cmp_core.testing.suite import Suite, error_problems


class FailureRules(Suite):
    """What holds where a source cannot be fetched."""

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

    @pytest.mark.parametrize("state", ["published", "missing", "denied", "outage"])
    def test_no_secret_is_told_or_logged(self, tmp_path: Path, state: str, caplog: pytest.LogCaptureFixture) -> None:
        """No error, none behind it and no line of the log holds one: tracebacks are pasted into tickets."""
        values = self.publish(self.files) if state == "published" else getattr(self, state)()
        error: CmpError | None = None
        caplog.set_level(logging.DEBUG)

        try:
            self.fetch(values, tmp_path / "destination")
        except CmpError as raised:
            error = raised

        assert error is None or error_problems(error, self.all_secrets()) == []
        assert [text for text in caplog.messages if any(secret in text for secret in self.all_secrets())] == []
