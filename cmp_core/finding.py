"""Own what a check of `cmp-core doctor` found: its outcome, a sentence, and what to do."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from cmp_core.errors import CmpError

Outcome = Literal["ok", "warning", "failed", "skipped"]

_CHECK = re.compile(r"[a-z][a-z0-9-]{0,23}")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check of ``cmp-core doctor`` found.

    Attributes:
        check: What was checked, in one lower-case word: ``dns``. Several findings may share it.
        outcome: ``ok``; ``warning``: it works and will not for ever; ``failed``: a request fails here;
            ``skipped``: it was not checked, because it cannot be or need not be.
        message: What was looked at, where, and what was found; of what was skipped, why. No secret.
        remedy: What to do. Required where the outcome is ``warning`` or ``failed``.
        error: The class of the error that a request fails with; only of what ``failed``.
    """

    check: str
    outcome: Outcome
    message: str
    remedy: str = ""
    error: type[CmpError] | None = None

    def __post_init__(self) -> None:
        """Refuse a finding that would leave its reader alone.

        Raises:
            ValueError: A part is missing or does not fit the outcome.
        """
        if self.outcome not in get_args(Outcome):
            raise ValueError(f"{self.outcome!r} is no outcome: it must be one of {', '.join(get_args(Outcome))}")
        if not _CHECK.fullmatch(self.check):
            raise ValueError(f"{self.check!r} names no check: write one lower-case word of at most 24 letters")
        if not self.message:
            raise ValueError(f"the finding of `{self.check}` says nothing: give it a message")
        if self.outcome in {"warning", "failed"} and not self.remedy:
            raise ValueError(f"the finding of `{self.check}` does not say what to do: give it a remedy")
        if self.error and self.outcome != "failed":
            raise ValueError(f"the finding of `{self.check}` did not fail: leave out its error")

    @classmethod
    def of_error(cls, check: str, error: CmpError) -> "Finding":
        """Return the finding of a check that `error` ended; the end of the error's sentence becomes the remedy."""
        name = type(error).__name__
        message, remedy = str(error).removesuffix(f": {error.remedy}"), error.remedy
        if not remedy:
            message, remedy = split_sentence(message)
        return cls(check, "failed", message or name, remedy or f"look up {name} in the manual", type(error))


def split_sentence(sentence: str) -> tuple[str, str]:
    """Part an error's sentence into what is wrong and what to do, which comes after its last colon.

    A colon in backticks or brackets is part of what is quoted there. A sentence of several lines has a remedy on each
    of them and stays whole.
    """
    if "\n" in sentence:
        return sentence, "mend each of them as it says"
    at = _last_colon(sentence)
    if at < 0:
        return sentence, ""
    return sentence[:at], sentence[at + 2 :]


def _last_colon(sentence: str) -> int:
    found, depth, is_quoted = -1, 0, False
    for index, letter in enumerate(sentence):
        if letter == "`":
            is_quoted = not is_quoted
        elif is_quoted:
            continue
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        elif depth <= 0 and index and sentence.startswith(": ", index):
            found = index
    return found if found >= 0 else sentence.rfind(": ")
