"""Own the trial of the tutorials: everything that a page shows is done in its order, as a reader would do it.

What a block means depends on its language:

- ``sh`` is run in a shell that keeps its folder and its variables from block to block. It has to succeed, unless it
  holds the comment ``# fails``.
- ``text`` is what the commands before it print on stdout, whole; ``…`` stands for anything.
- ``diff`` is an edit of the file that its first line names: lines with ``-`` are there once, in this order with those
  without a sign, and give way to those with ``+``.
- Any other block whose first line is a comment with a path is that file, whole.
- Any other block is an excerpt: it stands in one of the files below the shell's folder as it stands in the page.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.processes import free_port, tell

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs" / "tutorial"
PAGES = (TUTORIAL / "first-steps.md", TUTORIAL / "write-a-backend.md")
SECONDS = 300
"""How long the commands of one block may take."""

PORT = "5566"
"""The port of the server that a page starts."""

FAILS = "# fails"
ANYTHING = "…"

BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
"""A fenced block of a page."""

_TITLE = re.compile(r"# (?P<path>[\w./-]+)\n")
_KEPT = ("LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy")


class TutorialError(Exception):
    """The page shows what does not happen; a finished sentence that begins with the block's line."""


@dataclass(frozen=True, slots=True)
class Step:
    """One fenced block of the page: its line, its language, the file that it names, and its text without that line."""

    line: int
    language: str
    path: str
    text: str


def main() -> int:
    """Follow every tutorial, each from a new folder, and return the exit code."""
    for page in PAGES:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="cmp core tutorial ") as folder:
            # A reader takes the port that the page names; here another server may have it.
            text = page.read_text(encoding="utf-8").replace(PORT, str(free_port()))
            reader = Reader(Path(folder), ROOT, variables(folder))
            try:
                count = follow(read_steps(text), reader)
            except TutorialError as error:
                tell(f"{page.relative_to(ROOT)}:{error}")
                return 1
            finally:
                reader.leave()
        tell(f"The {count} steps of {page.name} do what they say, in {time.monotonic() - started:.0f} s.")
    return 0


def variables(folder: str) -> dict[str, str]:
    """Return a newcomer's environment: uv, a home, and nothing of this project's own.

    Not even uv's cache: it takes wheels of one name and version for the same, and would try those of another day.
    """
    programs = Path(folder) / "programs"
    programs.mkdir()
    own = Path(sys.executable).parent
    for program in ("uv", "uvx"):
        (programs / program).symlink_to(own / program)
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(("UV_", "PIP_"))}
    own_python = {"UV_PYTHON": str(Path(sys.executable).resolve()), "UV_CACHE_DIR": f"{folder}/cache"}
    return {"PATH": f"{programs}:{os.defpath}", "HOME": folder, "TMPDIR": folder} | kept | own_python


class Reader:
    """Somebody at a shell, who does what the page says."""

    def __init__(self, place: Path, start: Path, environment: Mapping[str, str]) -> None:
        """Begin in the folder `start`; what is remembered between blocks lies in `place`."""
        self.folder = start
        self._shells: list[int] = []
        self._environment = place / "environment"
        self._folder = place / "folder"
        exports = (f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        self._environment.write_text("".join(exports), encoding="utf-8")

    def run(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Run `commands` where the ones before have ended, with the variables that they have exported."""
        remember = f"pwd >{shlex.quote(str(self._folder))}; export -p >{shlex.quote(str(self._environment))}"
        script = f". {shlex.quote(str(self._environment))}\ntrap {shlex.quote(remember)} EXIT\n{commands}"
        shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
        with subprocess.Popen(
            shell,
            cwd=self.folder,
            env={},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            self._shells.append(process.pid)
            stdout, stderr = process.communicate(timeout=SECONDS)
        self.folder = Path(self._folder.read_text(encoding="utf-8").removesuffix("\n"))
        return subprocess.CompletedProcess(shell, process.returncode, stdout, stderr)

    def leave(self) -> None:
        """End what the commands have left running."""
        for shell in self._shells:
            with suppress(ProcessLookupError):
                os.killpg(shell, signal.SIGTERM)


def read_steps(page: str) -> list[Step]:
    """Return the blocks of a page in their order."""
    return list(_steps(page))


def follow(steps: list[Step], reader: Reader) -> int:
    """Do all steps, and return their number.

    Raises:
        TutorialError: Something does not happen as it is shown.
    """
    printed = ""
    for step in steps:
        if step.language == "sh":
            printed = _run(step, reader)
        elif step.language == "text":
            _compare(step, printed)
        elif step.language == "diff":
            _edit(step, reader.folder)
        elif step.path:
            file = reader.folder / step.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(step.text, encoding="utf-8")
        else:
            _find(step, reader.folder)
    return len(steps)


def _steps(page: str) -> Iterator[Step]:
    for block in BLOCK.finditer(page):
        text = block["text"]
        title = None if block["language"] in {"sh", "text"} else _TITLE.match(text)
        line = page.count("\n", 0, block.start("text")) + 1
        yield Step(line, block["language"], title["path"] if title else "", text[title.end() if title else 0 :])


def _run(step: Step, reader: Reader) -> str:
    tell(f"+ {step.text.rstrip()}".replace("\n", "\n+ "))
    result = reader.run(step.text)
    if (result.returncode != 0) != (FAILS in step.text):
        told = f"{result.stdout}{result.stderr}"
        raise TutorialError(f"{step.line}: the commands end with exit code {result.returncode}, and print:\n{told}")
    return result.stdout


def _compare(step: Step, printed: str) -> None:
    pattern = ".*".join(map(re.escape, step.text.rstrip().split(ANYTHING)))
    if not re.fullmatch(pattern, printed.rstrip(), re.DOTALL):
        raise TutorialError(f"{step.line}: what is printed is not what is shown, but:\n{printed}")


def _edit(step: Step, folder: Path) -> None:
    lines = step.text.splitlines(keepends=True)
    before = "".join(line[1:] or line for line in lines if not line.startswith("+"))
    after = "".join(line[1:] or line for line in lines if not line.startswith("-"))
    file = folder / step.path
    content = file.read_text(encoding="utf-8")
    if not step.path or content.count(before) != 1:
        raise TutorialError(
            f"{step.line}: the lines to edit stand {content.count(before)} times in {step.path}, "
            f"and not once:\n{before}"
        )
    file.write_text(content.replace(before, after), encoding="utf-8")


def _find(step: Step, folder: Path) -> None:
    shown = step.text.rstrip("\n")
    files = (path for pattern in ("*.toml", "src/**/*.py", "tests/*.py") for path in folder.glob(pattern))
    if not any(shown in path.read_text(encoding="utf-8") for path in files):
        raise TutorialError(f"{step.line}: no file below {folder} holds what is shown:\n{shown}")


if __name__ == "__main__":
    sys.exit(main())
