"""A finding says what was found and what to do, and an error's sentence is parted into just these two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmp_core.errors import CmpError, SourceAccessError, SourceNotFoundError
from cmp_core.finding import Finding, split_sentence


@pytest.mark.parametrize(
    ("sentence", "message", "remedy"),
    [
        ("the clock is wrong: set it", "the clock is wrong", "set it"),
        ("/etc/x:3: `a` is wrong: write b", "/etc/x:3: `a` is wrong", "write b"),
        ("nothing there: did you mean `path: apps/`?", "nothing there", "did you mean `path: apps/`?"),
        ("it was denied: allow it (it says: no: never)", "it was denied", "allow it (it says: no: never)"),
        ("it was denied: allow it (a (b: c) d: e)", "it was denied", "allow it (a (b: c) d: e)"),
        ("s3://b/a( could not be read: try again", "s3://b/a( could not be read", "try again"),
        ("not found", "not found", ""),
        (": odd", "", "odd"),
        ("2 problems:\n  a: b\n  c: d", "2 problems:\n  a: b\n  c: d", "mend each of them as it says"),
    ],
)
def test_the_remedy_comes_after_the_last_colon(sentence: str, message: str, remedy: str) -> None:
    """What is quoted in backticks or brackets is not looked into; lines have remedies of their own."""
    assert split_sentence(sentence) == (message, remedy)


@given(st.text(alphabet=st.sampled_from("ab: `()\n"), max_size=40))
def test_parting_loses_nothing(sentence: str) -> None:
    """However the quotes and brackets stand, both parts together are the sentence."""
    message, remedy = split_sentence(sentence)

    assert sentence in {message, f"{message}: {remedy}"}


def test_an_error_becomes_a_failure_of_its_class() -> None:
    """The class decides on the exit code, so it is kept."""
    finding = Finding.of_error("list", SourceAccessError("denied to nobody: allow it"))

    assert finding == Finding("list", "failed", "denied to nobody", "allow it", SourceAccessError)


@pytest.mark.parametrize("text", ["", "no colon", ": only"])
def test_an_error_without_a_remedy_leads_to_the_manual(text: str) -> None:
    """A stranger's error may be no finished sentence; the finding is one all the same."""
    finding = Finding.of_error("list", SourceNotFoundError(text))

    assert finding.message
    assert finding.remedy


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("DNS", "ok", "x"), "names no check"),
        (("two words", "ok", "x"), "names no check"),
        (("", "ok", "x"), "names no check"),
        (("a" * 25, "ok", "x"), "names no check"),
        (("dns", "ok", ""), "says nothing"),
        (("dns", "failed", "x"), "does not say what to do"),
        (("dns", "warning", "x"), "does not say what to do"),
        (("dns", "ok", "x", "", CmpError), "did not fail"),
        (("dns", "warning", "x", "y", CmpError), "did not fail"),
        (("dns", "fine", "x"), "must be one of"),
    ],
)
def test_a_finding_that_helps_nobody_is_refused(arguments: tuple[str, ...], told: str) -> None:
    """Its author learns it in the first test, not its reader at night."""
    with pytest.raises(ValueError, match=told):
        Finding(*arguments)  # type: ignore[arg-type]  # what a stranger may write
