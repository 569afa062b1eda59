"""Own the trial of the public types: what mypy and pyright say, in their strictest mode, to somebody else's code.

The files of `tests/typed/` are copied out of the checkout, so that the checkers know cmp-core as an installed package
alone. Each says nothing wrong, but for lines that end in ``# slip: RULES | RULES``: there mypy has to complain of the
first ones, pyright of the others, and nowhere else of anything. A new backend, which has mypy among its own checks, is
shown to pyright too.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from cmp_core.newbackend import NewBackend, write_backend
from tools.processes import tell

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "tests" / "typed"
PYRIGHT = ROOT / ".cache" / "pyright" / "bin" / "basedpyright"
SECONDS = 300
SETTINGS = """
[tool.mypy]
strict = true
plugins = ["pydantic.mypy"]

[tool.pyright]
typeCheckingMode = "strict"
reportMissingTypeStubs = false # fsspec publishes no types
"""

Place = tuple[str, int]
Complaints = Mapping[Place, set[str]]

_SLIP = re.compile(r"  # slip: (?P<mypy>[\w,-]+) \| (?P<pyright>[\w,]+)$")


def main() -> int:
    """Check the files that the first argument names a folder of, by default those of the tests."""
    files = Path(sys.argv[1]) if sys.argv[1:] else FILES
    with tempfile.TemporaryDirectory(prefix="cmp core types ") as folder:
        place, backend = Path(folder, "files"), Path(folder, "backend")
        place.mkdir()
        for file in files.glob("*.py"):
            shutil.copy(file, place)
        write_backend(NewBackend("oci"), backend)
        for project in (place, backend):
            (project / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
        surprises = [
            *compare("mypy", expected(place, "mypy"), ask_mypy(place)),
            *compare("pyright", expected(place, "pyright"), ask_pyright(place)),
            *compare("pyright", {}, ask_pyright(backend)),
        ]
    for surprise in surprises:
        tell(f"{files.name}/{surprise}")
    return 1 if surprises else 0


def ask_mypy(folder: Path) -> Complaints:
    """Return the rules that mypy finds broken in the files of a folder, by file and line."""
    found = defaultdict(set)
    told = _run([sys.executable, "-m", "mypy", "--output=json", "--no-incremental", "."], folder)
    for line in told.splitlines():
        complaint = json.loads(line)
        if complaint["severity"] == "error":
            found[Path(complaint["file"]).name, complaint["line"]].add(complaint["code"])
    return found


def ask_pyright(folder: Path) -> Complaints:
    """Return the rules that pyright finds broken in the files of a folder, by file and line."""
    found = defaultdict(set)
    answer = json.loads(_run([PYRIGHT, "--outputjson", "--pythonpath", sys.executable, "."], folder))
    for complaint in answer["generalDiagnostics"]:
        if complaint["severity"] == "error":
            place = Path(complaint["file"]).name, complaint["range"]["start"]["line"] + 1
            found[place].add(complaint.get("rule", complaint["message"]))
    if answer["summary"]["filesAnalyzed"] != len(list(folder.rglob("*.py"))):
        sys.exit(f"pyright looked at {answer['summary']['filesAnalyzed']} files alone: {answer}")
    return found


def _run(command: list[str | Path], folder: Path) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS)
    if result.returncode not in {0, 1}:
        sys.exit(f"{Path(command[0]).name} ended with exit code {result.returncode}: {result.stdout}{result.stderr}")
    return result.stdout


def expected(folder: Path, checker: str) -> Complaints:
    """Return the rules that the files' own comments say a checker finds broken."""
    found = {}
    for file in folder.glob("*.py"):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if slip := _SLIP.search(line):
                found[file.name, number] = set(slip[checker].split(","))
    return found


def compare(checker: str, expected: Complaints, found: Complaints) -> Iterator[str]:
    """Yield a sentence on each line of which a checker says something else than it should."""
    for file, line in sorted({*expected, *found}):
        wanted, told = expected.get((file, line), set()), found.get((file, line), set())
        if wanted != told:
            yield (
                f"{file}:{line}: {checker} complains of {', '.join(sorted(told)) or 'nothing'}, "
                f"where {', '.join(sorted(wanted)) or 'nothing'} is wrong"
            )


if __name__ == "__main__":
    sys.exit(main())
