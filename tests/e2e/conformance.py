"""Let kubeconform judge manifests by schemas that lie here."""

import subprocess
from pathlib import Path

from tools import kubernetes_schemas


def conform(program: Path, manifests: str, *folders: Path) -> "subprocess.CompletedProcess[str]":
    """Judge manifests, each of which must have a schema in one of the folders, and no key that is not in it."""
    places = [option for folder in folders for option in ("-schema-location", kubernetes_schemas.location(folder))]
    command: list[str | Path] = [program, "-strict", "-summary", *places]
    return subprocess.run(command, input=manifests, check=False, capture_output=True, text=True)
