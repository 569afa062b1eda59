"""Own the rules on sources inside of sources, and on what the operator does not allow."""

from dataclasses import replace
from pathlib import Path

import pytest

from cmp_core.artifact import Artifact
from cmp_core.errors import LimitExceededError, PolicyError, SourceNotFoundError
from cmp_core.models import Source, nested_sources
from cmp_core.nesting import NestedRender, Nesting
from cmp_core.testing.suite import Suite, error_problems, fetch_whole, files_below, rendered

_NOBODY = "nobody"  # no backend has this name


class OuterSource(Source):
    """A source that holds others."""

    @property
    def location(self) -> str:
        """A made-up place."""
        return "outer:contract"


class CompositionRules(Suite):
    """What holds inside of another source, and for sources inside of this one."""

    def test_inside_another_source_it_brings_the_same(self, tmp_path: Path) -> None:
        """Files, revision and documents do not depend on who asks."""
        values = self.publish(self.files)
        environment = self.environment()
        nested = Nesting(OuterSource(), environment, "outer-source.yaml")
        alone = fetch_whole(self, values, tmp_path / "alone", environment)

        inner = nested({"backend": self.backend, **values}, tmp_path / "outer" / "inner", key="parts.0")

        assert (inner.files, inner.revision, inner.digest) == (alone.files, alone.revision, alone.digest)
        documents = rendered(self, values, alone)
        if not isinstance(documents, str):
            render = NestedRender(tmp_path / "outer", environment, "outer-source.yaml")
            found = render({"backend": self.backend, **values}, inner, key="parts.0")
            assert found == [replace(each, path=f"inner/{each.path}") for each in documents]

    def test_inside_another_source_its_error_tells_the_place(self, tmp_path: Path) -> None:
        """The class, and with it the exit code, stays; the message begins with where the source stands."""
        values = self.missing()
        nested = Nesting(OuterSource(), self.environment(), "outer-source.yaml")

        with pytest.raises(SourceNotFoundError) as caught:
            nested({"backend": self.backend, **values}, tmp_path / "outer" / "inner", key="parts.0")

        assert str(caught.value).startswith("outer-source.yaml: parts.0: ")
        assert error_problems(caught.value, self.all_secrets()) == []

    def test_what_its_siblings_have_brought_is_taken_from_its_limits(self, tmp_path: Path) -> None:
        """A tree of sources brings no more than one source may, and keeps none of the surplus."""
        values = {"backend": self.backend, **self.publish(self.files)}
        nested = Nesting(OuterSource(), self.environment(limits=self.exact_limits()), "outer-source.yaml")
        first = nested(values, tmp_path / "outer" / "first", key="parts.0")

        with pytest.raises(LimitExceededError, match=r"^outer-source\.yaml: parts\.1: "):
            nested(values, tmp_path / "outer" / "second", key="parts.1")

        assert first.files
        assert files_below(tmp_path / "outer" / "second") == []

    def test_what_the_operator_does_not_allow_is_refused(self, tmp_path: Path) -> None:
        """It is told before anything is fetched, by an error that says whom to ask."""
        values = self.refused()
        settings = {} if values else {"allowed_backends": (_NOBODY,)}
        nested = Nesting(OuterSource(), self.environment(**settings), "outer-source.yaml")

        with pytest.raises(PolicyError, match=r"^outer-source\.yaml: parts\.0: ") as caught:
            nested({"backend": self.backend, **(values or self.publish(self.files))}, tmp_path / "d", key="parts.0")

        assert error_problems(caught.value, self.all_secrets()) == []
        assert files_below(tmp_path / "d") == []

    def test_it_reads_from_other_backends_only_as_the_operator_allows(self, tmp_path: Path) -> None:
        """A source inside of this one that is refused is refused as such; one without any needs no other backend."""
        values = self.publish(self.files)
        needs_others = any(nested.backend != self.backend for _, nested in nested_sources(self.read_source(values)))
        brought: Artifact | None = None
        error: PolicyError | None = None

        try:
            brought = self.fetch(values, tmp_path / "destination", allowed_backends=(self.backend,))
        except PolicyError as refusal:
            error = refusal

        assert needs_others == (error is not None)
        if error:
            assert error_problems(error, self.all_secrets()) == []
            assert files_below(tmp_path / "destination") == []
        else:
            assert brought
            assert len(brought.files) == len(self.files)
