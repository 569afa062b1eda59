"""What the tests of whole distributions share: an environment with borrowed libraries, and what runs there."""

import subprocess
import sys
from pathlib import Path

import pytest


def make_environment(folder: Path) -> Path:
    """Make an environment that borrows the libraries of this one, and return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    (borrower,) = folder.glob("lib/python*/site-packages")
    lender = Path(pytest.__file__).resolve().parent.parent
    (borrower / "lender.pth").write_text(f"import site; site.addsitedir({str(lender)!r})\n", encoding="utf-8")
    return folder / "bin" / "python"


def install(project: Path, python: Path) -> None:
    """Build the project and install it, without asking an index for anything."""
    uv = Path(sys.executable).parent / "uv"
    options = ["--quiet", "--offline", "--no-deps", "--no-build-isolation", "--python", str(python)]
    subprocess.run([uv, "pip", "install", *options, str(project)], check=True, timeout=120)


def run_python(python: Path, *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run this interpreter, and return what came of it."""
    return subprocess.run([python, *words], cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
