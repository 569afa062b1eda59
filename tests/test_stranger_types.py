"""The trial of the public types notices a complaint too many and one too few; `make types` runs all of it."""

from pathlib import Path

from tools.stranger_types import ask_mypy, compare, expected

CODE = """
WRONG: int = "a"
MARKED: int = "b"  # slip: assignment | reportAssignmentType
RIGHT: int = 1  # slip: assignment | reportAssignmentType
"""


def test_a_complaint_too_many_and_one_too_few_are_told(tmp_path: Path) -> None:
    """Each with its line, who says it and what was wanted."""
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")

    surprises = list(compare("mypy", expected(tmp_path, "mypy"), ask_mypy(tmp_path)))

    assert surprises == [
        "code.py:2: mypy complains of assignment, where nothing is wrong",
        "code.py:4: mypy complains of nothing, where assignment is wrong",
    ]


def test_each_checker_has_its_own_rules(tmp_path: Path) -> None:
    """They stand on both sides of the bar."""
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")

    assert expected(tmp_path, "pyright") == {
        ("code.py", 3): {"reportAssignmentType"},
        ("code.py", 4): {"reportAssignmentType"},
    }
