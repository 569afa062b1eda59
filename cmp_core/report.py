"""Own how a diagnosis is told, without a secret: lines for people, JSON for programs, and the exit code."""

import json
from collections import Counter

from cmp_core.errors import FetchError
from cmp_core.finding import Finding, Outcome
from cmp_core.redact import Redactor

WARNED = 1
"""The exit code where everything works and something will not for ever."""

_LONGEST_TEXT = 4096  # characters; far more than a sentence, and little enough for the redaction
_OUTCOME_WIDTH = len("warning") + 3


class Report:
    """The findings of one diagnosis, in the order in which they were made."""

    def __init__(self, redactor: Redactor) -> None:
        """Begin without findings; everything that is told goes through `redactor`."""
        self._redactor = redactor
        self._findings: list[Finding] = []

    def add(self, finding: Finding) -> None:
        """Take the next finding."""
        self._findings.append(finding)

    @property
    def exit_code(self) -> int:
        """0 if all is well, that of the first failure's error, or `WARNED` where there are only warnings."""
        failed = [finding for finding in self._findings if finding.outcome == "failed"]
        if failed:
            return (failed[0].error or FetchError).exit_code
        return WARNED if self._count("warning") else 0

    def as_text(self) -> str:
        """Return a line for each finding, its remedy on the next, and a last line that sums up."""
        indent = " " * (_OUTCOME_WIDTH + self._check_width())
        lines = []
        for finding in self._findings:
            message = self._told(finding.message).replace("\n", f"\n{indent}")
            head = finding.outcome.ljust(_OUTCOME_WIDTH) + finding.check.ljust(self._check_width())
            lines.append(f"{head}{message}")
            if finding.remedy:
                remedy = self._told(finding.remedy).replace("\n", f"\n{indent}  ")
                lines.append(f"{indent}→ {remedy}")
        return "".join(f"{line}\n" for line in [*lines, "", self._summary()])

    def as_json(self) -> str:
        """Return an object with `ok`, `exitCode` and `findings`; every finding has every key."""
        findings = [
            {
                "check": finding.check,
                "outcome": finding.outcome,
                "message": self._told(finding.message),
                "remedy": self._told(finding.remedy) or None,
                "error": finding.error.__name__ if finding.error else None,
            }
            for finding in self._findings
        ]
        whole = {"ok": not self.exit_code, "exitCode": self.exit_code, "findings": findings}
        return f"{json.dumps(whole, indent=2, ensure_ascii=False)}\n"

    def _summary(self) -> str:
        skipped = f"{self._count('skipped')} skipped"
        if not self.exit_code:
            return f"all is well ({self._count('ok')} ok, {skipped})"
        return f"not all is well: {self._count('failed')} failed, {self._count('warning')} to look at, {skipped}"

    def _count(self, outcome: Outcome) -> int:
        return Counter(finding.outcome for finding in self._findings)[outcome]

    def _check_width(self) -> int:
        return max((len(finding.check) for finding in self._findings), default=0) + 3

    def _told(self, text: str) -> str:
        """Return a text as it may be told; a tab would break the columns."""
        return self._redactor(text[:_LONGEST_TEXT]).replace("\t", " ").strip()
