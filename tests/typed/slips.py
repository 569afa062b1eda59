"""Slips that the type checkers must find: behind each stand mypy's rules, a bar, and pyright's."""

# What follows from a misspelt name is said once, where it stands.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from pathlib import Path
from typing import Any

import cmp_core
from cmp_core import Artifact, BuildEnvironment, Finding, Source, hookimpl, split_documents
from cmp_core.testing import BackendContract
from cmp_core.transfer import copy_foldr  # slip: attr-defined | reportAttributeAccessIssue


@hookimpl
def source_model() -> type[Source]:
    """Return something else than a model's class."""
    return Artifact  # slip: return-value | reportReturnType


@hookimpl
def fetch(source: Source, destination: Path, environment: BuildEnvironment) -> Artifact:
    """Return the folder, and ask for what there is not."""
    str(environment.aplication)  # slip: attr-defined | reportAttributeAccessIssue
    environment.deadline = None  # slip: assignment,misc | reportAttributeAccessIssue
    source.limits.under(destination)  # slip: arg-type | reportArgumentType
    return destination  # slip: return-value | reportReturnType


def slip_in_calls(destination: Path) -> None:
    """Give the wrong arguments."""
    Artifact.from_directory(str(destination))  # slip: arg-type | reportArgumentType
    Artifact.from_directory(destination, "v1")  # slip: call-arg | reportCallIssue
    split_documents("text", "a.yaml")  # slip: arg-type | reportArgumentType
    Finding("dns", "fine", "it answers")  # slip: arg-type | reportArgumentType
    Finding.of_error("dns", ValueError())  # slip: arg-type | reportArgumentType
    str(copy_foldr)
    cmp_core.Sourse()  # slip: attr-defined | reportAttributeAccessIssue


class Contract(BackendContract):
    """Tell the contract's tests something else than they ask for."""

    backend = 1  # slip: assignment | reportAssignmentType

    def missing(self) -> list[Any]:  # slip: override | reportIncompatibleMethodOverride
        """Return a list."""
        return []
