"""Own what a soak leaves behind in its folder: requests and samples as CSV, wrong answers in full, and the summary."""

import csv
import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from e2e.soak.clients import Answer
from e2e.soak.judging import Verdict
from e2e.soak.sampling import Sample

REQUESTS = "requests.csv"
SAMPLES = "samples.csv"
SUMMARY = "summary.json"
LOG = "server.log"
WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Record:
    """One judged answer, as a row.

    Attributes:
        finished: When it came, in seconds since the soak began.
        seconds: How long it took.
        method: What was asked.
        application: For which application.
        outcome: The verdict.
        error: The class of the error that it was.
    """

    finished: float
    seconds: float
    method: str
    application: str
    outcome: str
    error: str


class Results:
    """Takes the judged answers of all clients, and keeps every wrong one at once.

    Attributes:
        records: The answers.
        reasons: What is wrong with the wrong ones, and beside them.
    """

    def __init__(self, folder: Path, began: float) -> None:
        """Write into the folder, and count the seconds from `began`."""
        self.records: list[Record] = []
        self.reasons: list[str] = []
        self._folder = folder
        self._began = began
        self._lock = threading.Lock()
        (folder / WRONG).mkdir(parents=True, exist_ok=True)
        for old in (folder / WRONG).iterdir():
            old.unlink()

    def add(self, answer: Answer, verdict: Verdict) -> None:
        """Take one answer."""
        request = answer.request
        record = Record(
            round(answer.finished - self._began, 2),
            round(answer.seconds, 3),
            request.method,
            request.application.name,
            verdict.outcome,
            verdict.error,
        )
        with self._lock:
            self.records.append(record)
            number = len(self.records)
            if verdict.outcome == "wrong":
                self.reasons.append(f"{request.method} of {request.application.name}: {verdict.reason}")
        if verdict.outcome == "wrong":
            self._keep(answer, verdict, number)

    def complain(self, reason: str) -> None:
        """Take what is wrong beside the answers."""
        with self._lock:
            self.reasons.append(reason)

    def count(self) -> Counter[str]:
        """Return how many answers have which outcome."""
        return Counter(record.outcome for record in self.records)

    def write(self, samples: Sequence[Sample], summary: Mapping[str, Any], log: Path) -> None:
        """Write what the plot and the page are made of, and keep the sidecar's log."""
        records: list[Record] = sorted(self.records, key=lambda record: record.finished)
        _write_rows(self._folder / REQUESTS, Record, records)
        _write_rows(self._folder / SAMPLES, Sample, samples)
        shutil.copy(log, self._folder / LOG)
        (self._folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")

    def _keep(self, answer: Answer, verdict: Verdict, number: int) -> None:
        told = {
            "reason": verdict.reason,
            "method": answer.request.method,
            "application": answer.request.application.name,
            "deadline": answer.request.seconds,
            "cancelledAfter": answer.request.cancelled_after,
            "started": round(answer.started - self._began, 3),
            "seconds": round(answer.seconds, 3),
            "code": answer.code,
            "text": answer.text,
            "value": answer.value,
        }
        path = self._folder / WRONG / f"{number:05}.json"
        path.write_text(json.dumps(told, indent=2, default=str) + "\n", encoding="utf-8")


def _write_rows(path: Path, kind: type[Record] | type[Sample], rows: Iterable[Record | Sample]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)])
        writer.writeheader()
        writer.writerows(map(asdict, rows))
