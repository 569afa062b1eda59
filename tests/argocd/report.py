"""Own the table of what Argo CD did, and when: a row for each thing that a test has seen, and where it is kept."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from tools.live_argocd import page
from tools.processes import tell


@dataclass
class Report:
    """What a run has seen so far."""

    rows: list[page.Row] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def tell(self, happened: str, did: str, seconds: float) -> None:
        """Print at once what Argo CD did after something had happened, and keep it for the table."""
        self.rows.append(page.Row(happened, did, seconds))
        tell(f"{happened}: {did} after {seconds:.1f} s")

    def finish(self, file: Path) -> str:
        """Write everything into the file, and return the table."""
        run = page.Run(time.strftime("%Y-%m-%d"), time.monotonic() - self.began, self.rows)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(run.to_json(), indent=2) + "\n", encoding="utf-8")
        return page.table(run.rows)
