"""Own the run of one command against a real S3 server, which is started for it and always stopped.

The command finds the address in `E2E_S3_ENDPOINT`.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import localstack, versitygw

USAGE = "usage: python -m tools.with_s3 localstack|versitygw COMMAND [ARGUMENT …], for example: localstack pytest -m s3"


def main(arguments: list[str] | None = None) -> int:
    """Run the command that the arguments name against the server that they name, and return its exit code."""
    name, *command = (sys.argv[1:] if arguments is None else arguments) or [""]
    if name not in {"localstack", "versitygw"} or not command:
        sys.exit(USAGE)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    server = localstack.run if name == "localstack" else versitygw.run
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder, server(Path(folder)) as endpoint:
        return subprocess.run(command, env=os.environ | {"E2E_S3_ENDPOINT": endpoint}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
