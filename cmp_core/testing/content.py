"""Own the rules on what a fetch brings: all of it, as it is, the same each time, and nothing elsewhere."""

from pathlib import Path
from typing import Any

import pytest

from cmp_core.artifact import Artifact
from cmp_core.errors import IntegrityError
from cmp_core.testing.processes import ask_children
from cmp_core.testing.suite import CannotPublishError, Suite, contents, error_problems, fetch_whole, rendered

_PLAIN = {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
_SHUFFLED = {"PYTHONHASHSEED": "2", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}


class ContentRules(Suite):
    """What holds for the content."""

    def test_what_was_published_arrives_byte_for_byte(self, tmp_path: Path) -> None:
        """A fetch brings every file, in every folder, as it is."""
        artifact = self.fetch(self.publish(self.files), tmp_path / "destination")

        assert contents(artifact) == dict(self.files)
        assert artifact.size == sum(map(len, self.files.values()))

    def test_the_same_content_gives_the_same_artifact(self, tmp_path: Path) -> None:
        """Two fetches of one state agree in files, order, revision and digest."""
        values = self.publish(self.files)

        first = self.fetch(values, tmp_path / "first")
        second = self.fetch(values, tmp_path / "second")

        assert (first.files, first.revision, first.digest) == (second.files, second.revision, second.digest)

    def test_another_order_of_writing_gives_the_same_content(self, tmp_path: Path) -> None:
        """Who has published what when is no part of the content."""
        first = self.fetch(self.publish(self.files), tmp_path / "first")
        second = self.fetch(self.publish_again(self.files), tmp_path / "second")

        assert (first.files, first.digest) == (second.files, second.digest)

    def test_another_process_brings_and_renders_the_same(self, tmp_path: Path) -> None:
        """Clock, time zone, locale, seed of hashes and the order in which a disk lists decide nothing."""
        values = self.publish(self.files)
        tasks: list[dict[str, object]] = [
            {"task": "produce", "destination": str(tmp_path / "plain"), "is_shuffled": False},
            {"task": "produce", "destination": str(tmp_path / "shuffled"), "is_shuffled": True},
        ]

        plain, shuffled = ask_children(self, values, zip(tasks, (_PLAIN, _SHUFFLED), strict=True))

        assert plain["files"]
        assert shuffled == plain

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

    def test_a_hostile_name_arrives_as_it_is_or_is_refused(self, tmp_path: Path) -> None:
        """It is never changed, left out, or taken for a pattern, an option, a URL or a place elsewhere."""
        rows = [*((names, False) for names in self.hostile_names), *(((name,), True) for name in self.unsafe_names)]
        around = tmp_path / "around"
        around.mkdir()
        outcomes = {
            names: self._outcome_of(names, around / f"{number}", is_unsafe=is_unsafe)
            for number, (names, is_unsafe) in enumerate(rows)
        }

        assert {names: outcome for names, outcome in outcomes.items() if outcome not in _SOUND} == {}
        assert set(outcomes.values()) & {"arrives", "is refused"}, "publish() can hold none of these names"
        assert {path.name for path in around.iterdir()} <= {f"{number}" for number in range(len(rows))}

    def _outcome_of(self, names: tuple[str, ...], destination: Path, *, is_unsafe: bool) -> str:
        files = {"plain.yaml": b"a: b\n"} | {name: b"name: %d\n" % number for number, name in enumerate(names)}
        try:
            values = self.publish(files)
        except (CannotPublishError, OSError, ValueError):
            return "cannot be published"
        try:
            found: dict[str, Any] = contents(self.fetch(values, destination))
        except IntegrityError as error:
            return "; ".join(error_problems(error, self.all_secrets())) or "is refused"
        except Exception as error:  # noqa: BLE001  # a stranger's backend may raise anything
            return f"ends in {type(error).__name__}: {error}"
        if is_unsafe:
            return f"is taken, as {sorted(found)}"
        return "arrives" if found == files else f"arrives as {sorted(found)}"

    def test_rendering_it_twice_gives_the_same(self, tmp_path: Path) -> None:
        """What was fetched stays as it is: `init` has described it, and `generate` renders it later."""
        values = self.publish(self.files)
        artifact = fetch_whole(self, values, tmp_path / "destination", self.environment())

        first = rendered(self, values, artifact)
        second = rendered(self, values, artifact)

        assert first == second
        assert Artifact.from_directory(artifact.root).digest == artifact.digest


_SOUND = {"arrives", "is refused", "cannot be published"}
