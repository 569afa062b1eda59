"""The contract suite: the tests that every backend must pass, to be subclassed by its own tests.

A backend's test module makes it run with what only the backend knows::

    class TestFolder(BackendContract):
        backend = "folder"

        def publish(self, files):
            ...put the files where the backend reads them...
            return {"path": str(folder)}

        def missing(self):
            return {"path": "/no/such/folder"}

        def denied(self):
            ...

        def outage(self):
            ...

These four are required. What else there is to say about a backend has a default in `Suite`: its secrets, what the
operator does not allow, a service that falls silent, names that no disk can hold.

Where a backend cannot show one of the rules, it says so in the open. Override the test, since a mark on the
inherited one would be a mark for every backend::

        @pytest.mark.xfail(reason="…")
        def test_x(self, tmp_path):
            super().test_x(tmp_path)
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in ("bounds", "composition", "content", "diagnosis", "failures", "static", "suite")
    )
)

# ruff: noqa: E402  # pytest can only rewrite what is not imported yet, and an author needs to see what differs
from cmp_core.inspection import SDKS
from cmp_core.testing.contract import BackendContract
from cmp_core.testing.diagnosis import DiagnosisContract
from cmp_core.testing.suite import FILES, HOSTILE_NAMES, CannotPublishError, Suite

__all__ = [
    "FILES",
    "HOSTILE_NAMES",
    "SDKS",
    "BackendContract",
    "CannotPublishError",
    "DiagnosisContract",
    "Suite",
]
