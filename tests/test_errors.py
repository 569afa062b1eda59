"""The tree of errors: what happens next, told by class, exit code and `retryable`."""

import re

import pytest

from cmp_core import errors
from cmp_core.errors import CmpError

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, CmpError)]
LINE = re.compile(r"^ {4}(?P<bars>[│ ├└─]*)(?P<name>\w+Error)(?: +(?P<code>\d+|…))?", re.MULTILINE)


def drawn_tree() -> dict[str, tuple[int, str]]:
    """Return each class of the drawing in the module's docstring with its depth and exit code."""
    assert errors.__doc__ is not None
    return {match["name"]: (len(match["bars"]) // 4, match["code"] or "…") for match in LINE.finditer(errors.__doc__)}


def test_the_drawing_shows_every_class_where_it_stands() -> None:
    """The docstring is the reference; it must not drift."""
    tree = drawn_tree()

    assert set(tree) == {each.__name__ for each in CLASSES}
    assert {name: depth for name, (depth, _) in tree.items()} == {
        each.__name__: len(each.__mro__) - len(CmpError.__mro__) for each in CLASSES
    }


@pytest.mark.parametrize("error_class", CLASSES)
def test_the_drawing_shows_the_exit_code(error_class: type[CmpError]) -> None:
    """A class without a code of its own has that of its base."""
    _, code = drawn_tree()[error_class.__name__]

    base = error_class.__base__
    inherited = base.exit_code if base is not None and issubclass(base, CmpError) else None
    assert error_class.exit_code == (inherited if code == "…" else int(code))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("CmpError", 70),
        ("UsageError", 64),
        ("ConfigError", 78),
        ("SettingsError", 78),
        ("TriggerFileError", 78),
        ("SourceValidationError", 78),
        ("PolicyError", 77),
        ("BackendError", 69),
        ("BackendNotFoundError", 69),
        ("BackendConflictError", 69),
        ("BackendLoadError", 69),
        ("FetchError", 69),
        ("SourceNotFoundError", 66),
        ("SourceAccessError", 77),
        ("IntegrityError", 65),
        ("LimitExceededError", 65),
        ("TransientFetchError", 75),
        ("DeadlineExceededError", 75),
        ("RenderError", 65),
        ("EmptyRenderError", 65),
        ("OutputError", 74),
        ("ResourceError", 71),
    ],
)
def test_an_exit_code_never_changes(name: str, code: int) -> None:
    """Scripts and dashboards rely on them: sysexits, decided once."""
    error_class = getattr(errors, name)

    assert error_class.exit_code == code


def test_only_a_transient_error_is_worth_another_try() -> None:
    """Everything else would fail again in the same way."""
    retryable = [each.__name__ for each in CLASSES if each.retryable]

    assert retryable == ["TransientFetchError"]


def test_the_message_is_the_sentence() -> None:
    """And what the error shows."""
    error = CmpError("what, where, what to do")

    assert error.message == str(error) == "what, where, what to do"


def test_every_class_says_what_it_is_for() -> None:
    """The table of exit codes is made from these lines."""
    undocumented = [each.__name__ for each in CLASSES if not each.__doc__]

    assert undocumented == []
