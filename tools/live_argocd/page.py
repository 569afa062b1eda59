"""Own the page that shows one run of the tests on a whole Argo CD: `make argocd-page` copies the last one there."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tools.binaries import ARGO_CD_VERSION, KUBERNETES_VERSION, ROOT

LAST_RUN = ROOT / ".cache" / "argocd" / "last-run.json"
PAGE = ROOT / "docs" / "explanation" / "argo-cd-live.md"

_BLOCK = re.compile(r"(?P<head><!-- a run -->\n).*?(?P<tail><!-- /a run -->)", re.DOTALL)


class Row(NamedTuple):
    """What happened, what Argo CD did, and how many seconds later."""

    happened: str
    did: str
    seconds: float


class Run(NamedTuple):
    """One run of all tests: its date, how many seconds it took, and what was seen."""

    date: str
    seconds: float
    rows: Sequence[Row]

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {"date": self.date, "seconds": self.seconds, "rows": [list(row) for row in self.rows]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Run":
        """Return what was kept."""
        return cls(kept["date"], kept["seconds"], [Row(*row) for row in kept["rows"]])


def main() -> None:
    """Write the last run into the page."""
    if not LAST_RUN.exists():
        sys.exit("There is no run yet: make e2e-argocd")
    run = Run.from_json(json.loads(LAST_RUN.read_text(encoding="utf-8")))
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), run), encoding="utf-8")


def fill(text: str, run: Run) -> str:
    """Return the page with this run in it."""
    said = (
        f"Run on {run.date} with Argo CD {ARGO_CD_VERSION} and Kubernetes {KUBERNETES_VERSION}; "
        f"all of it took {run.seconds:.0f} seconds."
    )
    return _BLOCK.sub(lambda match: f"{match['head']}{said}\n\n{table(run.rows)}{match['tail']}", text)


def table(rows: Sequence[Row]) -> str:
    """Return the table of what Argo CD did, and when."""
    lines = ["| What happened | What Argo CD did | After |", "| --- | --- | --- |"]
    lines += [f"| {row.happened} | {row.did} | {row.seconds:.1f} s |" for row in rows]
    return "\n".join(lines) + "\n"
