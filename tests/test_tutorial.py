"""The backends that the documentation shows are installed, loaded and held to the contract, as a reader would do it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs_support import blocks_of

from cmp_core import BuildEnvironment, SourceNotFoundError
from cmp_core.installed import InstalledBackend
from cmp_core.manager import load_backend
from cmp_core.nesting import Nesting
from cmp_core.trigger import validated


def test_the_tutorials_backend_keeps_the_contract(tmp_path: Path) -> None:
    """The package that the tutorial builds installs, is found, and passes the tests that the tutorial shows."""
    for block in blocks_of("python", "toml", "yaml"):
        if block.page.endswith("write-a-backend.md") and "/" in block.title:
            file = tmp_path / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
    python = make_environment(tmp_path / "environment")
    install(tmp_path / "cmp-backend-folder", python)
    suite: list[str | Path] = [
        python,
        "-m",
        "pytest",
        "-q",
        "--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        "cmp-backend-folder",
    ]

    tested = subprocess.run(suite, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    listed = run_cmp_core(python, "backends", "-o", "json")
    validated = run_cmp_core(python, "validate", str(tmp_path / "demo"))

    assert tested.returncode == 0, tested.stdout
    assert re.search(r"^\d\d passed", tested.stdout, re.MULTILINE)
    assert [backend["distribution"] for backend in json.loads(listed.stdout)] == ["cmp-backend-folder"]
    assert validated.stdout == f"{tmp_path / 'demo'}: valid: folder:demo-app\n"


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


def run_cmp_core(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the console script's function with this interpreter."""
    script = "from cmp_core.cli import console; console()"
    return subprocess.run([python, "-c", script, *words], capture_output=True, text=True, check=True, timeout=60)


def test_the_readmes_backend_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module that the README shows is a whole backend."""
    (block,) = [block for block in blocks_of("python") if block.page == "README.md"]
    (tmp_path / "readme_backend.py").write_text(block.text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    backend = load_backend(InstalledBackend("folder", "readme", "0", "readme_backend"))
    source = validated(backend.model, {"path": "no-such-folder"}, lambda _path: "README.md")

    assert source.location == "file:///srv/manifests/no-such-folder"
    with pytest.raises(SourceNotFoundError, match="no-such-folder"):
        backend.fetch(source, tmp_path, BuildEnvironment(), Nesting(source, BuildEnvironment()))
