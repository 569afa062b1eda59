"""Own the download of a Go module whose files are wanted and nothing that is built of them."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any


def download(name: str) -> Mapping[str, Any] | None:
    """Return what Go tells of a module that it has put into its own cache; None where there is no Go.

    Args:
        name: The module's path and version, as ``example.com/module@v1.2.3``.

    Returns:
        The keys of ``go mod download -json``: `Zip`, `Version`, and `Dir` where this Go unpacks the module.
    """
    go = shutil.which("go")
    if not go:
        return None
    with tempfile.TemporaryDirectory() as folder:
        command = [go, "mod", "download", "-json", name]
        result = subprocess.run(command, cwd=folder, check=False, stdout=subprocess.PIPE)
    told: Mapping[str, Any] = json.loads(result.stdout or "{}")
    if "Zip" not in told:
        sys.exit(f"{name} cannot be had: {told.get('Error', 'see above')}")
    return told
