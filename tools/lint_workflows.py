"""Own the lint of shell scripts and workflows: shellcheck and zizmor come from PyPI, actionlint is built with Go.

Where there is no Go, the workflows go without actionlint, and that is said; it fails where CI=true.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools import binaries
from tools.processes import tell

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SCRIPTS = (".ci/run", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("deploy/**/*.sh")))


def main() -> int:
    """Run every linter, and return 1 where one of them has complained."""
    good = [
        run([BIN / "shellcheck", "--external-sources", *SCRIPTS]),
        # Offline, since the checks that ask GitHub need a token; none of its findings is accepted, whatever its weight.
        run([BIN / "zizmor", "--offline", "--quiet", "--no-progress", "--persona", "auditor", ".github"]),
    ]
    if actionlint := binaries.build("actionlint"):
        good.append(run([actionlint, "-color=false", "-shellcheck", BIN / "shellcheck", "-pyflakes", ""]))
    elif os.environ.get("CI") == "true":
        sys.exit("actionlint is built with Go, which is not here: install Go 1.25 or later")
    else:
        tell("Without Go there is no actionlint: the workflows were linted by zizmor alone.")
    return 0 if all(good) else 1


def run(command: Sequence[str | Path]) -> bool:
    """Run a linter in the root, and tell whether it found nothing; what it says goes to stderr."""
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        tell(done.stdout)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
