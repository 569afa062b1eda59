"""Own the sums of a soak: how many answers of which kind, how long they took, and what the sidecar's log adds."""

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from e2e.cmp_server import CmpServer
from e2e.soak.audit import MORE_BYTES, MORE_DESCRIPTORS, MOST_GROWTH, STORE_BYTES, STORE_MARGIN, memory_by_thirds
from e2e.soak.results import Record, Results
from e2e.soak.sampling import Sample

from benchmarks.report import describe_machine
from tools.binaries import ARGO_CD_VERSION
from tools.versitygw import SECRET_KEY, VERSION

_NEVER_SAID = {
    "a defect": "defect in cmp-core",
    "requests that no slot bounds": "are not bounded",
    "a traceback": "Traceback (most recent call last)",
    "the secret key": SECRET_KEY,
}
_MOST_WRONG = 20


def summarise(
    seed: int, results: Results, samples: Sequence[Sample], idle: Sample, server: CmpServer
) -> dict[str, Any]:
    """Return the figures; `wrong` holds what must never be, a sentence for each."""
    records = results.records
    first, last = memory_by_thirds(samples) if samples else (0.0, 0.0)
    return {
        "seed": seed,
        "seconds": round(max(record.finished for record in records)),
        "machine": describe_machine(),
        "versions": {"argocd-cmp-server": ARGO_CD_VERSION, "versitygw": VERSION},
        "outcomes": dict(results.count().most_common()),
        "methods": dict(Counter(record.method for record in records).most_common()),
        "applications": {
            name: dict(Counter(record.outcome for record in records if record.application == name).most_common())
            for name in sorted({record.application for record in records})
        },
        "errors": dict(Counter(record.error for record in records if record.error).most_common()),
        "latency": {name: _percentiles(records, name) for name in ("two", "hundred", "floating", "page", "pages")},
        "asked again": _count_retries(server),
        "memory": {"first third": first, "last third": last, "plugins": max(one.plugin_pss for one in samples)},
        "peaks": {
            name: max(getattr(one, name) for one in samples)
            for name in ("processes", "server_descriptors", "work_files", "store_bytes", "unfinished", "tickets")
        },
        "bounds": {
            "growth": MOST_GROWTH,
            "more bytes": MORE_BYTES,
            "more descriptors": MORE_DESCRIPTORS,
            "store": STORE_BYTES,
            "store margin": STORE_MARGIN,
        },
        "idle": {name: getattr(idle, name) for name in Sample.__slots__},
        "wrong": [*results.reasons[:_MOST_WRONG], *find_complaints(server.log_file.read_text(errors="replace"))],
    }


def find_complaints(log: str) -> list[str]:
    """Return what stands in the sidecar's log and never should."""
    return [f"{what} stands in the log of the sidecar" for what, words in _NEVER_SAID.items() if words in log]


def _percentiles(records: Sequence[Record], application: str) -> dict[str, float]:
    """Return how long it took until the right manifests came, in seconds."""
    times = sorted(
        record.seconds
        for record in records
        if record.application == application and record.method == "generate" and record.outcome == "right"
    )
    if len(times) < 2:
        return {"answers": len(times)}
    hundredths = statistics.quantiles(times, n=100, method="inclusive")
    return {"answers": len(times), "p50": hundredths[49], "p95": hundredths[94], "most": times[-1]}


def _count_retries(server: CmpServer) -> int:
    """Return how many requests brought the right manifests because a call was tried again."""
    lines = (line for said in server.said() for line in said.splitlines() if line.startswith("{"))
    return sum(json.loads(line).get("message", "").startswith("asked again") for line in lines)
