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
SHELLCHECK = BIN / "shellcheck"


def main() -> int:
    """Run every linter, and return 1 where one of them has complained."""
    complaints = lint_with_packages()
    if actionlint := binaries.build("actionlint"):
        complaints += complaints_of([actionlint, "-no-color", "-shellcheck", shellcheck() or "", "-pyflakes", ""], ROOT)
    elif os.environ.get("CI") == "true":
        complaints.append("actionlint is built with Go, which is not here: install Go 1.25 or later")
    else:
        tell("Without Go there is no actionlint: the workflows were linted by zizmor alone.")
    for complaint in complaints:
        tell(complaint)
    return 1 if complaints else 0


def lint_with_packages(root: Path = ROOT) -> list[str]:
    """Return what the linters from PyPI have against the scripts and workflows of a checkout."""
    scripts = [".ci/run", *sorted(str(path.relative_to(root)) for path in root.glob("deploy/**/*.sh"))]
    # Offline, since the checks that ask GitHub need a token. By the strictest persona: what is no fault is written in
    # .github/zizmor.yml with its reason.
    zizmor: list[str | Path] = [
        BIN / "zizmor",
        "--offline",
        "--quiet",
        "--no-progress",
        "--persona",
        "auditor",
        ".github",
    ]
    complaints = complaints_of(zizmor, root)
    if program := shellcheck():
        complaints += complaints_of([program, "--external-sources", *scripts], root)
    else:
        tell("There is no shellcheck for this machine on PyPI: the scripts were not linted.")
    return complaints


def shellcheck() -> Path | None:
    """Return the program, which has no wheel for Linux on arm64."""
    return SHELLCHECK if SHELLCHECK.exists() else None


def complaints_of(command: Sequence[str | Path], root: Path) -> list[str]:
    """Return what a linter says where it has found something."""
    done = subprocess.run(command, cwd=root, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return [done.stdout] if done.returncode else []


if __name__ == "__main__":
    sys.exit(main())
