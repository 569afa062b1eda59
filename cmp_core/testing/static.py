"""Own the rules that need no source; `cmp-core backends --check` asks the same of an installed backend."""

from pathlib import Path

import pytest

from cmp_core.environment import BuildEnvironment
from cmp_core.errors import SourceValidationError
from cmp_core.inspection import announcement_problems, import_alone, import_problems, schema_problems
from cmp_core.testing.suite import Suite

_HOSTILE = "raise SystemExit('imported from the working directory')\n"


class StaticRules(Suite):
    """What holds for a backend that is only installed."""

    def test_importing_it_loads_no_sdk_and_opens_no_socket(self, tmp_path: Path) -> None:
        """Offline commands load every backend, in somebody's repository, so its module is light, quiet and careful."""
        folder = tmp_path / "repository"
        folder.mkdir()
        for name in ("conftest.py", "json.py", "pydantic.py", "settings.yaml", "yaml.py", ".env"):
            (folder / name).write_text(_HOSTILE, encoding="utf-8")
        folder.chmod(0o500)

        found = import_alone(self.load().installed, BuildEnvironment(), folder)

        assert import_problems(found, self.sdks) == []

    def test_its_schema_describes_every_key(self) -> None:
        """Editors, the parameters in Argo CD's UI and the reference are made of the descriptions."""
        assert schema_problems(self.load()) == []

    def test_its_parameters_are_what_argo_cd_reads(self) -> None:
        """Argo CD refuses the whole list for one parameter of another shape."""
        assert announcement_problems(self.load().model) == []

    def test_an_unknown_key_is_refused(self) -> None:
        """A misspelt key must never be ignored: it might be a filter."""
        values = self.publish(self.files) | {"noSuchKey": "x"}

        with pytest.raises(SourceValidationError, match="noSuchKey"):
            self.read_source(values)

    def test_it_names_its_location(self) -> None:
        """The line before a fetch says from where."""
        source = self.read_source(self.publish(self.files))

        assert source.location
        assert not [secret for secret in self.all_secrets() if secret in source.location]
