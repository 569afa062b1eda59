"""Own the table of faults: each row is a test of `test_faults.py` and a line of docs/explanation/faults.md."""

from collections.abc import Mapping, Sequence

from e2e.answer_faults import ANSWERS
from e2e.fault_stage import SETTINGS, STALLS, Row
from e2e.service_faults import SERVICE
from e2e.wire_faults import WIRE

__all__ = ["ROWS", "SETTINGS", "STALLS", "TABLE", "Row"]

TABLE: Mapping[str, Sequence[Row]] = {"wire": WIRE, "service": SERVICE, "answers": ANSWERS}
"""The rows, by what fails."""

ROWS = [row for rows in TABLE.values() for row in rows]
