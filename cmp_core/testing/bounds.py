"""Own the rules on what a fetch may use: the limits to the byte, the time, and its own part of the process."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from cmp_core.errors import LimitExceededError
from cmp_core.testing.processes import ask_child
from cmp_core.testing.suite import Suite, files_below

AT_ONCE = 20
"""How many fetches run at once."""

_PATIENT = {"connect_timeout": 60, "read_timeout": 60}
"""The settings of a fetch that shares the processor with many."""


class BoundRules(Suite):
    """What holds for limits, time and company."""

    @pytest.mark.parametrize("limit", ["objects", "object_bytes", "total_bytes"])
    def test_a_limit_is_honoured_before_bytes_are_kept(self, tmp_path: Path, limit: str) -> None:
        """One over a limit is refused, and the surplus never reaches the disk."""
        destination = tmp_path / "destination"
        limits = self.exact_limits()
        limits = limits.model_copy(update={limit: getattr(limits, limit) - 1})

        with pytest.raises(LimitExceededError, match="limits"):
            self.fetch(self.publish(self.files), destination, limits=limits)

        kept = [path.stat().st_size for path in files_below(destination)]
        assert len(kept) <= limits.objects
        assert sum(kept) <= limits.total_bytes
        assert max(kept, default=0) <= limits.object_bytes

    def test_no_file_ever_grows_beyond_its_limit(self, tmp_path: Path) -> None:
        """It does not even for a moment: the kernel, which would refuse the first byte too many, is never asked."""
        limits = self.exact_limits()
        limits = limits.model_copy(update={"object_bytes": limits.object_bytes - 1})
        task = {"task": "bound", "destination": str(tmp_path / "destination"), "most_bytes": limits.object_bytes}

        answer = ask_child(self, self.publish(self.files), task, limits=limits)

        assert answer == {"outcome": "LimitExceededError"}

    def test_exactly_the_limits_are_allowed(self, tmp_path: Path) -> None:
        """A limit is the largest allowed value."""
        artifact = self.fetch(self.publish(self.files), tmp_path / "destination", limits=self.exact_limits())

        assert len(artifact.files) == len(self.files)

    @pytest.mark.parametrize("limit", ["objects", "object_bytes", "total_bytes"])
    def test_the_trigger_files_own_limits_hold_to_the_byte(self, tmp_path: Path, limit: str) -> None:
        """They are below the operator's, and honoured as these are."""
        values = self.publish(self.files)
        most = getattr(self.exact_limits(), limit)

        def limited(value: int) -> dict[str, Any]:
            return {**values, "limits": {to_camel(limit): value}}

        artifact = self.fetch(limited(most), tmp_path / "exact")
        with pytest.raises(LimitExceededError, match="limits"):
            self.fetch(limited(most - 1), tmp_path / "destination")

        kept = [path.stat().st_size for path in files_below(tmp_path / "destination")]
        assert len(artifact.files) == len(self.files)
        assert {"objects": len(kept), "object_bytes": max(kept, default=0), "total_bytes": sum(kept)}[limit] < most

    def test_time_that_runs_out_ends_a_fetch(self, tmp_path: Path) -> None:
        """It ends at every step with the error of the deadline, and leaves no thread, file or process behind."""
        stalled = self.stalled()
        task = {"task": "interrupt", "destination": str(tmp_path / "destination"), "stalled": stalled}

        answer = ask_child(self, self.publish(self.files), {**task, "patience": self.patience})

        assert answer["asked"], "it never asks how much time is left"
        assert answer["outcomes"]["0"] == "DeadlineExceededError"
        assert set(answer["outcomes"].values()) <= {"DeadlineExceededError", answer["whole"]}
        assert (answer["left"], answer["files"]) == ([], [])
        if stalled is not None:
            assert answer["stalled"] == {"outcome": "DeadlineExceededError", "is_late": False}

    def test_twenty_fetches_at_once_agree(self, tmp_path: Path) -> None:
        """The host fetches the sources inside of a source in several threads."""
        values = self.publish(self.files)
        alone = self.fetch(values, tmp_path / "alone")
        start = Barrier(AT_ONCE)

        def fetch(number: int) -> tuple[tuple[str, ...], str, str]:
            start.wait(60)
            artifact = self.fetch(values, tmp_path / f"{number}", **_PATIENT)
            return artifact.files, artifact.revision, artifact.digest

        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = list(threads.map(fetch, range(AT_ONCE)))

        assert set(found) == {(alone.files, alone.revision, alone.digest)}
